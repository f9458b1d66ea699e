"""Tables come to what a program knows step by step, all of it or nothing, and never backwards."""

from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, MetaData, Table, Text, inspect, text

from services.drivers.sql.schema import Part, declare, make, parts_of, revision_of
from services.drivers.sqlite import Session, Sqlite
from theory.core.errors import NotReady

STEPS = {
    "r0001_first": ['op.create_table("item", sa.Column("name", sa.Text()), if_not_exists=True)'],
    "r0002_second": ['op.add_column("item", sa.Column("size", sa.Integer(), server_default="7"))'],
    "r0003_broken": ['op.create_table("other", sa.Column("a", sa.Text()))', 'op.execute("SELECT 1 FROM nowhere")'],
}


def part(folder: Path, *steps: str) -> Part:
    """A part with these migrations; their folder is new for each, as a program's is."""
    folder.mkdir()
    for at, step in enumerate(steps, start=1):
        before = None if at == 1 else f"r{at - 1:04}"
        lines = [
            "import sqlalchemy as sa",
            "from alembic import op",
            f'revision, down_revision = "r{at:04}", {before!r}',
            "def upgrade():",
            *(f"    {each}" for each in STEPS[step]),
        ]
        (folder / f"{step}.py").write_text("\n".join(lines))
    return Part("items", folder)


def metadata_of(*parts: Part) -> MetaData:
    return declare(MetaData(), parts)


@pytest.fixture
def session() -> Session:
    return Sqlite(None, durable=False).session(readonly=False)


def names(connection: Connection) -> list[str]:
    return inspect(connection).get_table_names()


def test_a_fresh_database_takes_every_step_and_keeps_how_far_it_is(session: Session, tmp_path: Path) -> None:
    known = part(tmp_path / "a", "r0001_first", "r0002_second")
    assert (known.head, revision_of(session.connection, known)) == ("r0002", None)
    for _ in range(2):
        make(session.connection, metadata_of(known))
    assert revision_of(session.connection, known) == "r0002"
    assert names(session.connection) == ["alembic_version_items", "item"]


def test_rows_live_through_the_steps_that_are_new(session: Session, tmp_path: Path) -> None:
    make(session.connection, metadata_of(part(tmp_path / "a", "r0001_first")))
    session.connection.execute(text("INSERT INTO item VALUES ('a')"))
    make(session.connection, metadata_of(part(tmp_path / "b", "r0001_first", "r0002_second")))
    assert session.connection.execute(text("SELECT * FROM item")).all() == [("a", 7)]


def test_a_database_from_before_there_were_steps_is_taken_over(session: Session, tmp_path: Path) -> None:
    session.connection.execute(text("CREATE TABLE item (name TEXT)"))
    session.connection.execute(text("INSERT INTO item VALUES ('a')"))
    make(session.connection, metadata_of(part(tmp_path / "a", "r0001_first", "r0002_second")))
    assert session.connection.execute(text("SELECT * FROM item")).all() == [("a", 7)]


def test_a_database_of_a_newer_program_is_refused(session: Session, tmp_path: Path) -> None:
    make(session.connection, metadata_of(part(tmp_path / "a", "r0001_first", "r0002_second")))
    with pytest.raises(NotReady) as caught:
        make(session.connection, metadata_of(part(tmp_path / "b", "r0001_first")))
    assert caught.value.reason == "SCHEMA_NEWER"
    assert caught.value.metadata == {"part": "items", "found": "r0002", "known": "r0001"}


def test_a_step_that_fails_leaves_nothing_of_those_before_it(session: Session, tmp_path: Path) -> None:
    session.begin_write([])
    with pytest.raises(Exception, match="nowhere"):
        make(session.connection, metadata_of(part(tmp_path / "a", *STEPS)))
    session.roll_back()
    assert names(session.connection) == []


def test_parts_in_one_database_go_their_own_ways(session: Session, tmp_path: Path) -> None:
    items = part(tmp_path / "a", "r0001_first", "r0002_second")
    others = Part("others", part(tmp_path / "b", "r0001_first").folder)
    both = metadata_of(items, others)
    assert [each.name for each in parts_of(declare(both, [items]))] == ["items", "others"]
    make(session.connection, both)
    assert [revision_of(session.connection, each) for each in (items, others)] == ["r0002", "r0001"]


def test_tables_of_no_part_are_made_as_they_are(session: Session) -> None:
    metadata = MetaData()
    Table("plain", metadata, Column("name", Text))
    for _ in range(2):
        make(session.connection, metadata)
    assert names(session.connection) == ["plain"]
