"""The tests of services/executor/config.py."""

from pathlib import Path

import pytest

from services.executor.config import ExecutorConfig
from theory.core.errors import Invalid


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("REGISTRY", "EXECUTOR", "ARTIFACTS", "RESOURCES", "LEDGER"):
        monkeypatch.delenv(f"THEORY_{name}_URL", raising=False)
    monkeypatch.setenv("THEORY_HOME", str(tmp_path))


def test_by_itself_everything_is_below_the_home(tmp_path: Path) -> None:
    config = ExecutorConfig.load()
    assert config.database_url == f"sqlite:///{tmp_path}/executor.db"
    assert config.url == f"unix://{tmp_path}/executor.sock"
    assert config.ledger_url == f"unix://{tmp_path}/ledger.sock"
    assert (config.runtimes, config.default_runtime) == ("local mock", "local")
    assert config.build_root is None


def test_embedded_all_peers_answer_at_one_address(tmp_path: Path) -> None:
    url = f"unix://{tmp_path}/theory.sock"
    config = ExecutorConfig.embedded(tmp_path, url)
    assert {config.url, config.registry_url, config.artifacts_url, config.resources_url, config.ledger_url} == {url}


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("RUNTIMES", "mock"), ("DEFAULT_RUNTIME", "mock"), ("MAX_IN_FLIGHT", "3"), ("REGION", "eu")):
        monkeypatch.setenv(f"THEORY_EXECUTOR_{name}", value)
    config = ExecutorConfig.load()
    assert (config.runtimes, config.default_runtime, config.max_in_flight, config.region) == ("mock", "mock", 3, "eu")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_IN_FLIGHT", "0"),
        ("MAX_IN_FLIGHT", "many"),
        ("MAX_OUTPUT_FILES", "10001"),
        ("MAX_CONTAINERS", "-1"),
        ("ENGINE_URL", "tcp://user:pass@host"),
    ],
)
def test_a_wrong_value_names_its_variable_and_not_the_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"THEORY_EXECUTOR_{name}", value)
    with pytest.raises(Invalid) as caught:
        ExecutorConfig.load()
    assert caught.value.reason == "CONFIG_INVALID"
    assert f"THEORY_EXECUTOR_{name}" in caught.value.message
    assert "pass" not in caught.value.message.removeprefix("THEORY").replace("password", "")


def test_a_variable_that_is_no_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEORY_EXECUTOR_MAX_INFLIGHT", "3")
    with pytest.raises(Invalid) as caught:
        ExecutorConfig.load()
    assert caught.value.reason == "CONFIG_KEY_UNKNOWN"
