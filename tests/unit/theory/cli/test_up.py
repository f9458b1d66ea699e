"""What the services of a checkout are told."""

import io
from pathlib import Path

import pytest

from theory.cli.environment import read
from theory.cli.output import Output
from theory.cli.session import Session
from theory.cli.up import variables

_ROOT = Path("/checkout")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("THEORY_EXECUTOR_RUNTIMES", "THEORY_EXECUTOR_BUILD_ROOT", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)


def _variables(runtime: str | None = None, url: str | None = None) -> dict[str, str]:
    output = Output(as_json=False, colour=False, stdout=io.StringIO(), stderr=io.StringIO())
    return variables(Session(environment=read({}), output=output, home=Path("/home"), url=url), _ROOT, runtime)


def test_they_get_the_home_and_the_checkout() -> None:
    assert _variables() == {
        "THEORY_HOME": "/home",
        "PYTHONPATH": "/checkout",
        "THEORY_EXECUTOR_BUILD_ROOT": "/checkout",
    }


def test_a_runtime_is_served_and_becomes_the_default() -> None:
    told = _variables("process")
    assert told["THEORY_EXECUTOR_RUNTIMES"] == "local mock process"
    assert told["THEORY_EXECUTOR_DEFAULT_RUNTIME"] == "process"


def test_what_the_environment_says_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEORY_EXECUTOR_RUNTIMES", "mock")
    monkeypatch.setenv("THEORY_EXECUTOR_BUILD_ROOT", "/elsewhere")
    monkeypatch.setenv("PYTHONPATH", "/more")
    told = _variables("mock", "grpc://127.0.0.1:1")
    assert told["THEORY_EXECUTOR_RUNTIMES"] == "mock"
    assert told["PYTHONPATH"] == "/checkout:/more"
    assert told["THEORY_URL"] == "grpc://127.0.0.1:1"
    assert "THEORY_EXECUTOR_BUILD_ROOT" not in told
