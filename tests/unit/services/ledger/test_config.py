"""What the ledger may be told, and what it is told by default."""

from pathlib import Path

import pytest

from services.ledger.config import LedgerConfig
from theory.core.errors import Invalid


def test_the_books_are_kept_in_the_home_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEORY_HOME", str(tmp_path))
    assert LedgerConfig.load().database_url == f"sqlite:///{tmp_path}/ledger.db"


def test_embedded_it_answers_at_the_shared_address(tmp_path: Path) -> None:
    assert LedgerConfig.embedded(tmp_path, "unix:///run/theory.sock").url == "unix:///run/theory.sock"


@pytest.mark.parametrize(
    ("name", "value"),
    [("THEORY_LEDGER_DATABASE", "memory:"), ("THEORY_LEDGER_DATABASE_URL", "postgresql://me:secret@host/db")],
)
def test_a_wrong_setting_is_named_and_its_value_is_not(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(Invalid) as refused:
        LedgerConfig.load()
    assert name in refused.value.message
    assert value not in refused.value.message
