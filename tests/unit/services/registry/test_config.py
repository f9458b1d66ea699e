"""What the registry may be told, and what it is told by default."""

from pathlib import Path

import pytest

from services.registry.config import RegistryConfig
from theory.core.errors import Invalid


def test_everything_is_kept_in_the_home_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEORY_HOME", str(tmp_path))
    config = RegistryConfig.load()
    assert config.database_url == f"sqlite:///{tmp_path}/registry.db"
    assert config.catalog is None


def test_embedded_it_finds_the_ledger_at_the_shared_address(tmp_path: Path) -> None:
    config = RegistryConfig.embedded(tmp_path, "unix:///run/theory.sock")
    assert (config.url, config.ledger_url) == ("unix:///run/theory.sock", "unix:///run/theory.sock")


def test_the_environment_says_where_things_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEORY_REGISTRY_DATABASE_URL", "memory:")
    monkeypatch.setenv("THEORY_REGISTRY_CATALOG", "/etc/theory/catalog")
    config = RegistryConfig.load()
    assert (config.database_url, config.catalog) == ("memory:", Path("/etc/theory/catalog"))


def test_a_setting_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEORY_REGISTRY_CATALOGUE", "x")
    with pytest.raises(Invalid, match="THEORY_REGISTRY_CATALOGUE"):
        RegistryConfig.load()
