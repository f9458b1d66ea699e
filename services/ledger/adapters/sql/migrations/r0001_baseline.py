"""The books of the ledger: chains, events, the tree, receipts, accounts, attempts."""

import sqlalchemy as sa
from alembic import op

from services.drivers.sql.refusals import DEEDS, refuse

revision = "r0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables; those that an earlier program made without migrations stay."""
    op.create_table(
        "attempt",
        sa.Column("execution_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("epoch", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("attempt_idx", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("reserved", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("outcome", sa.Text(), autoincrement=False, nullable=True),
        sa.Column("cost", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("receipt_id", sa.Text(), autoincrement=False, nullable=True),
        sa.CheckConstraint("state IN ('open', 'settled', 'lost')"),
        sa.PrimaryKeyConstraint("execution_id", "epoch"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "budget",
        sa.Column("plan_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("cap", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("reserved", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("spent", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("debt", _NUMBER, autoincrement=False, nullable=False),
        sa.CheckConstraint("reserved >= 0 AND spent >= 0 AND debt >= 0 AND reserved + spent <= cap"),
        sa.PrimaryKeyConstraint("plan_id"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "event",
        sa.Column("log_index", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("chain", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("seq", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("event_key", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("ts_us", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("this_hash", sa.LargeBinary(), autoincrement=False, nullable=False),
        sa.Column("preimage", sa.LargeBinary(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("log_index"),
        sa.UniqueConstraint("chain", "seq"),
        sa.UniqueConstraint("event_key"),
        sqlite_strict=True,
        sqlite_with_rowid=True,
        if_not_exists=True,
    )
    op.create_table(
        "execution",
        sa.Column("execution_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("plan_id", sa.Text(), autoincrement=False, nullable=True),
        sa.Column("epoch", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("fenced_epoch", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("settled_receipt_id", sa.Text(), autoincrement=False, nullable=True),
        sa.PrimaryKeyConstraint("execution_id"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "head",
        sa.Column("chain", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("plan_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("seq", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("this_hash", sa.Text(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("chain"),
        sa.UniqueConstraint("plan_id"),
        sqlite_strict=True,
        sqlite_with_rowid=True,
        if_not_exists=True,
    )
    op.create_table(
        "log",
        sa.Column("id", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("size", _NUMBER, autoincrement=False, nullable=False),
        sa.CheckConstraint("id = 1"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_strict=True,
        sqlite_with_rowid=True,
        if_not_exists=True,
    )
    op.create_table(
        "receipt",
        sa.Column("receipt_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("plan_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("position", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("execution_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("epoch", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("preimage", sa.LargeBinary(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("receipt_id"),
        sqlite_strict=True,
        sqlite_with_rowid=True,
        if_not_exists=True,
    )
    op.create_index("receipt_of_plan", "receipt", ["plan_id", "position"], unique=True, if_not_exists=True)
    op.create_table(
        "tile",
        sa.Column("level", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("tile_index", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("hashes", sa.LargeBinary(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("level", "tile_index"),
        sqlite_strict=True,
        sqlite_with_rowid=True,
        if_not_exists=True,
    )
    for table in ("event", "receipt"):
        for deed in DEEDS:
            refuse(table, deed)
