"""What products say differently, in words that each of them understands."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Insert, Table, insert
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement, SyntaxExtension
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import InternalTraversal

from services.drivers.moments import to_us
from services.drivers.sql.statement import driver_of
from theory.core.clock import Clock

NOTES = "notes"
READ_TIME = "time"
"""Under these names a connection's `info` holds what is noted, and what the time was, in this transaction."""

_DATABASE_NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"


def insert_new(table: Table) -> Insert:
    """An insert that passes over rows whose key is taken."""
    return insert(table).ext(_OnConflict((), ()))


def upsert(table: Table) -> Insert:
    """An insert that replaces the row whose primary key is taken."""
    key = [column.name for column in table.primary_key]
    return insert(table).ext(_OnConflict(key, [each.name for each in table.c if each.name not in key]))


def now_us(connection: Connection, clock: Clock) -> int:
    """The time that counts for what is written: the database's where it is a server, so that replicas share one.

    A server is asked once in a transaction; from there on `clock` tells how much time has passed.
    """
    if connection.dialect.name != "postgresql":
        return to_us(clock.now())
    if READ_TIME not in connection.info:
        [asked_us] = driver_of(connection).execute(_DATABASE_NOW).fetchone()
        connection.info[READ_TIME] = asked_us, clock.monotonic()
    read: tuple[int, float] = connection.info[READ_TIME]
    return read[0] + round((clock.monotonic() - read[1]) * 1_000_000)


def note(connection: Connection, text: str) -> None:
    """Tell the other replicas once this transaction commits; nobody where the database has none."""
    if connection.dialect.name == "postgresql":
        connection.info.setdefault(NOTES, set()).add(text)


class _OnConflict(SyntaxExtension, ClauseElement):
    """The clause as both SQLite and Postgres take it. SQLAlchemy's own belong to one dialect each."""

    _traverse_internals = [  # noqa: RUF012 - as SQLAlchemy wants it: it makes the statement's cache key
        ("key", InternalTraversal.dp_string_list),
        ("changed", InternalTraversal.dp_string_list),
    ]

    def __init__(self, key: Sequence[str], changed: Sequence[str]) -> None:
        self.key = list(key)
        self.changed = list(changed)

    def apply_to_insert(self, insert_stmt: Insert) -> None:
        insert_stmt.apply_syntax_extension_point(self.append_replacing_same_type, "post_values")


@compiles(_OnConflict)
def _spelled(clause: _OnConflict, compiler: SQLCompiler, **_: Any) -> str:
    if not clause.changed:
        return "ON CONFLICT DO NOTHING"
    quote = compiler.preparer.quote
    key = ", ".join(map(quote, clause.key))
    changes = ", ".join(f"{quote(name)} = excluded.{quote(name)}" for name in clause.changed)
    return f"ON CONFLICT ({key}) DO UPDATE SET {changes}"
