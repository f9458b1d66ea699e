"""Processors that fail, lie, or leave what nobody wants: each ends with one reason, nothing of it stays."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from services.executor.adapters.runtimes import RuntimeSettings, open_runtime
from services.executor.ports import Runtime
from tests import backends
from tests.documents import plan
from tests.embedded import Embedded, Ran, embedded
from tests.integration.aftermath import check_all_is_well, check_nothing_is_left
from tests.integration.command_line import command_line
from tests.integration.misbehaving import MAX_BYTES, MAX_FILES, SPECS, act, write_context
from tests.integration.workbench import base_image_missing, docker
from theory.core import jcs
from theory.core.jcs import JSON
from theory.core.receipt import AttemptOutcome
from theory.core.world_path import PathPrefix

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

GRACE_S = 0.5


@dataclass(frozen=True)
class Case:
    """What one attempt does, and how that must end."""

    name: str
    outcome: str
    reason: str | None = None
    facts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Among the metadata of the failure; `{prefix}` is where it writes."""
    says: str = ""
    """In the sentence of the failure."""
    log: str = ""
    """In what it printed."""
    processor: str = "bad/act@1"
    inputs: Mapping[str, JSON] = dataclasses.field(default_factory=dict)
    local: bool = False
    """Whether it also runs in a container."""

    @property
    def transition(self) -> Mapping[str, JSON]:
        return act(self.name, self.processor, **self.inputs)


def _failed(name: str, exit_code: int, *, log: str = "", says: str = "", local: bool = False) -> Case:
    says = says or f"the processor ended with exit code {exit_code}"
    facts = {"exit_code": str(exit_code)}
    return Case(name, "failed", "PROCESSOR_FAILED", facts=facts, says=says, log=log, local=local)


def _refused(name: str, rule: str, path: str, says: str, *, local: bool = False, **inputs: JSON) -> Case:
    facts = {"rule": rule, "path": path}
    return Case(name, "invalid_output", "OUTPUT_REFUSED", facts=facts, says=says, inputs=inputs, local=local)


def _result(name: str, says: str, *, local: bool = False) -> Case:
    return _refused(name, "result", "result.json", says, local=local)


def _unkept(name: str, processor: str, predicate: str, says: str, *, local: bool = False) -> Case:
    facts = {"predicate": predicate}
    return Case(
        name, "predicate_refused", "PREDICATE_REFUSED", facts=facts, says=says, processor=processor, local=local
    )


_EXISTS, _SCHEMA = ("bad/exists@1", "artifact.exists@1"), ("bad/schema@1", "json.schema_ok@1")

CASES = (
    Case("good", "succeeded", local=True),
    Case("nothing", "succeeded", local=True),
    _failed("exit_3", 3, log="there is no such title\n", local=True),
    _failed("raises", 1, log="ValueError: seven is no colour\n", local=True),
    _failed("says_no", 1, log="the input title is empty\n"),
    _failed("reads_what_it_may_not", 1, log="cannot read /artifacts/inputs/secret.txt: No such file", local=True),
    _failed("writes_where_it_may_not", 1, log="/artifacts/outputs/other/x.json is outside the write set"),
    _failed("kills_itself", 137, says="exit code 137 (128 + SIGKILL)", local=True),
    _failed("exit_137", 137, says="exit code 137 (128 + SIGKILL)"),
    _failed("prints_what_moves_a_cursor", 4, log="not UTF-8\n", local=True),
    Case("prints_50_mb", "succeeded", log="the last line\n", local=True),
    Case("leaves_a_child", "succeeded", local=True),
    Case(
        *("ignores_sigterm", "timed_out", "PROCESSOR_TIMED_OUT"),
        facts={"timeout_s": "1"},
        says="the processor ran longer than 1 s and was stopped",
        processor="bad/quick@1",
        local=True,
    ),
    Case("stops_itself", "timed_out", "PROCESSOR_TIMED_OUT", processor="bad/quick@1"),
    _refused("symlink", "symbolic_link", "{prefix}y.json", "is a symbolic link", local=True),
    _refused("fifo", "fifo", "{prefix}y.json", "is a FIFO", local=True),
    _refused("hard_link", "hard_link", "", "has a second name", local=True),
    _refused(
        "outside_the_prefix", "outside_write_set", "artifacts/outputs/other/x.json", "outside the write set: /art"
    ),
    _refused("outside_the_world", "facet", "notes.txt", "outputs lie below artifacts/"),
    _refused("uppercase", "lowercase", "{prefix}README.md", "a world path must be lowercase", local=True),
    _refused("twins", "nfc", "{prefix}cafe\u0301.txt", "must be in Unicode normalisation form C", local=True),
    _refused("percent", "percent", "{prefix}a%2fb.txt", "must not be percent-encoded"),
    _refused(
        *("too_many_bytes", "too_large", "{prefix}x.json", f"makes the outputs larger than {MAX_BYTES} bytes"),
        bytes=MAX_BYTES + 1000,
        local=True,
    ),
    # The kernel lets no file of an attempt grow beyond what may be collected (tests/hostile for who gets round that).
    _failed("sparse_tebibyte", 1, log="File too large", local=True),
    _refused("too_many_files", "too_many_files", "", f"more than {MAX_FILES} files", files=MAX_FILES + 2, local=True),
    _result("not_json", "it is no strict JSON: Expecting property name", local=True),
    _result("json_list", "it is an object of `outputs` and `cost_usd_micro`"),
    _result("json_twice", "a key occurs twice in one object"),
    _result("json_nan", "JSON has no infinity and no NaN"),
    _result("json_float", "write fractions as text"),
    _result("float_from_the_sdk", "write fractions as text"),
    _result("json_outputs_text", "`outputs` is an object"),
    _result("json_stray_key", "it is an object of `outputs` and `cost_usd_micro`"),
    _result("json_too_large", "longer than 65536 bytes"),
    _result("json_negative_cost", "a whole number of micro-dollars from 0"),
    _result("json_float_cost", "a whole number of micro-dollars from 0"),
    _result("json_text_cost", "a whole number of micro-dollars from 0"),
    _refused("result_is_a_folder", "facet", "result.json/x", "outputs lie below artifacts/"),
    _unkept("names_nothing", *_EXISTS, "there is no ${outputs.path}: the processor did not name it", local=True),
    _unkept("names_a_file_that_is_not_there", *_EXISTS, "nothing is at /artifacts/outputs/names-a-file-that"),
    _unkept("names_no_path", *_EXISTS, "the argument `path` is a World path"),
    _unkept("names_what_breaks_the_schema", *_SCHEMA, "breaks bad/titled@1: title: 7 is not of type 'string'"),
    _unkept("names_what_is_no_json", *_SCHEMA, "says no"),
)
ONLY_AS_A_PROCESS = (
    Case("removes_its_place", "lost", "ATTEMPT_LOST"),
    _failed("eats_memory", 1, log="MemoryError"),
)
ONLY_IN_A_CONTAINER = (Case("eats_memory", "oom", "PROCESSOR_OOM", says="needed more memory than its spec gives it"),)
BY_RUNTIME = {
    "process": (*CASES, *ONLY_AS_A_PROCESS),
    "local": (*(each for each in CASES if each.local), *ONLY_IN_A_CONTAINER),
}


@dataclass(frozen=True)
class Behaved:
    """Every case of one runtime, carried out at once in one plan."""

    theory: Embedded
    ran: Ran
    runtime: str


async def _served(kind: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Embedded]:
    home = tmp_path_factory.mktemp(kind)
    home.chmod(0o700)
    write_context(home / "contexts")

    async def opened(settings: RuntimeSettings) -> Runtime:
        return await open_runtime(kind, dataclasses.replace(settings, grace_s=GRACE_S))

    async with embedded(
        home,
        memory=False,
        extra={kind: opened},
        publish=SPECS,
        build_root=home / "contexts",
        engine_url=backends.docker_url() if kind == "local" else "",
        default_runtime=kind,
        max_output_bytes=MAX_BYTES,
        max_output_files=MAX_FILES,
    ) as theory:
        yield theory


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def behaved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Behaved]:
    kind: str = request.param
    if kind == "local":
        backends.require("docker", base_image_missing())
    async for theory in _served(kind, tmp_path_factory):
        async with asyncio.timeout(300):
            ran = await theory.run_plan(plan(*(each.transition for each in BY_RUNTIME[kind])))
        yield Behaved(theory, ran, kind)


_MARKS = {"process": (), "local": (pytest.mark.docker,)}
_RUNTIMES = [pytest.param(kind, marks=marks) for kind, marks in _MARKS.items()]
_CASES = [
    pytest.param(kind, each, marks=_MARKS[kind], id=f"{kind}-{each.name}")
    for kind, cases in BY_RUNTIME.items()
    for each in cases
]


@pytest.mark.parametrize(("behaved", "case"), _CASES, indirect=["behaved"], scope="module")
async def test_it_ends_as_it_must_and_says_why(behaved: Behaved, case: Case) -> None:
    ended = behaved.ran[case.name.replace("_", "-")]
    assert ended.outcome is not None
    assert ended.outcome.value == case.outcome, ended
    assert case.log in ended.log_tail
    assert len(ended.log_tail) <= 16 * 1024
    assert (ended.state.value, bool(ended.outputs)) in {("succeeded", case.name in _WRITE), ("failed", False)}
    failure = ended.failure
    assert (failure.reason if failure else None) == case.reason
    if failure is not None:
        prefix = f"artifacts/outputs/{ended.transition_id}/"
        facts = {name: value.format(prefix=prefix) for name, value in case.facts.items() if value}
        assert {name: failure.metadata.get(name) for name in facts} == facts
        assert case.says in failure.message
        assert str(behaved.theory.home) not in failure.message


@pytest.mark.parametrize("behaved", _RUNTIMES, indirect=True)
async def test_what_ignores_a_request_to_end_is_killed_settled_and_gone(behaved: Behaved) -> None:
    theory = behaved.theory
    submitted = await theory.submit(plan(act("ignores_sigterm"), {**act("good"), "needs": ["ignores-sigterm"]}))
    await theory.until(submitted.plan_id, "ignores-sigterm", "running")
    await theory.theory.executor.cancel_plan(submitted.plan_id)
    async with asyncio.timeout(60):
        ran = await theory.ended(submitted.plan_id)
    assert ran.states == {"ignores-sigterm": "cancelled", "good": "cancelled"}
    ended = ran["ignores-sigterm"]
    assert (ended.outcome, ended.failure and ended.failure.reason) == (AttemptOutcome.CANCELLED, "CANCELLED")
    [receipt] = await theory.receipts(submitted.plan_id)
    assert (receipt.outcome, receipt.final, receipt.receipt_id) == (AttemptOutcome.CANCELLED, True, ended.receipt_id)
    if behaved.runtime == "local":
        assert docker("ps", "--all", "--quiet", "--filter", f"name={submitted.plan_id}").stdout == ""
    await check_nothing_is_left(theory)


_WRITE = {"good", "leaves_a_child"}


@pytest.mark.parametrize("behaved", _RUNTIMES, indirect=True)
async def test_nothing_of_them_is_left_and_only_what_succeeded_is_bound(behaved: Behaved) -> None:
    theory, ran = behaved.theory, behaved.ran
    assert ran.plan.state.value == "failed"
    bound = [each.path async for each in theory.theory.artifacts.list(ran.plan.world, PathPrefix.parse("/artifacts/"))]
    assert sorted(bound) == sorted(output.path for each in ran.executions for output in each.outputs)
    receipts = await theory.receipts(ran.plan.plan_id)
    assert [each.final for each in receipts] == [True] * len(ran.executions)
    budget = await theory.theory.ledger.get_budget(ran.plan.plan_id)
    assert (budget.reserved_usd_micro, budget.spent_usd_micro, budget.debt_usd_micro) == (0, 0, 0)
    if behaved.runtime == "local":
        assert docker("ps", "--all", "--quiet", "--filter", f"name={ran.plan.plan_id}").stdout == ""
    await check_nothing_is_left(theory)
    await check_all_is_well(theory, act("good"))


@pytest.mark.parametrize("behaved", ["process"], indirect=True)
async def test_people_see_the_reason_and_the_last_lines_and_their_terminal_stays_theirs(
    behaved: Behaved, tmp_path: Path
) -> None:
    transitions = [act("prints_what_moves_a_cursor"), act("uppercase"), act("kills_itself"), act("good")]
    (tmp_path / "plan.yaml").write_bytes(jcs.canonical(plan(*transitions)))
    async with command_line(behaved.theory.home, tmp_path) as command:
        ended = await command("run", "plan.yaml")
        shown = await command("plan", "executions", "latest", "prints-what-moves-a-cursor")
    assert (ended.code, ended.err) == (1, "")
    assert "4 executions: 1 ran, 3 failed" in ended.out
    assert "OUTPUT_REFUSED: artifacts/outputs/uppercase/README.md: a world path must be lowercase" in ended.out
    assert "PROCESSOR_FAILED: the processor ended with exit code 137 (128 + SIGKILL)" in ended.out
    for text in (ended.out, shown.out):
        assert "not UTF-8" in text
        assert "\x1b" not in text
