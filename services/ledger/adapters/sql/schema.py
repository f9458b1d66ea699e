"""The tables of the ledger. What the database itself refuses stands in the migrations.

An event stands once, as the bytes that were hashed; beside them is only what a query needs. `event_key` stands for plan
and event id together, so that the index that makes an append idempotent stays small.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import (
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
)

from services.drivers.sql.owner import ALL, RIGHTS
from services.drivers.sql.schema import Part, declare

METADATA = declare(MetaData(), [Part("ledger", Path(__file__).parent / "migrations")])

_NUMBER = BigInteger().with_variant(Integer, "sqlite")


def _table(
    name: str, *parts: Column[Any] | CheckConstraint | UniqueConstraint | Index, rowid: bool, rights: str = ALL
) -> Table:
    # Strict: a column holds its type or the write fails, whoever writes.
    return Table(name, METADATA, *parts, sqlite_strict=True, sqlite_with_rowid=rowid, info={RIGHTS: rights})


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
    rights="SELECT, INSERT, UPDATE (preimage)",
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
    rights="SELECT, INSERT",
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
