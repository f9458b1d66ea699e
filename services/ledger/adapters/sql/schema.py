"""The tables of the ledger, and what the database itself refuses.

An event stands once, as the bytes that were hashed; beside them is only what a query needs. `event_key` stands for plan
and event id together, so that the index that makes an append idempotent stays small.
"""

from typing import Any

from sqlalchemy import (
    DDL,
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    event,
)

METADATA = MetaData(info={"version": 2})

_NUMBER = BigInteger().with_variant(Integer, "sqlite")


def _table(name: str, *parts: Column[Any] | CheckConstraint | UniqueConstraint | Index, rowid: bool) -> Table:
    # Strict: a column holds its type or the write fails, whoever writes.
    return Table(name, METADATA, *parts, sqlite_strict=True, sqlite_with_rowid=rowid)


def _column(name: str, kind: Any, *, key: bool = False, optional: bool = False) -> Column[Any]:  # noqa: ANN401 - a type
    return Column(name, kind, primary_key=key, nullable=optional, autoincrement=False)


HEAD = _table(
    "head",
    Column("chain", _NUMBER, primary_key=True, autoincrement=True),
    _column("plan_id", Text),
    _column("seq", _NUMBER),
    _column("this_hash", Text),
    UniqueConstraint("plan_id"),
    rowid=True,
)
EVENT = _table(
    "event",
    _column("log_index", _NUMBER, key=True),
    _column("chain", _NUMBER),
    _column("seq", _NUMBER),
    _column("event_key", Text),
    _column("kind", Text),
    _column("ts_us", _NUMBER),
    _column("this_hash", LargeBinary),
    _column("preimage", LargeBinary),
    UniqueConstraint("chain", "seq"),
    UniqueConstraint("event_key"),
    rowid=True,
)
LOG = _table(
    "log",
    _column("id", _NUMBER, key=True),
    _column("size", _NUMBER),
    CheckConstraint("id = 1"),
    rowid=True,
)
TILE = _table(
    "tile",
    _column("level", _NUMBER, key=True),
    _column("tile_index", _NUMBER, key=True),
    _column("hashes", LargeBinary),
    rowid=True,
)
RECEIPT = _table(
    "receipt",
    _column("receipt_id", Text, key=True),
    _column("plan_id", Text),
    _column("position", _NUMBER),
    _column("kind", Text),
    _column("execution_id", Text),
    _column("epoch", _NUMBER),
    _column("preimage", LargeBinary),
    Index("receipt_of_plan", "plan_id", "position", unique=True),
    rowid=True,
)
BUDGET = _table(
    "budget",
    _column("plan_id", Text, key=True),
    _column("cap", _NUMBER),
    _column("reserved", _NUMBER),
    _column("spent", _NUMBER),
    _column("debt", _NUMBER),
    CheckConstraint("reserved >= 0 AND spent >= 0 AND debt >= 0 AND reserved + spent <= cap"),
    rowid=False,
)
EXECUTION = _table(
    "execution",
    _column("execution_id", Text, key=True),
    _column("plan_id", Text, optional=True),
    _column("epoch", _NUMBER),
    _column("fenced_epoch", _NUMBER),
    _column("settled_receipt_id", Text, optional=True),
    rowid=False,
)
ATTEMPT = _table(
    "attempt",
    _column("execution_id", Text, key=True),
    _column("epoch", _NUMBER, key=True),
    _column("attempt_idx", _NUMBER),
    _column("reserved", _NUMBER),
    _column("state", Text),
    _column("outcome", Text, optional=True),
    _column("cost", _NUMBER),
    _column("receipt_id", Text, optional=True),
    CheckConstraint("state IN ('open', 'settled', 'lost')"),
    rowid=False,
)

_SQLITE_REFUSES = (
    "CREATE TRIGGER {table}_refuses_{deed} BEFORE {deed} ON {table}"
    " BEGIN SELECT RAISE(ABORT, 'an {table} is kept as it is'); END"
)
_POSTGRES_REFUSES = (
    "CREATE FUNCTION {table}_refuses_{deed}() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN RAISE EXCEPTION 'an {table} is kept as it is' USING ERRCODE = 'integrity_constraint_violation'; END $$;"
    " CREATE TRIGGER {table}_refuses_{deed} BEFORE {deed} ON {table}"
    " FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuses_{deed}()"
)
_REFUSALS = [
    *(("sqlite", _SQLITE_REFUSES, deed) for deed in ("update", "delete")),
    *(("postgresql", _POSTGRES_REFUSES, deed) for deed in ("update", "delete", "truncate")),
]

for _kept in (EVENT, RECEIPT):
    for _dialect, _statement, _deed in _REFUSALS:
        _refusal = DDL(_statement.format(table=_kept.name, deed=_deed))  # type: ignore[no-untyped-call]
        event.listen(_kept, "after_create", _refusal.execute_if(dialect=_dialect))
