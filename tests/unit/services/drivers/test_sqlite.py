"""SQLite's errors in our words."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError

from services.drivers.sqlite import Sqlite, translated
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


def test_a_folder_that_cannot_be_made_is_a_store_out_of_reach(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(Unavailable) as caught:
        Sqlite(tmp_path / "file" / "below" / "a.db", durable=True).session(readonly=False)
    assert caught.value.reason == "STORE_UNREACHABLE"
    assert caught.value.message == "the folder of the store cannot be made: Not a directory"


def test_what_a_failing_statement_was_given_is_in_no_message() -> None:
    session = Sqlite(None, durable=False).session(readonly=False)
    with pytest.raises(OperationalError) as caught:
        session.connection.execute(text("INSERT INTO nowhere VALUES (:body)"), {"body": "precious"})
    session.close()
    assert "precious" not in repr(caught.value)
    assert "precious" not in str(caught.value)
