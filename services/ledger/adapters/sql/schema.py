"""The tables of the ledger, and what the database itself refuses."""

from typing import Any

from sqlalchemy import (
    DDL,
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

METADATA = MetaData()


def _table(name: str, *parts: Column[Any] | CheckConstraint | UniqueConstraint | Index, rowid: bool) -> Table:
    # Strict: a column holds its type or the write fails, whoever writes.
    return Table(name, METADATA, *parts, sqlite_strict=True, sqlite_with_rowid=rowid)


def _column(name: str, kind: type[Any], *, key: bool = False, optional: bool = False) -> Column[Any]:
    return Column(name, kind, primary_key=key, nullable=optional, autoincrement=False)


_EVENT = _table(
    "event",
    _column("plan_id", Text, key=True),
    _column("seq", Integer, key=True),
    _column("event_id", Text),
    _column("kind", Text),
    _column("ts", Text),
    _column("prev_hash", Text),
    _column("this_hash", Text),
    _column("preimage", LargeBinary),
    UniqueConstraint("plan_id", "event_id"),
    rowid=False,
)
_RECEIPT = _table(
    "receipt",
    _column("receipt_id", Text, key=True),
    _column("plan_id", Text),
    _column("position", Integer),
    _column("kind", Text),
    _column("execution_id", Text),
    _column("epoch", Integer),
    _column("preimage", LargeBinary),
    Index("receipt_of_plan", "plan_id", "position", unique=True),
    rowid=True,
)
_table(
    "head",
    _column("plan_id", Text, key=True),
    _column("seq", Integer),
    _column("this_hash", Text),
    rowid=False,
)
_table(
    "budget",
    _column("plan_id", Text, key=True),
    _column("cap", Integer),
    _column("reserved", Integer),
    _column("spent", Integer),
    _column("debt", Integer),
    CheckConstraint("reserved >= 0 AND spent >= 0 AND debt >= 0 AND reserved + spent <= cap"),
    rowid=False,
)
_table(
    "execution",
    _column("execution_id", Text, key=True),
    _column("plan_id", Text, optional=True),
    _column("epoch", Integer),
    _column("fenced_epoch", Integer),
    _column("settled_receipt_id", Text, optional=True),
    rowid=False,
)
_table(
    "attempt",
    _column("execution_id", Text, key=True),
    _column("epoch", Integer, key=True),
    _column("attempt_idx", Integer),
    _column("reserved", Integer),
    _column("state", Text),
    _column("outcome", Text, optional=True),
    _column("cost", Integer),
    _column("receipt_id", Text, optional=True),
    CheckConstraint("state IN ('open', 'settled', 'lost')"),
    rowid=False,
)
for _kept in (_EVENT, _RECEIPT):
    for _deed in ("UPDATE", "DELETE"):
        event.listen(
            _kept,
            "after_create",
            DDL(  # type: ignore[no-untyped-call]
                f"CREATE TRIGGER {_kept.name}_refuses_{_deed.lower()} BEFORE {_deed} ON {_kept.name}"
                f" BEGIN SELECT RAISE(ABORT, 'an {_kept.name} is kept as it is'); END"
            ),
        )
