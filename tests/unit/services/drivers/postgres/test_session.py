"""One connection to Postgres: lost and found, locked against others, and heard by them."""

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from services.drivers.postgres import Postgres
from services.drivers.postgres.session import Session, driver_of
from services.drivers.sql.words import note
from tests.servers import Servers

pytestmark = pytest.mark.slow


@pytest.fixture
def database(servers: Servers) -> Postgres:
    return Postgres(servers.postgres(), None, durable=True)


@pytest.fixture
def session(database: Postgres) -> Iterator[Session]:
    made = database.session(readonly=False)
    yield made
    made.close()


def test_a_lost_connection_is_replaced(session: Session) -> None:
    session.begin_write(["a"])
    with pytest.raises(OperationalError):
        session.connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert session.lost
    assert not session.open
    session.roll_back()
    session.renew()
    session.begin_write(["a"])
    assert session.connection.scalar(text("SELECT 7")) == 7
    session.commit()


def test_a_transaction_that_can_no_longer_be_undone_is_given_up(session: Session) -> None:
    session.begin_write([])
    driver_of(session.connection).pgconn.finish()
    session.roll_back()
    assert session.lost


def test_who_has_a_lock_too_waits_for_the_end(database: Postgres, session: Session) -> None:
    other = database.session(readonly=False)
    session.begin_write(["b", "a"])
    began = threading.Event()

    def wait() -> None:
        other.begin_write(["c", "a"])
        began.set()
        other.commit()

    waiting = threading.Thread(target=wait)
    waiting.start()
    free = database.session(readonly=False)
    free.begin_write(["d"])
    free.commit()
    assert not began.is_set()
    session.commit()
    waiting.join(10)
    assert began.is_set()
    other.close()
    free.close()


def test_a_part_is_undone_alone(session: Session) -> None:
    connection = session.connection
    session.begin_write([])
    connection.execute(text("CREATE TABLE t (n integer)"))
    for number in range(4):
        session.save()
        connection.execute(text("INSERT INTO t VALUES (:n)"), {"n": number})
        if number % 2:
            session.undo()
        session.release()
    session.commit()
    assert connection.scalars(text("SELECT n FROM t ORDER BY n")).all() == [0, 2]


def test_what_is_noted_is_told_with_the_commit_and_not_without(database: Postgres, session: Session) -> None:
    listening = database.session(readonly=True)
    hearing = driver_of(listening.connection)
    hearing.execute("LISTEN theory")
    for said, ends in (("lost", session.roll_back), ("it's \u00e9", session.commit), ("again", session.commit)):
        session.begin_write([])
        note(session.connection, said)
        note(session.connection, said)
        ends()
    told = list(hearing.notifies(timeout=5, stop_after=2))
    assert [(each.payload, each.pid) for each in told] == [("it's \u00e9", session.pid), ("again", session.pid)]
    listening.close()
