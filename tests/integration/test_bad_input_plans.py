"""Plans that are wrong: each is refused with its place and a sentence that says what to do, and nothing is recorded."""

import json
import os
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import pytest
import pytest_asyncio

from tests.documents import asks, policy, predicate, step, tool
from tests.embedded import Embedded, embedded
from tests.integration.aftermath import check_all_is_well, records
from tests.integration.command_line import CommandLine, Ended, command_line
from tests.scripted import Act
from theory.api.executor.v1 import executor_pb2, plan_pb2
from theory.api.executor.v1.executor_pb2_grpc import ExecutorServiceStub
from theory.core.cid import Cid
from theory.core.errors import Invalid, NotFound, TheoryError
from theory.core.jcs import JSON
from theory.wire.channel import call

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

House: TypeAlias = tuple[Embedded, CommandLine]

SPECS = (
    tool(),
    tool("test/two@1", writes=["/artifacts/outputs/", "/artifacts/logs/", "/artifacts/meta.json"]),
    tool("test/exact@1", writes=["/artifacts/meta.json"]),
    tool("test/dear@1", admission=[asks(600_000)]),
    tool("test/dearest@1", admission=[asks(2_000_000)]),
    tool("test/secret@1", required=["ALPHA", "BETA"], optional=["MAYBE"]),
    tool("test/secrets@1", required=["GAMMA"]),
    tool("test/gone-schema@1", success=[predicate("json.schema_ok@1", path="/artifacts/x", schema="test/gone@1")]),
    tool("test/gone-predicate@1", admission=[predicate("no.such@1", path="/artifacts/x")]),
    policy("poor@1", max_usd_micro=100),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One installation and one command line for every case; in the end all is well with it."""
    home, folder = tmp_path_factory.mktemp("h"), tmp_path_factory.mktemp("f")
    home.chmod(0o700)
    (folder / "a.txt").write_bytes(b"a")
    (folder / "sub").mkdir()
    async with embedded(home, memory=False, publish=SPECS) as theory, command_line(home, folder) as command:
        yield theory, command
        await check_all_is_well(theory)


async def _refused(house: House, plan: str | bytes, code: int, *options: str) -> dict[str, Any]:
    """The error of a plan that is refused: with the code, with a sentence, and without a trace."""
    theory, command = house
    before = await records(theory)
    (command.folder / "plan.yaml").write_bytes(plan.encode() if isinstance(plan, str) else plan)
    ended = await command("run", "plan.yaml", "--json", *options)
    assert (ended.code, ended.out) == (code, ""), ended
    assert await records(theory) == before
    return ended.error


def _one(fields: str, more: str = "") -> str:
    """A plan of one transition with these fields beside its processor."""
    return f"name: bad\ntransitions:\n  - {{id: a, processor: test/step@1{', ' if fields else ''}{fields}}}\n{more}"


def _of(*transitions: str) -> str:
    return "name: bad\ntransitions:\n" + "".join(f"  - {{{each}}}\n" for each in transitions)


UNREADABLE: dict[str, tuple[str | bytes, str, str]] = {
    "an open bracket": ("name: [a\n", "2:1", "this is no YAML"),
    "wrong indentation": ("name: bad\n transitions: []\n", "2:13", "this is no YAML"),
    "a tab": ("name: bad\n\ttransitions: []\n", "2:1", "a tab is refused: indent with spaces"),
    "an anchor": ("name: &n bad\n", "1:7", "anchors are refused: write the value out"),
    "an alias": ("name: *n\n", "1:7", "aliases are refused: write the value out"),
    "a merge key": ("name: bad\n<<: {seed: 1}\n", "2:1", "merge keys are refused: write the fields out"),
    "a tag": ("name: !!python/object:os.system bad\n", "1:7", "tags are refused"),
    "a key twice": ("name: a\nseed: 1\nname: b\n", "3:1", "the key 'name' occurs twice, first in line 1"),
    "a key twice, below": (_of("id: a, id: b"), "3:13", "the key 'id' occurs twice, first in line 3"),
    "a key that is no text": ("1: bad\n", "1:1", "a key is text: put this one in quotes"),
    "two documents": ("name: a\n---\nname: b\n", "2:1", "one file holds one document"),
    "an empty file": ("", "1:1", "there is no document"),
    "nothing but comments": ("# later\n", "2:1", "there is no document"),
    "a binary file": (b"\x89PNG\r\n\x1a\n\x00\x00\x00", "1:1", "the text is not UTF-8"),
    "UTF-16": ("name: bad\n".encode("utf-16"), "1:1", "the text is not UTF-8"),
    "Latin-1": ("name: caf\xe9\n".encode("latin-1"), "1:10", "the text is not UTF-8"),
    "a NUL": (b"name: b\0d\n", "1:8", "a NUL is refused"),
    "a byte order mark": (b"\xef\xbb\xbfname: bad\n", "1:1", "a byte order mark is refused"),
    "text turned round": ("name: bad\u202e\n", "1:10", "the character U+202E is refused"),
    "two mebibytes": (b"# " + b"x" * (2 << 20), "1:1", "the text is longer than 1048576 bytes"),
    "a hundred brackets": (b"name: " + b"[" * 100 + b"]" * 100, "1:38", "nest deeper than 32"),
    "a number beyond JSON": (_one("", "seed: 99999999999999999999\n"), "4:7", "put it in quotes"),
}


@pytest.mark.parametrize("case", UNREADABLE)
async def test_what_is_no_strict_yaml_is_refused_with_line_and_column(house: House, case: str) -> None:
    text, place, sentence = UNREADABLE[case]
    error = await _refused(house, text, 2)
    assert (error["class"], error["reason"]) == ("Invalid", "YAML_INVALID")
    facts = error["metadata"]
    assert (facts["source"], f"{facts['line']}:{facts['column']}") == ("plan.yaml", place)
    assert sentence in error["message"]


async def test_a_file_that_cannot_be_read_is_told(house: House) -> None:
    for name, why in (("none.yaml", "No such file or directory"), ("sub", "Is a directory"), ("a.txt/x", "Not a dir")):
        ended = await house[1]("run", name, "--json")
        assert (ended.code, ended.error["class"], ended.error["reason"]) == (1, "NotFound", "FILE_UNKNOWN")
        assert ended.error["message"].startswith(f"cannot read {name}: {why}")


_EMPTY_ITEMS = ", ".join(["{}"] * 6000)

MALFORMED: dict[str, tuple[str, str, str]] = {
    "null": ("null\n", "$", "an object with named fields is expected, not null"),
    "a text": ("hello\n", "$", "an object with named fields is expected, not a text"),
    "a list": ("- a\n", "$", "an object with named fields is expected, not a list"),
    "no name": ("transitions: []\n", "name", "the field is missing"),
    "a bad name": (_one("").replace("bad", "Bad Name"), "name", "a-z, 0-9 and '-'"),
    "a misspelt field": (_one("", "budgets: {}\n"), "budgets", "did you mean budget?"),
    "a misspelt budget": (_one("", "budget: {max_usd: 1}\n"), "budget.max_usd", "did you mean max_usd_micro?"),
    "a misspelt processor": (_of("id: a, processer: x@1"), "transitions[0].processer", "did you mean processor?"),
    "a misspelt need": (_one("need: [b]"), "transitions[0].need", "did you mean needs?"),
    "a field of no meaning": (_one("xyz: 1"), "transitions[0].xyz", "there is no such field: known are id, processor"),
    "a misspelt source": (_one("for_each: {file: /artifacts/**}"), "transitions[0].for_each.file", "mean files?"),
    "no version": (_of("id: a, processor: test/step"), "transitions[0].processor", "'@', a version from 1"),
    "version 0": (_of("id: a, processor: test/step@0"), "transitions[0].processor", "'@', a version from 1"),
    "the latest version": (_of("id: a, processor: test/step@latest"), "transitions[0].processor", "a version from 1"),
    "a policy without a version": (_one("", "policy: default\n"), "policy", "a version from 1"),
    "a bad world": (_one("", "world: My World\n"), "world", "a world's name has"),
    "a negative seed": (_one("", "seed: -1\n"), "seed", "a whole number from 0 to"),
    "a runtime misspelt": (_one("", "runtime: dokcer\n"), "runtime", "one of local, process, mock"),
    "a negative budget": (_one("", "budget: {max_usd_micro: -1}\n"), "budget.max_usd_micro", "from 0 to"),
    "a budget over its policy": (
        _one("", "policy: poor@1\nbudget: {max_usd_micro: 101}\n"),
        "budget.max_usd_micro",
        "the policy poor@1 allows at most 100 micro-USD",
    ),
    "no transitions": ("name: bad\n", "transitions", "a plan has 1 to 1000 transitions"),
    "a thousand and one": (_of(*(f"id: a{n}, processor: x@1" for n in range(1001))), "transitions", "has 1 to 1000 tr"),
    "an id twice": (
        _of("id: a, processor: test/step@1", "id: a, processor: test/step@1"),
        "transitions[1].id",
        "two transitions are called a",
    ),
    "a bad id": (_of("id: A_1, processor: test/step@1"), "transitions[0].id", "a-z, 0-9 and '-', the first a letter"),
    "an unknown need": (_one("needs: [b]"), "transitions[0].needs[0]", "there is no transition b"),
    "a need of itself": (_one("needs: [a]"), "transitions[0].needs", "in a circle: a -> a"),
    "a circle": (
        _of(*(f"id: {a}, processor: test/step@1, needs: [{b}]" for a, b in ("ac", "ba", "cb"))),
        "transitions[0].needs",
        "transitions need each other in a circle: a -> c -> b -> a",
    ),
    "a template without a fan-out": (_one("inputs: {x: '${item.x}'}"), "transitions[0].inputs.x", "needs a `for_each`"),
    "a template of an unknown key": (
        _one("for_each: [{y: 1}, {x: 1}], inputs: {x: '${item.x}'}"),
        "transitions[0].inputs.x",
        "item 0: the item has no x",
    ),
    "a template of the environment": (
        _one("for_each: [{y: 1}], inputs: {deep: [{x: '${env.HOME}'}]}"),
        "transitions[0].inputs.deep[0].x",
        "only ${item.key} is known",
    ),
    "an open template": (_one("for_each: [{y: 1}], inputs: {x: '${item.y'}"), "transitions[0].inputs.x", "not closed"),
    "a template that climbs": (
        _one("for_each: [{y: ../x}], write_prefix: '/artifacts/outputs/${item.y}/'"),
        "transitions[0].write_prefix",
        "item 0: a world path must have no empty, '.' or '..' segment",
    ),
    "a fan-out over nothing": (_one("for_each: []"), "transitions[0].for_each", "a fan-out has 1 to 10000 items"),
    "a fan-out over no file": (
        _one("for_each: {files: /artifacts/inputs/**}"),
        "transitions[0].for_each.files",
        "none of the plan's files is in /artifacts/inputs/**",
    ),
    "a fan-out over texts": (_one("for_each: [a]"), "transitions[0].for_each[0]", "expected, not a text"),
    "too many items": (_one(f"for_each: [{_EMPTY_ITEMS}, {_EMPTY_ITEMS}]"), "transitions[0].for_each", "1 to 10000"),
    "too many executions": (
        _of(*(f"id: {each}, processor: test/step@1, for_each: [{_EMPTY_ITEMS}]" for each in "ab")),
        "transitions[1].for_each",
        "a plan has at most 10000 executions",
    ),
    "inputs that are too large": (
        _one(f"inputs: {{x: {'y' * 300_000}}}"),
        "transitions[0].inputs",
        "inputs have at most 262144 bytes of JSON",
    ),
    "a selector with a wildcard": (_one("reads: [/artifacts/*.txt]"), "transitions[0].reads[0]", "'/**' at the end"),
    "a selector of a folder": (_one("reads: [/artifacts/x/]"), "transitions[0].reads[0]", "add '**'"),
    "a relative selector": (_one("reads: [x/**]"), "transitions[0].reads[0]", "start with '/'"),
    "a prefix that climbs": (_one("write_prefix: /artifacts/outputs/../x/"), "transitions[0].write_prefix", "'..'"),
    "an escaped prefix": (_one("write_prefix: /artifacts/%2e%2e/"), "transitions[0].write_prefix", "percent-encoded"),
    "an uppercase prefix": (_one("write_prefix: /artifacts/Outputs/"), "transitions[0].write_prefix", "be lowercase"),
    "a twin of a prefix": (_one("write_prefix: /artifacts/cafe\u0301/"), "transitions[0].write_prefix", "form C"),
    "a lookalike of a prefix": (
        _one("write_prefix: /artifacts/a\uff0fb/"),
        "transitions[0].write_prefix",
        "turns into",
    ),
    "a prefix that is a file": (_one("write_prefix: /artifacts/outputs"), "transitions[0].write_prefix", "end in '/'"),
    "a relative prefix": (_one("write_prefix: outputs/"), "transitions[0].write_prefix", "start with '/'"),
    "a prefix of no facet": (_one("write_prefix: /tmp/"), "transitions[0].write_prefix", "/artifacts/ or /streams/"),
    "files that stream": (_one("", "files: {/streams/a/: a.txt}\n"), "files./streams/a/", "lie below /artifacts/"),
    "a file that is a number": (_one("", "files: {/artifacts/a: 5}\n"), "files./artifacts/a", "the name of a file"),
    "two files for one path": (_one("", "files: {/artifacts/a: [a.txt, b]}\n"), "files./artifacts/a", "one path takes"),
}


@pytest.mark.parametrize("case", MALFORMED)
async def test_what_is_no_plan_is_refused_with_its_field(house: House, case: str) -> None:
    text, field, sentence = MALFORMED[case]
    error = await _refused(house, text, 2)
    assert (error["class"], error["reason"]) == ("Invalid", "PLAN_INVALID")
    assert (error["metadata"]["field"], error["metadata"]["source"]) == (field, "plan.yaml")
    assert int(error["metadata"]["line"]) <= text.count("\n")
    assert sentence in error["message"]


REFUSED: dict[str, tuple[str, int, str, str, dict[str, str], str]] = {
    "an unknown processor": (
        *(_of("id: a, processor: test/stepp@1"), 1, "NotFound", "SPEC_UNKNOWN"),
        {"ref": "test/stepp@1", "kind": "tools"},
        "there is no test/stepp@1 among the tools",
    ),
    "an unknown version": (
        *(_of("id: a, processor: test/step@2"), 1, "NotFound", "SPEC_UNKNOWN"),
        {"ref": "test/step@2"},
        "there is no test/step@2",
    ),
    "an unknown policy": (
        *(_one("", "policy: nobody@1\n"), 1, "NotFound", "SPEC_UNKNOWN"),
        {"ref": "nobody@1", "kind": "policies"},
        "there is no nobody@1 among the policies",
    ),
    "a schema that nobody published": (
        *(_of("id: a, processor: test/gone-schema@1"), 1, "NotFound", "SPEC_UNKNOWN"),
        {"ref": "test/gone@1", "kind": "schemas", "referrer": "test/gone-schema@1"},
        "there is no test/gone@1 among the schemas, which test/gone-schema@1 names",
    ),
    "a predicate that nobody published": (
        *(_of("id: a, processor: test/gone-predicate@1"), 1, "NotFound", "SPEC_UNKNOWN"),
        {"ref": "no.such@1", "kind": "predicates", "referrer": "test/gone-predicate@1"},
        "there is no no.such@1 among the predicates",
    ),
    "a prefix outside": (
        *(_of("id: b, processor: test/step@1", "id: a, processor: test/two@1, write_prefix: /artifacts/other/"), 2),
        *("Invalid", "WRITE_PREFIX_REFUSED"),
        {"field": "transitions[1].write_prefix", "write_prefix": "/artifacts/other/"},
        "the folders that the processor declares: /artifacts/outputs/, /artifacts/logs/",
    ),
    "a prefix outside the artifacts": (
        *(_one("write_prefix: /streams/outputs/"), 2, "Invalid", "WRITE_PREFIX_REFUSED"),
        {"field": "transitions[0].write_prefix"},
        "that the processor declares: /artifacts/outputs/",
    ),
    "a prefix beside a similar one": (
        *(_one("write_prefix: /artifacts/outputs2/"), 2, "Invalid", "WRITE_PREFIX_REFUSED"),
        {"field": "transitions[0].write_prefix"},
        "that the processor declares",
    ),
    "a prefix where none is declared": (
        *(_of("id: a, processor: test/exact@1, write_prefix: /artifacts/x/"), 2, "Invalid", "WRITE_PREFIX_REFUSED"),
        {"field": "transitions[0].write_prefix"},
        "that the processor declares: none",
    ),
    "secrets without values": (
        *(_of("id: a, processor: test/secret@1", "id: b, processor: test/secrets@1"), 1),
        *("NotFound", "SECRET_UNKNOWN"),
        {"names": "ALPHA BETA GAMMA"},
        "no value for the secrets ALPHA, BETA, GAMMA: set them where",
    ),
    "a budget that pays for nothing": (
        *(_of("id: a, processor: test/dear@1") + "budget: {max_usd_micro: 10}\n", 1, "NotReady", "BUDGET_INSUFFICIENT"),
        {"required_usd_micro": "600000", "available_usd_micro": "10", "transition": "a"},
        "test/dear@1 asks for 600000 micro-USD, the plan may spend 10: raise its budget",
    ),
    "a price that no policy pays": (
        *(_of("id: a, processor: test/dearest@1"), 1, "NotReady", "BUDGET_INSUFFICIENT"),
        {"available_usd_micro": "1000000"},
        "its policy default@1 allows no more",
    ),
    "a runtime that is not served": (
        *(_one("runtime: local"), 1, "NotReady", "RUNTIME_UNKNOWN"),
        {"runtime": "local", "served": "mock process"},
        "no runtime `local` is served here: choose one of mock process",
    ),
    "a file that is not there": (
        *(_one("", "files: {/artifacts/in/: ['a.txt', '*.png']}\n"), 1, "NotFound", "FILE_UNKNOWN"),
        {"source": "*.png", "field": "files./artifacts/in/[1]"},
        "no file matches *.png, looked for in .",
    ),
    "a folder for a file": (
        *(_one("", "files: {/artifacts/in/: sub}\n"), 1, "NotFound", "FILE_UNKNOWN"),
        {"source": "sub"},
        "sub is a folder: write sub/* for the files in it",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_cannot_be_carried_out_is_refused_before_it_is_recorded(house: House, case: str) -> None:
    text, code, kind, reason, facts, sentence = REFUSED[case]
    error = await _refused(house, text, code)
    assert (error["class"], error["reason"]) == (kind, reason)
    assert {name: error["metadata"].get(name) for name in facts} == facts
    assert sentence in error["message"]


async def test_options_are_held_to_the_same_rules(house: House) -> None:
    for options, code, reason in (
        (("--runtime", "dokcer"), 2, "PLAN_INVALID"),
        (("--runtime", "local"), 1, "RUNTIME_UNKNOWN"),
        (("--set", "seed:=-1"), 2, "PLAN_INVALID"),
        (("--set", "sed:=1"), 2, "PLAN_INVALID"),
        (("--set", "seed"), 2, "USAGE"),
        (("--set", "seed:=x"), 2, "USAGE"),
        (("--set", "transitions.b.inputs.x=1"), 2, "USAGE"),
        (("--set", "transitions.a.write_prefix=/artifacts/x/"), 2, "WRITE_PREFIX_REFUSED"),
        (("--nonsense",), 2, "USAGE"),
    ):
        assert (await _refused(house, _one(""), code, *options))["reason"] == reason


PEOPLE: dict[str, tuple[str, int, str]] = {
    "a place in a file": (
        *("name: a\nname: b\n", 2),
        "error: the key 'name' occurs twice, first in line 1\n  at: plan.yaml:2:1\n  reason: YAML_INVALID\n",
    ),
    "a field": (
        *(_one("need: [b]"), 2),
        """\
error: there is no such field: did you mean needs? known are id, processor, inputs, reads, needs, write_prefix, \
for_each, runtime, volumes
  at: plan.yaml:3:37
  field: transitions[0].need
  reason: PLAN_INVALID
""",
    ),
    "a hint": (
        *(_one("runtime: local"), 1),
        """\
error: no runtime `local` is served here: choose one of mock process
  runtime: local
  served: mock process
  reason: RUNTIME_UNKNOWN
  hint: 'theory doctor' lists the runtimes; --runtime chooses one
""",
    ),
}


@pytest.mark.parametrize("case", PEOPLE)
async def test_people_read_a_sentence_a_place_and_a_hint(house: House, case: str) -> None:
    text, code, expected = PEOPLE[case]
    assert await house[1].run(text) == Ended(code, "", expected)


def _proto(**fields: Any) -> plan_pb2.PlanSpec:
    transition = {"transition_id": "a", "processor_ref": "test/step@1", **fields.pop("transition", {})}
    given = {"name": "raw", "transitions": [plan_pb2.TransitionSpec(**transition)], **fields}
    return plan_pb2.PlanSpec(**given)


def _file(**fields: Any) -> dict[str, Any]:
    return {"world_path": "/artifacts/a", "cid": Cid.of(b"never uploaded").text, "size_bytes": 14, **fields}


RAW: dict[str, tuple[plan_pb2.PlanSpec, str, str]] = {
    "nothing at all": (plan_pb2.PlanSpec(), "PLAN_INVALID", "name"),
    "a negative seed": (_proto(seed=-1), "PLAN_INVALID", "seed"),
    "a negative budget": (_proto(max_usd_micro=-1), "PLAN_INVALID", "budget.max_usd_micro"),
    "inputs that are no JSON": (_proto(transition={"inputs": b"{x}"}), "PLAN_INVALID", "transitions[0].inputs"),
    "inputs that are a list": (_proto(transition={"inputs": b"[]"}), "PLAN_INVALID", "transitions[0].inputs"),
    "inputs that are not UTF-8": (_proto(transition={"inputs": b"\xff"}), "PLAN_INVALID", "transitions[0].inputs"),
    "inputs too deep": (
        *(_proto(transition={"inputs": b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"}"}), "PLAN_INVALID"),
        "transitions[0].inputs",
    ),
    "inputs with a key twice": (
        *(_proto(transition={"inputs": b'{"a":1,"a":2}'}), "PLAN_INVALID"),
        "transitions[0].inputs",
    ),
    "a fan-out of nothing": (_proto(transition={"for_each": {}}), "PLAN_INVALID", "transitions[0].for_each"),
    "an item that is no object": (
        *(_proto(transition={"for_each": {"item_list": {"items": [b"{}", b"7"]}}}), "PLAN_INVALID"),
        "transitions[0].for_each[1]",
    ),
    "a prefix with an escape": (
        *(_proto(transition={"write_prefix": "/artifacts/%2f/"}), "PLAN_INVALID"),
        "transitions[0].write_prefix",
    ),
    "a file of nowhere": (_proto(files=[_file(world_path="/etc/passwd")]), "PLAN_INVALID", "files[0].path"),
    "a file of no content": (_proto(files=[_file(cid="b3:0")]), "PLAN_INVALID", "files[0].cid"),
    "a file of a negative size": (_proto(files=[_file(size_bytes=-1)]), "PLAN_INVALID", "files[0].size_bytes"),
    "a file twice": (_proto(files=[_file(), _file()]), "PLAN_INVALID", "files"),
    "a file that was never uploaded": (_proto(files=[_file()]), "BLOB_UNKNOWN", ""),
}


@pytest.mark.parametrize("case", RAW)
async def test_a_client_that_brings_only_stubs_is_held_to_the_same_grammar(house: House, case: str) -> None:
    spec, reason, field = RAW[case]
    error = await _refused_raw(house[0], f"raw-{list(RAW).index(case)}", spec)
    assert (error.reason, error.metadata.get("field", "")) == (reason, field)
    assert type(error) is (NotFound if reason == "BLOB_UNKNOWN" else Invalid)


@pytest.mark.parametrize("request_id", ["", "x" * 37, "a\nb", "é"])
async def test_a_request_id_has_its_form(house: House, request_id: str) -> None:
    error = await _refused_raw(house[0], request_id, _proto())
    assert (error.reason, error.metadata["field"]) == ("ID_INVALID", "request_id")


async def _refused_raw(theory: Embedded, request_id: str, spec: plan_pb2.PlanSpec) -> TheoryError:
    before = await records(theory)
    request = executor_pb2.SubmitPlanRequest(request_id=request_id, spec=spec)
    with pytest.raises(TheoryError) as caught:
        await call(ExecutorServiceStub(theory.channel()).SubmitPlan, request)
    assert await records(theory) == before
    return caught.value


async def test_a_budget_that_ends_in_the_middle_fails_the_rest_and_reserves_nothing(house: House) -> None:
    theory, command = house
    theory.forget()
    theory.runtime.scripts["first"] = Act(reported=600_000)
    text = _of(
        "id: first, processor: test/dear@1",
        "id: second, processor: test/dear@1, needs: [first]",
        "id: third, processor: test/step@1, needs: [second]",
        "id: aside, processor: test/step@1, needs: [first]",
    )
    ended = await command.run(f"{text}policy: once@1\n")
    assert ended.code == 1
    line = "failed; BUDGET_INSUFFICIENT: 600000 micro-dollars are to be reserved, 400000 are available"
    assert line in ended.out
    assert "skipped; NEED_FAILED: it needs second, which failed" in ended.out
    assert "4 executions: 2 ran, 1 failed, 1 skipped · cost $0.60 of at most $1.00" in ended.out
    assert theory.runtime.invoked == ["first-a0", "aside-a0"]
    await check_all_is_well(theory)


async def test_reads_that_match_nothing_fail_that_execution_alone(house: House) -> None:
    theory, command = house
    ended = await command.run(_of(
        "id: a, processor: test/step@1, reads: [/artifacts/outputs/b/**]",
        "id: b, processor: test/step@1",
        "id: c, processor: test/step@1, reads: [/artifacts/none.txt]",
    ), "--json")  # fmt: skip
    assert ended.code == 1
    failures = {each["transition_id"]: each["failure"] for each in _executions(ended)}
    assert failures["b"] is None
    for name, selector in (("a", "/artifacts/outputs/b/**"), ("c", "/artifacts/none.txt")):
        assert failures[name]["reason"] == "READ_UNRESOLVED"
        assert failures[name]["metadata"] == {"selector": selector}
        assert failures[name]["message"].endswith("does the transition need the one that writes it?")
    await check_all_is_well(theory)


def _executions(ended: Ended) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ended.out)["executions"]
    return found


async def test_a_plan_that_is_larger_than_a_message_is_refused_before_it_is_sent(house: House) -> None:
    folder = house[1].folder / "many"
    folder.mkdir()
    for number in range(9_000):
        os.mknod(folder / f"{number}")
    text = _one("", f"files: {{/artifacts/{'/'.join(['n' * 220] * 4)}/: many/*}}\n")
    error = await _refused(house, text, 2)
    assert (error["class"], error["reason"], error["metadata"]["field"]) == ("Invalid", "PLAN_INVALID", "$")
    assert "submit it in parts" in error["message"]


async def test_outputs_that_cannot_be_copied_do_not_hide_that_the_plan_went_well(house: House) -> None:
    ended = await house[1].run(_one(""), "--into", "a.txt")
    assert ended.code == 1
    assert "1 execution: 1 ran" in ended.out
    assert "copy out   theory artifacts get" in ended.out
    assert ended.err == "error: a.txt/a: Not a directory\n"


async def test_a_careless_fan_out_fails_as_a_whole_and_ends(house: House) -> None:
    theory, _ = house
    items: list[JSON] = [{"n": n} for n in range(300)]
    ran = await theory.run_plan({
        "name": "wide", "policy": "once@1",
        "transitions": [step("wide", for_each=items, inputs={"n": "${item.n}"}, reads=["/artifacts/none"])],
    })  # fmt: skip
    assert {each.state.value for each in ran.executions} == {"failed"}
    assert ran.plan.failure is not None
    assert ran.plan.failure.message == "300 of 300 executions did not succeed"
