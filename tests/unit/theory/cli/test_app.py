"""How a verb of the command line is found, run and ended."""

import subprocess
import sys
from pathlib import Path

import pytest

from theory.cli import app
from theory.cli.app import main
from theory.cli.failures import FAILED, OK, SERVICE, USAGE
from theory.cli.grammar import VERBS
from theory.core import jcs

_HELP_LOADS = """
import sys
from theory.cli.app import main
from theory.cli.grammar import VERBS, parser_of
code = main(["--help"])
helps = [parser_of(verb).format_help() for verb in VERBS]
heavy = {"asyncio", "blake3", "google", "grpc", "rich", "yaml"} & set(sys.modules)
sys.exit(f"loaded {sorted(heavy)}" if heavy else code)
"""


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No installation, and no variables that name one."""
    for name in ("THEORY_URL", "THEORY_DEBUG", "THEORY_EXECUTOR_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("THEORY_HOME", str(tmp_path))


@pytest.mark.slow
def test_help_needs_neither_grpc_nor_rich() -> None:
    ended = subprocess.run([sys.executable, "-c", _HELP_LOADS], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("usage: theory VERB ...")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"], ["--json", "--help"]])
def test_help_lists_every_verb_and_every_exit_code(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == OK
    said = capsys.readouterr().out
    if "--json" not in arguments:
        assert [verb for verb in VERBS if f"\n  {verb} " not in said] == []
        assert "exit codes:" in said


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == OK
    assert capsys.readouterr().out.startswith("theory ")
    assert main(["--version", "--json"]) == OK
    assert set(jcs.parse_object(capsys.readouterr().out)) == {"theory"}


def test_a_verb_that_is_none_is_told_with_what_may_be_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verfy"]) == USAGE
    said = capsys.readouterr().err
    assert "error: there is no verb 'verfy'" in said
    assert "did you mean 'theory verify'?" in said


@pytest.mark.parametrize(
    "arguments", [["plan"], ["plan", "ls", "--limit", "x"], ["run"], ["kv", "put", "p"], ["--url"]]
)
def test_a_command_line_that_is_wrong_shows_how_it_goes(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == USAGE
    said = capsys.readouterr()
    assert said.err.startswith("error: ")
    assert "  hint: theory" in said.err
    assert said.out == ""


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--json", "plan", "ls"], ["plan", "--json", "ls"], ["plan", "ls", "--json"]])
def test_common_options_may_stand_anywhere(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == SERVICE
    document = jcs.parse_object(capsys.readouterr().err)
    assert document["error"]["reason"] == "SERVICE_UNREACHABLE"  # type: ignore[index,call-overload]  # it is an object


def test_an_option_before_the_verb_is_not_undone_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THEORY_HOME", "elsewhere")
    assert main(["--home", str(tmp_path), "doctor", "home"]) == OK
    assert str(tmp_path) in capsys.readouterr().out


def test_a_defect_is_one_line_unless_its_stack_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> int:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(app, "_carried_out", broken)
    assert main(["doctor"]) == SERVICE
    said = capsys.readouterr().err
    assert said.startswith("error: this is a defect of the command: ZeroDivisionError: oh\n")
    assert "Traceback" not in said
    monkeypatch.setenv("THEORY_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(["doctor"])


def test_an_interrupt_and_a_closed_pipe_end_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(app, "_carried_out", interrupted)
    assert main(["doctor"]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"{sys.executable} -m theory.cli --help | head -n 1"
    ended = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert ended.stdout == "usage: theory VERB ...\n"
    assert ended.stderr == ""


def test_a_check_of_the_doctor_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "engines"]) == USAGE
    assert "versions, home, services, runtimes, engine" in capsys.readouterr().err


def test_the_doctor_names_what_others_can_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "service.key").write_bytes(bytes(32))
    (tmp_path / "service.key").chmod(0o644)
    tmp_path.chmod(0o755)
    assert main(["doctor", "home"]) == FAILED
    said = capsys.readouterr().out
    assert f"chmod 700 {tmp_path}" in said
    assert f"chmod 600 {tmp_path}/service.key" in said
