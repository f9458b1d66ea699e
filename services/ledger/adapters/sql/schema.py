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

from theory.core.pruning import PRUNABLE

METADATA = MetaData(info={"version": 3})

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

_PRUNABLE = " OR ".join(
    f"substr(OLD.kind, 1, {len(each) - 1}) = '{each[:-1]}'" if each.endswith("*") else f"OLD.kind = '{each}'"
    for each in PRUNABLE
)
_KEPT = ("log_index", "chain", "seq", "event_key", "kind", "ts_us", "this_hash")
_IS_PRUNED = f"length(NEW.preimage) = 0 AND ({_PRUNABLE}) AND " + " AND ".join(
    f"NEW.{each} = OLD.{each}" for each in _KEPT
)
"""What may happen to an event: it loses its preimage, and nothing else; none that anything is proven with."""

_SQLITE_REFUSES = (
    "CREATE TRIGGER {table}_refuses_{deed} BEFORE {deed} ON {table} {when}"
    " BEGIN SELECT RAISE(ABORT, 'an {table} is kept as it is'); END"
)
_POSTGRES_REFUSES = (
    "CREATE FUNCTION {table}_refuses_{deed}() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN RAISE EXCEPTION 'an {table} is kept as it is' USING ERRCODE = 'integrity_constraint_violation'; END $$;"
    " CREATE TRIGGER {table}_refuses_{deed} BEFORE {deed} ON {table} {when}"
    " EXECUTE FUNCTION {table}_refuses_{deed}()"
)


def _refuse(table: Table, deed: str, *, unless: str = "") -> None:
    when = f"WHEN (NOT ({unless}))" if unless else ""
    every = "FOR EACH ROW" if unless else "FOR EACH STATEMENT"
    for dialect, statement, told in (
        ("sqlite", _SQLITE_REFUSES, when),
        ("postgresql", _POSTGRES_REFUSES, f"{every} {when}"),
    ):
        if dialect == "sqlite" and deed == "truncate":  # there is no such thing
            continue
        refusal = DDL(statement.format(table=table.name, deed=deed, when=told))  # type: ignore[no-untyped-call]
        event.listen(table, "after_create", refusal.execute_if(dialect=dialect))


_refuse(EVENT, "update", unless=_IS_PRUNED)
_refuse(RECEIPT, "update")
for _kept in (EVENT, RECEIPT):
    for _deed in ("delete", "truncate"):
        _refuse(_kept, _deed)
