"""The tests of services/settings.py."""

from pathlib import Path
from typing import ClassVar

import pytest

from services.settings import EmbeddedSettings, ServiceSettings, Url, address, beside
from theory.core.errors import Invalid


class _Settings(ServiceSettings):
    service: ClassVar[str] = "ledger"

    url: Url = address("ledger")
    database_url: Url = beside("ledger.db")
    artifacts_url: Url = address("artifacts")
    limit: int = 3


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("THEORY_URL", "THEORY_LEDGER_URL", "THEORY_ARTIFACTS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("THEORY_HOME", str(tmp_path))


def test_everything_has_a_place_in_the_home(tmp_path: Path) -> None:
    settings = _Settings.load()
    assert settings.home == tmp_path
    assert settings.database_url == f"sqlite:///{tmp_path}/ledger.db"


def test_a_service_listens_where_its_peers_look_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEORY_LEDGER_URL", "grpc://127.0.0.1:7000")
    monkeypatch.setenv("THEORY_ARTIFACTS_URL", "grpc://127.0.0.1:7001")
    settings = _Settings.load()
    assert (settings.url, settings.artifacts_url) == ("grpc://127.0.0.1:7000", "grpc://127.0.0.1:7001")


def test_a_relative_home_is_one_directory_for_ever(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THEORY_HOME", "state")
    assert _Settings.load().home == tmp_path / "state"


def test_embedded_services_share_one_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("THEORY_LEDGER_LIMIT", "5")
    settings = _Settings.embedded(tmp_path, "unix:///run/theory.sock")
    assert settings.url == settings.artifacts_url == "unix:///run/theory.sock"
    assert settings.limit == 5


def test_a_misspelt_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEORY_LEDGER_LIMITS", "5")
    with pytest.raises(Invalid, match="THEORY_LEDGER_LIMITS"):
        _Settings.load()


def test_a_wrong_value_is_named_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEORY_LEDGER_LIMIT", "hunter2")
    with pytest.raises(Invalid, match="THEORY_LEDGER_LIMIT") as caught:
        _Settings.load()
    assert "hunter2" not in str(caught.value)


def test_a_password_in_a_url_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEORY_LEDGER_DATABASE_URL", "postgresql://me:hunter2@host/db")
    with pytest.raises(Invalid) as caught:
        _Settings.load()
    expected = "THEORY_LEDGER_DATABASE_URL: a URL holds no password; put it into the secret beside it"
    assert caught.value.message == expected
    assert caught.value.__cause__ is None


def test_a_wrong_address_is_told_by_the_name_of_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEORY_LEDGER_URL", "grpc://me:hunter2@host:1")
    with pytest.raises(Invalid) as caught:
        _Settings.load()
    assert caught.value.message.startswith("THEORY_LEDGER_URL: a URL holds no password")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(_Settings.load(), "limit", 4)  # noqa: B010 - the type checker would refuse it first


def test_all_five_listen_at_theory_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEORY_URL", "unix:///run/all.sock")
    assert EmbeddedSettings.load().url == "unix:///run/all.sock"


def test_a_home_may_have_any_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("THEORY_HOME", str(tmp_path / "what? 100% #1"))
    assert _Settings.load().database_url == f"sqlite:///{tmp_path}/what%3F%20100%25%20%231/ledger.db"


def test_all_five_are_served_where_they_share_a_process() -> None:
    assert EmbeddedSettings.load().serves == ("registry", "executor", "artifacts", "resources", "ledger")
    assert _Settings.load().serves == ("ledger",)
