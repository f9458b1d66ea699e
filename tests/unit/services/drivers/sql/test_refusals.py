"""What a table refuses, SQLite itself says; Postgres is asked in tests/conformance/test_ledger_refusals.py."""

from collections.abc import Callable

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from services.drivers.sql.refusals import DEEDS, UPDATE, refuse
from services.drivers.sqlite import Session, Sqlite


@pytest.fixture
def session() -> Session:
    opened = Sqlite(None, durable=False).session(readonly=False)
    opened.connection.execute(text("CREATE TABLE item (name TEXT, size INTEGER)"))
    opened.connection.execute(text("INSERT INTO item VALUES ('a', 1)"))
    return opened


def _said(session: Session, say: Callable[[], None]) -> None:
    with Operations.context(MigrationContext.configure(session.connection)):
        say()


def _all() -> None:
    for deed in DEEDS:
        refuse("item", deed)


def _but_smaller() -> None:
    refuse("item", UPDATE, unless="NEW.size < OLD.size AND NEW.name = OLD.name")


@pytest.mark.parametrize("deed", ["UPDATE item SET size = 0", "DELETE FROM item"])
def test_what_is_refused_is_not_done(session: Session, deed: str) -> None:
    _said(session, _all)
    with pytest.raises(IntegrityError, match="an item is kept as it is"):
        session.connection.execute(text(deed))


def test_one_kind_of_update_is_let_through_later(session: Session) -> None:
    _said(session, _all)
    _said(session, _but_smaller)
    session.connection.execute(text("UPDATE item SET size = 0"))
    for deed in ("UPDATE item SET size = 2", "UPDATE item SET size = -1, name = 'b'", "DELETE FROM item"):
        with pytest.raises(IntegrityError):
            session.connection.execute(text(deed))
