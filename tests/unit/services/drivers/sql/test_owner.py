"""What an owner is asked to do, and where nobody is; roles of Postgres: tests/integration/test_migrations.py."""

from pathlib import Path

import pytest
from sqlalchemy import Column, MetaData, Table, Text

from services.drivers import outbox
from services.drivers.sql.owner import Located, migrate
from theory.core.errors import Invalid


def tables() -> MetaData:
    metadata = MetaData()
    Table("item", metadata, Column("name", Text))
    return outbox.beside(metadata)


@pytest.mark.parametrize(
    ("url", "migrated"),
    [
        ("sqlite:///a.db", True),
        ("postgresql:///a", True),
        ("memory:", False),
        ("redis://h", False),
        ("modal://", False),
    ],
)
def test_only_what_outlives_the_process_is_migrated(url: str, migrated: bool) -> None:
    assert Located(url, MetaData()).migrated is migrated


async def test_what_was_done_is_told(tmp_path: Path) -> None:
    located = Located(f"sqlite:///{tmp_path}/a.db", tables())
    assert await migrate(located) == [("outbox", None, "r0001")]
    assert await migrate(located) == [("outbox", "r0001", "r0001")]


async def test_a_file_knows_no_roles(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        await migrate(Located(f"sqlite:///{tmp_path}/a.db", tables()), role="teller")
    assert caught.value.metadata["field"] == "grant"
    assert not (tmp_path / "a.db").exists()
