"""The tests of services/launch.py."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest

from services.launch import Assemble, launch
from services.settings import ServiceSettings, Url, address
from theory.core.errors import Invalid, NotReady
from theory.wire.server import ServiceUnit

_ROOT = Path(__file__).parents[3]


class _Settings(ServiceSettings):
    service: ClassVar[str] = "ledger"

    url: Url = address("ledger")


def _refusing(error: Exception) -> Assemble:
    async def assemble() -> ServiceUnit:
        raise error

    return assemble


def _launch(*assemblies: Assemble) -> int:
    return launch(_Settings, lambda _: assemblies, lambda _: [], [])


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where it is told to serve; logging stays as it was."""
    monkeypatch.setattr("services.launch.configure_logging", lambda: None)
    monkeypatch.setenv("THEORY_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("THEORY_LEDGER_URL", raising=False)
    return tmp_path / "home"


def test_what_cannot_start_says_so_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert _launch(_refusing(NotReady("SCHEMA_NEWER", "a newer program made this store", found="2", known="1"))) == 1
    told = capsys.readouterr().err
    assert told == "error: a newer program made this store (SCHEMA_NEWER found=2 known=1)\n"


def test_an_error_without_facts_is_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert _launch(_refusing(Invalid("CONFIG_INVALID", "wrong"))) == 1
    assert capsys.readouterr().err == "error: wrong (CONFIG_INVALID)\n"


def test_a_wrong_setting_is_one_line_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("THEORY_LEDGER_LIMITS", "3")
    assert _launch() == 1
    assert capsys.readouterr().err == "error: not a setting: THEORY_LEDGER_LIMITS (CONFIG_KEY_UNKNOWN)\n"


def test_a_home_that_cannot_be_made_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home.write_text("a file")
    monkeypatch.setenv("THEORY_HOME", str(home / "below"))
    assert _launch() == 1
    assert capsys.readouterr().err.splitlines() == [
        f"error: THEORY_HOME cannot be used: {home}/below: Not a directory (CONFIG_INVALID)"
    ]


def test_a_home_that_cannot_be_written_is_one_line_too(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "ledger.lock").mkdir(parents=True)
    assert _launch() == 1
    assert capsys.readouterr().err == f"error: THEORY_HOME cannot be used: {home}: Is a directory (CONFIG_INVALID)\n"


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        _launch(_refusing(ZeroDivisionError()))


def test_a_home_is_served_once(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home.mkdir()
    with (home / "ledger.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert _launch() == 1
    told = capsys.readouterr().err
    assert told.startswith("error: another process serves this home: ")
    assert f"(HOME_LOCKED path={home}/ledger.lock)" in told


def test_the_lock_goes_with_who_held_it(home: Path) -> None:
    for _ in range(2):
        assert _launch(_refusing(Invalid("CONFIG_INVALID", "wrong"))) == 1
    with (home / "ledger.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_home_is_made_for_its_owner_alone(home: Path) -> None:
    _launch(_refusing(Invalid("CONFIG_INVALID", "wrong")))
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / "ledger.lock").stat().st_mode & 0o777 == 0o600


def test_two_services_of_one_home_do_not_lock_each_other_out(home: Path) -> None:
    home.mkdir()
    with (home / "registry.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ZeroDivisionError):
            _launch(_refusing(ZeroDivisionError()))


def test_what_was_opened_is_closed_where_a_later_one_cannot_be() -> None:
    closed: list[str] = []

    def opened(name: str) -> Assemble:
        async def close() -> None:
            closed.append(name)

        async def assemble() -> ServiceUnit:
            return ServiceUnit(name, {}, lambda _: None, close=close)

        return assemble

    assert _launch(opened("first"), opened("second"), _refusing(Invalid("CONFIG_INVALID", "wrong"))) == 1
    assert closed == ["second", "first"]


@pytest.mark.slow
def test_a_second_process_on_one_home_ends_with_one_line_and_1(home: Path) -> None:
    home.mkdir()
    with (home / "ledger.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        ended = subprocess.run(
            [sys.executable, "-m", "services.ledger"],
            cwd=_ROOT,
            env={"PATH": os.environ["PATH"], "THEORY_HOME": str(home)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (ended.returncode, ended.stdout) == (1, "")
    advice = "another process serves this home: stop it, or choose another THEORY_HOME"
    assert ended.stderr == f"error: {advice} (HOME_LOCKED path={home}/ledger.lock)\n"


def test_a_wrong_address_is_nobodys_fault_but_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THEORY_LEDGER_URL", "http://localhost")
    assert _launch(_refusing(Invalid("CONFIG_INVALID", "never asked"))) == 1
    told = "not an address: write unix:///absolute/path or grpc://host:port"
    assert capsys.readouterr().err == f"error: {told} (URL_INVALID url=http://localhost)\n"
