"""A missing backend is a loud skip here and a failure where it is required."""

import pytest

from tests.backends import PREFIX, REQUIRED, program_missing, require


@pytest.fixture(autouse=True)
def nothing_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REQUIRED, raising=False)


def test_a_backend_that_is_here_lets_the_test_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRED, "redis")
    require("redis", None)


def test_a_missing_backend_skips_with_its_name() -> None:
    with pytest.raises(pytest.skip.Exception, match=f"^{PREFIX}redis: no server$"):
        require("redis", "no server")


@pytest.mark.parametrize("required", ["redis", "docker, redis", "all"])
def test_a_missing_backend_that_is_required_fails(monkeypatch: pytest.MonkeyPatch, required: str) -> None:
    monkeypatch.setenv(REQUIRED, required)
    with pytest.raises(pytest.fail.Exception, match=r"redis is required here .*no server"):
        require("redis", "no server")


def test_a_program_is_looked_for_on_the_path() -> None:
    assert program_missing("sh") is None
    assert program_missing("no-such-program") == "there is no no-such-program on the PATH"
