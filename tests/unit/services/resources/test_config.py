"""Settings of the resources service."""

from pathlib import Path

import pytest

from services.resources.config import ResourcesConfig
from theory.core.errors import Invalid


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("THEORY_URL", "THEORY_RESOURCES_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("THEORY_HOME", str(tmp_path))
    return tmp_path


def test_keys_and_messages_share_one_file_in_the_home_and_secrets_are_variables(bare: Path) -> None:
    config = ResourcesConfig.load()
    assert config.kv_url == config.queue_url == f"sqlite:///{bare}/resources.db"
    assert config.secrets_url == "env:"


def test_each_store_has_its_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEORY_RESOURCES_KV_URL", "memory:")
    monkeypatch.setenv("THEORY_RESOURCES_SECRETS_URL", "dotenv:secrets.env")
    config = ResourcesConfig.load()
    assert (config.kv_url, config.secrets_url) == ("memory:", "dotenv:secrets.env")
    assert config.queue_url.startswith("sqlite:///")


def test_a_variable_that_is_no_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEORY_RESOURCES_KV_ULR", "memory:")
    with pytest.raises(Invalid, match="THEORY_RESOURCES_KV_ULR"):
        ResourcesConfig.load()


def test_a_password_in_a_url_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEORY_RESOURCES_KV_URL", "redis://user:canary@host/0")
    with pytest.raises(Invalid) as raised:
        ResourcesConfig.load()
    assert "THEORY_RESOURCES_KV_URL" in raised.value.message
    assert "canary" not in repr(raised.value)


def test_embedded_it_listens_where_the_others_do(tmp_path: Path) -> None:
    config = ResourcesConfig.embedded(tmp_path / "home", "unix:///run/theory.sock")
    assert config.url == "unix:///run/theory.sock"
    assert config.kv_url == f"sqlite:///{tmp_path}/home/resources.db"
