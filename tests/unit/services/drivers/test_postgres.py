"""Postgres's addresses, and its errors in our words."""

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import MetaData, text
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from services.drivers.postgres import Postgres, product, translated
from services.drivers.postgres.session import driver_of
from services.drivers.sql import Database
from tests.servers import Servers
from theory.core.errors import Corrupt, Exhausted, Invalid, NotReady, Unavailable
from theory.core.secret import Secret


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me@host/db",
        "postgresql://me@host:5433/db?sslmode=verify-full&sslrootcert=/ca.pem",
        "postgresql:///db?host=/run/postgresql",
        "postgresql://me@/db?host=%2Frun%2Fpostgresql",
        "postgresql://me@one,two:5433/db?target_session_attrs=read-write",
    ],
)
def test_an_address_names_a_database(url: str) -> None:
    assert isinstance(product(url, durable=True, secret=None), Postgres)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:",
        "postgresql://me@host",
        "postgresql://me:precious@host/db",
        "postgresql://me@host/db?password=precious",
        "postgresql://me@host/db?passfile=/precious",
        "postgresql://me@host/db?options=-c%20fsync=off",
        "postgresql://me@host/db?nonsense=precious",
        "postgresql://me@[precious/db",
    ],
)
def test_another_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        product(url, durable=True, secret=None)
    assert caught.value.reason == "URL_INVALID"
    assert "precious" not in repr(caught.value)
    assert caught.value.__context__ is None or "precious" not in str(caught.value.__cause__)


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (errors.DiskFull, Exhausted),
        (errors.DataCorrupted, Corrupt),
        (errors.IndexCorrupted, Corrupt),
        (errors.InsufficientPrivilege, NotReady),
        (errors.InvalidPassword, NotReady),
        (errors.AdminShutdown, Unavailable),
        (errors.CannotConnectNow, Unavailable),
        (errors.TooManyConnections, Unavailable),
        (errors.IoError, Unavailable),
        (errors.DeadlockDetected, Unavailable),
        (errors.SerializationFailure, Unavailable),
        (errors.IdleInTransactionSessionTimeout, Unavailable),
        (errors.ReadOnlySqlTransaction, Unavailable),
        (psycopg.OperationalError, Unavailable),
        (psycopg.InterfaceError, Unavailable),
    ],
)
def test_a_failing_store_speaks_in_our_words(failure: type[psycopg.Error], expected: type[Exception]) -> None:
    raw = failure("words of the provider")
    for error in (raw, OperationalError("SELECT 1", (), raw)):
        found = translated(error)
        assert type(found) is expected
        assert "provider" not in str(found)
        assert found.__cause__ is error


def test_what_a_statement_did_wrong_is_left_as_it_is() -> None:
    wrong = ProgrammingError("SELEKT 1", (), errors.SyntaxError("no"))
    taken = IntegrityError("INSERT", (), errors.UniqueViolation("taken"))
    assert translated(wrong) is wrong
    assert translated(taken) is taken
    assert translated(KeyError("x")).args == ("x",)


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable) as caught:
        await Database.open(
            "postgresql://me@/db?host=/nowhere", MetaData(), durable=True, secret=Secret("S", "precious")
        )
    assert "precious" not in repr(caught.value.__cause__)


@pytest.mark.slow
def test_a_connection_is_durable_patient_and_quiet(servers: Servers) -> None:
    session = Postgres(servers.postgres(), None, durable=True).session(readonly=True)
    asked = "synchronous_commit", "idle_in_transaction_session_timeout", "default_transaction_read_only"
    told = [driver_of(session.connection).execute(f"SHOW {name}").fetchone() for name in asked]
    assert told == [("on",), ("20s",), ("on",)]
    with pytest.raises(ProgrammingError) as caught:
        session.connection.execute(text("INSERT INTO nowhere VALUES (:body)"), {"body": "precious"})
    assert "precious" not in repr(caught.value)
    assert "precious" not in str(caught.value)
    session.close()
