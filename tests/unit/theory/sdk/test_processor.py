"""The file contract of an attempt, from inside the processor."""

import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from theory.core.context import ExpandedContext
from theory.core.selector import Selector
from theory.core.spec import PolicyDoc, RegistrySnapshot
from theory.sdk.processor import Context, ProcessorError, run

ROOT = Path(__file__).parents[4]

DOCUMENT: dict[str, Any] = {
    "plan_id": "p-1",
    "transition_id": "copy",
    "execution_id": "p-1.copy.0",
    "attempt_idx": 2,
    "seed": 7,
    "inputs": {"path": "/artifacts/inputs/a.txt", "count": 3, "loud": True, "tags": ["x"]},
    "write_prefix": "/artifacts/outputs/copy/0/",
    "write_set_resolved": ["/artifacts/outputs/copy/0/", "/artifacts/shared/**", "/artifacts/outputs/meta.json"],
}


@pytest.fixture
def work_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "world" / "artifacts" / "inputs" / "more").mkdir(parents=True)
    (tmp_path / "world" / "artifacts" / "inputs" / "a.txt").write_bytes(b"alpha")
    (tmp_path / "world" / "artifacts" / "inputs" / "more" / "b.json").write_bytes(b'{"b":1}')
    (tmp_path / "world" / "artifacts" / "inputs2").mkdir()
    (tmp_path / "world" / "artifacts" / "inputs2" / "c.txt").write_bytes(b"gamma")
    (tmp_path / "out").mkdir()
    (tmp_path / "context.json").write_text(json.dumps(DOCUMENT), "utf-8")
    monkeypatch.setenv("THEORY_WORK_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def context(work_dir: Path) -> Context:
    return Context.load(work_dir)


def result_of(work_dir: Path) -> object:
    return json.loads((work_dir / "out" / "result.json").read_bytes())


def files_in(folder: Path) -> list[str]:
    return sorted(each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file())


def test_the_context_carries_what_the_attempt_is(context: Context) -> None:
    assert (context.plan_id, context.transition_id, context.execution_id) == ("p-1", "copy", "p-1.copy.0")
    assert (context.attempt_idx, context.seed) == (2, 7)
    assert context.write_prefix == "/artifacts/outputs/copy/0/"


def test_what_the_executor_writes_is_what_the_processor_reads(tmp_path: Path) -> None:
    given = ExpandedContext(
        plan_id="p-1",
        transition_id="copy",
        execution_id="p-1.copy.0",
        attempt_idx=2,
        registry_snapshot=RegistrySnapshot.of({}, datetime(2024, 1, 2, tzinfo=UTC)),
        policy=PolicyDoc.parse({"id": "default@1", "budget": {"max_usd_micro": 1}}),
        inputs={"n": 1},
        write_set_resolved=[Selector.parse("/artifacts/outputs/copy/0/**"), Selector.parse("/artifacts/meta.json")],
        budget_reserved=None,
        world_mount="/work/world",
        scratch_dir="/work/out",
        seed=7,
        memo_key="b3:" + "0" * 64,
        env_fingerprint="b3:" + "1" * 64,
        write_prefix="/artifacts/outputs/copy/0/",
    )
    context = Context(json.loads(json.dumps(given.to_document())), tmp_path)
    assert (context.plan_id, context.attempt_idx, context.seed, context.inputs) == ("p-1", 2, 7, {"n": 1})
    assert context.output_path("a.txt") == "/artifacts/outputs/copy/0/a.txt"
    assert context.output_path("/artifacts/meta.json") == "/artifacts/meta.json"


@pytest.mark.parametrize("name", sorted(DOCUMENT.keys() - {"write_prefix"}))
def test_a_context_without_one_of_its_fields_is_refused(name: str, tmp_path: Path) -> None:
    document = {key: value for key, value in DOCUMENT.items() if key != name}
    with pytest.raises(ProcessorError, match=f"field {name} is missing"):
        Context(document, tmp_path)


def test_a_context_whose_write_set_holds_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProcessorError, match="write_set_resolved must hold str, not int"):
        Context(DOCUMENT | {"write_set_resolved": [1]}, tmp_path)


@pytest.mark.parametrize(("text", "line"), [("{", "context.json is not JSON"), ("[]", "context.json is not an object")])
def test_a_context_that_is_no_document_is_refused(text: str, line: str, work_dir: Path) -> None:
    (work_dir / "context.json").write_text(text, "utf-8")
    with pytest.raises(ProcessorError, match=line):
        Context.load(work_dir)


def test_an_input_is_given_by_its_kind(context: Context) -> None:
    assert context.input("path", str) == "/artifacts/inputs/a.txt"
    assert context.input("count", int) == 3
    assert context.input("loud", bool) is True
    assert context.input("tags", list) == ["x"]


def test_an_input_that_is_not_there_has_its_default_or_is_an_error(context: Context) -> None:
    assert context.input("width", int, 0) == 0
    with pytest.raises(ProcessorError, match="input width is missing"):
        context.input("width", int)


@pytest.mark.parametrize(("name", "kind"), [("path", int), ("count", str), ("loud", int), ("tags", dict)])
def test_an_input_of_another_kind_is_refused_even_with_a_default(name: str, kind: type[Any], context: Context) -> None:
    with pytest.raises(ProcessorError, match=f"input {name} must be {kind.__name__}"):
        context.input(name, kind, kind())


def test_a_file_of_the_world_is_read(context: Context) -> None:
    assert context.read("/artifacts/inputs/a.txt") == b"alpha"
    assert context.read_json("/artifacts/inputs/more/b.json") == {"b": 1}


def test_an_open_file_can_seek(context: Context) -> None:
    with context.open("/artifacts/inputs/a.txt") as stream:
        stream.seek(2)
        assert stream.read() == b"pha"


def test_a_file_that_is_not_among_the_reads_is_an_error(context: Context) -> None:
    with pytest.raises(ProcessorError, match="is it among the reads"):
        context.read("/artifacts/inputs/z.txt")


def test_a_file_that_is_no_json_is_an_error(context: Context) -> None:
    with pytest.raises(ProcessorError, match=r"a\.txt is not JSON"):
        context.read_json("/artifacts/inputs/a.txt")


def test_a_prefix_lists_its_files_at_every_depth_and_nothing_beside_it(context: Context) -> None:
    assert context.list("/artifacts/inputs/") == ("/artifacts/inputs/a.txt", "/artifacts/inputs/more/b.json")
    assert context.list("/artifacts/nothing/") == ()
    assert context.list("/artifacts/")[:1] == ("/artifacts/inputs/a.txt",)
    assert context.list("/streams/") == ()


def test_a_prefix_without_its_slash_is_refused(context: Context) -> None:
    with pytest.raises(ProcessorError, match="not a prefix"):
        context.list("/artifacts/inputs")


HOSTILE = [
    "/artifacts/../context.json",
    "/artifacts/outputs/copy/0/../../x",
    "/artifacts/outputs/copy/0/./x",
    "/artifacts/outputs/copy/0//x",
    "/artifacts/outputs/copy/0/",
    "/artifacts/outputs/copy/0/a\\b",
    "/artifacts/outputs/copy/0/a\x00b",
    "/artifacts/outputs/copy/0/a\nb",
    "/artifacts/outputs/copy/0/A",
    "/artifacts/outputs/copy/0/e\u0301",
    "/artifacts",
    "/etc/passwd",
    "//artifacts/a",
    "",
]


@pytest.mark.parametrize("path", HOSTILE)
def test_a_path_that_is_no_world_path_is_neither_read_nor_written(path: str, context: Context, work_dir: Path) -> None:
    with pytest.raises(ProcessorError):
        context.read(path)
    with pytest.raises(ProcessorError):
        context.write(path, b"x")
    assert files_in(work_dir / "out") == []


@pytest.mark.parametrize("name", ["../x", "a/../../x", "./x", "a//b", ""])
def test_a_name_that_leaves_the_write_prefix_is_refused(name: str, context: Context) -> None:
    with pytest.raises(ProcessorError, match="not a WorldPath"):
        context.write(name, b"x")


@pytest.mark.parametrize(
    ("path", "full"),
    [
        ("a.txt", "/artifacts/outputs/copy/0/a.txt"),
        ("deep/er/a b.txt", "/artifacts/outputs/copy/0/deep/er/a b.txt"),
        ("/artifacts/outputs/copy/0/a.txt", "/artifacts/outputs/copy/0/a.txt"),
        ("/artifacts/shared/a.txt", "/artifacts/shared/a.txt"),
        ("/artifacts/outputs/meta.json", "/artifacts/outputs/meta.json"),
    ],
)
def test_an_output_lies_where_its_world_path_says(path: str, full: str, context: Context, work_dir: Path) -> None:
    assert context.write(path, b"x") == full
    assert files_in(work_dir / "out") == [full[1:]]
    assert (work_dir / "out" / full[1:]).stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("prefix", [None, ""])
def test_without_a_write_prefix_only_the_exact_files_are_written(prefix: str | None, work_dir: Path) -> None:
    context = Context(DOCUMENT | {"write_prefix": prefix, "write_set_resolved": ["/artifacts/meta.json"]}, work_dir)
    assert context.write("/artifacts/meta.json", b"{}") == "/artifacts/meta.json"
    with pytest.raises(ProcessorError, match="not a WorldPath"):
        context.write("meta.json", b"{}")
    with pytest.raises(ProcessorError, match="outside the write set"):
        context.write("/artifacts/outputs/meta.json", b"{}")


@pytest.mark.parametrize(
    "path",
    [
        "/artifacts/outputs/copy/1/a.txt",
        "/artifacts/outputs/copy/0x/a.txt",
        "/artifacts/outputs/meta.json/a.txt",
        "/artifacts/outputs/meta.json2",
        "/artifacts/shared",
        "/artifacts/shared2/a.txt",
        "/streams/camera/frames/0",
    ],
)
def test_a_path_outside_the_write_set_is_refused(path: str, context: Context) -> None:
    with pytest.raises(ProcessorError, match="outside the write set"):
        context.write(path, b"x")


def test_an_output_is_not_both_a_file_and_a_folder(context: Context) -> None:
    context.write("a", b"x")
    context.write("b/c", b"x")
    with pytest.raises(ProcessorError, match="cannot write a/b"):
        context.write("a/b", b"x")
    with pytest.raises(ProcessorError, match="cannot write b: it is a folder"):
        context.write("b", b"x")


def test_a_stream_that_fails_leaves_nothing(context: Context, work_dir: Path) -> None:
    def write_half() -> None:
        with context.writer("a.bin") as stream:
            stream.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert files_in(work_dir / "out") == []


def test_an_output_appears_only_when_it_is_whole(context: Context, work_dir: Path) -> None:
    place = work_dir / "out" / "artifacts" / "outputs" / "copy" / "0" / "a.bin"
    with context.writer("a.bin") as stream:
        stream.write(b"whole")
        assert not place.exists()
    assert place.read_bytes() == b"whole"


def test_the_last_write_of_a_path_counts(context: Context, work_dir: Path) -> None:
    context.write("a.txt", b"first")
    context.write("a.txt", b"last")
    assert (work_dir / "out" / "artifacts" / "outputs" / "copy" / "0" / "a.txt").read_bytes() == b"last"


def test_json_of_equal_values_has_equal_bytes(context: Context, work_dir: Path) -> None:
    context.write_json("a.json", {"b": 1, "a": "\u00e9"})
    context.write_json("b.json", {"a": "\u00e9", "b": 1})
    folder = work_dir / "out" / "artifacts" / "outputs" / "copy" / "0"
    assert (folder / "a.json").read_bytes() == (folder / "b.json").read_bytes() == '{"a":"\u00e9","b":1}'.encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"x": b"bytes"}, "\ud800"])
def test_what_json_cannot_hold_is_refused(value: object, context: Context) -> None:
    with pytest.raises(ProcessorError, match="cannot be written as JSON"):
        context.write_json("a.json", value)


def test_a_secret_is_a_file_first_and_a_variable_second(
    context: Context, work_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_KEY", "from the environment")
    assert context.secret("MODEL_KEY") == "from the environment"
    (work_dir / "run" / "secrets").mkdir(parents=True)
    (work_dir / "run" / "secrets" / "MODEL_KEY").write_text("from the file", "utf-8")
    assert context.secret("MODEL_KEY") == "from the file"


@pytest.mark.parametrize("name", ["ABSENT", "../../context.json", ".", "a/b"])
def test_a_secret_that_is_not_declared_is_an_error(name: str, context: Context) -> None:
    with pytest.raises(ProcessorError, match="secret"):
        context.secret(name)


def test_run_writes_the_result(work_dir: Path) -> None:
    def main(context: Context) -> Mapping[str, object]:
        return {"text_path": context.write("a.txt", context.read(context.input("path", str)))}

    run(main)
    assert result_of(work_dir) == {"outputs": {"text_path": "/artifacts/outputs/copy/0/a.txt"}}
    assert files_in(work_dir / "out") == ["artifacts/outputs/copy/0/a.txt", "result.json"]


def test_a_processor_without_outputs_has_an_empty_result(work_dir: Path) -> None:
    run(lambda _: None)
    assert result_of(work_dir) == {"outputs": {}}


def test_charges_add_up_in_the_result(work_dir: Path) -> None:
    def main(context: Context) -> None:
        context.charge(1200)
        context.charge(34)

    run(main)
    assert result_of(work_dir) == {"outputs": {}, "cost_usd_micro": 1234}


def test_a_negative_charge_is_refused(context: Context) -> None:
    with pytest.raises(ProcessorError, match="a negative cost"):
        context.charge(-1)


def test_an_error_of_the_processor_is_one_line_and_exit_code_1(
    work_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def main(_: Context) -> None:
        raise ProcessorError("no such\nsize: 0")

    with pytest.raises(SystemExit) as ended:
        run(main)
    assert ended.value.code == 1
    assert capsys.readouterr().err == "no such size: 0\n"
    assert files_in(work_dir / "out") == []


def test_outputs_that_are_no_json_fail_the_attempt(work_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(lambda _: {"data": b"bytes"})
    assert "cannot be written as JSON" in capsys.readouterr().err
    assert files_in(work_dir / "out") == []


def test_a_directory_without_a_context_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THEORY_WORK_DIR", str(tmp_path))
    with pytest.raises(SystemExit):
        run(lambda _: None)
    assert capsys.readouterr().err == "no context.json in THEORY_WORK_DIR: No such file or directory\n"


def test_any_other_exception_is_a_traceback_and_exit_code_1(work_dir: Path) -> None:
    program = "from theory.sdk.processor import run\nrun(lambda context: 1 // context.inputs['zero'])"
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("Traceback")
    assert "KeyError: 'zero'" in ended.stderr
    assert files_in(work_dir / "out") == []


def test_importing_it_loads_the_standard_library_alone() -> None:
    # Without site no installed package can be found: the import itself is the proof.
    program = "import theory.sdk.processor"
    ended = subprocess.run([sys.executable, "-S", "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
