"""SQLite's errors in our words."""

import sqlite3

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from services.drivers.sqlite import translated
from theory.core.errors import Corrupt, Exhausted, Unavailable


def failure(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("words of the provider")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (sqlite3.SQLITE_FULL, Exhausted),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, Unavailable),
        (sqlite3.SQLITE_READONLY, Unavailable),
        (sqlite3.SQLITE_IOERR_FSYNC, Unavailable),
        (sqlite3.SQLITE_CORRUPT_INDEX, Corrupt),
        (sqlite3.SQLITE_NOTADB, Corrupt),
    ],
)
def test_a_failing_store_speaks_in_our_words(code: int, expected: type[Exception]) -> None:
    for error in (failure(code), OperationalError("SELECT 1", (), failure(code))):
        found = translated(error)
        assert isinstance(found, expected)
        assert "provider" not in str(found)
        assert found.__cause__ is error


def test_what_a_statement_did_wrong_is_left_as_it_is() -> None:
    wrong = OperationalError("SELEKT 1", (), failure(sqlite3.SQLITE_ERROR))
    taken = IntegrityError("INSERT", (), sqlite3.IntegrityError("taken"))
    assert translated(wrong) is wrong
    assert translated(taken) is taken
    assert translated(KeyError("x")).args == ("x",)
