"""Plans, their keys, and the answers that a repeated request gets."""

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables; those that an earlier program made without migrations stay."""
    op.create_table(
        "kv_entry",
        sa.Column("plan", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("expire_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("plan", "key"),
        if_not_exists=True,
    )
    op.create_index(
        "kv_entry_expire",
        "kv_entry",
        ["plan", "expire_us"],
        sqlite_where=sa.text("expire_us IS NOT NULL"),
        postgresql_where=sa.text("expire_us IS NOT NULL"),
        if_not_exists=True,
    )
    op.create_table(
        "kv_plan",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("plan_id", sa.Text(), nullable=False),
        sa.Column("keys", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("event_every", sa.Integer(), nullable=False),
        sa.Column("changes", sa.BigInteger(), nullable=False),
        sa.Column("end_us", sa.BigInteger(), nullable=True),
        sa.Column("sweep_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("plan_id"),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_index(
        "kv_plan_sweep",
        "kv_plan",
        ["sweep_us"],
        sqlite_where=sa.text("sweep_us IS NOT NULL"),
        postgresql_where=sa.text("sweep_us IS NOT NULL"),
        if_not_exists=True,
    )
    op.create_table(
        "kv_request",
        sa.Column("plan_id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("answers", sa.Text(), nullable=False),
        sa.Column("create_us", sa.BigInteger(), nullable=False),
        sa.Column("forget_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("plan_id", "request_id"),
        if_not_exists=True,
    )
    op.create_index(
        "kv_request_forget",
        "kv_request",
        ["forget_us"],
        sqlite_where=sa.text("forget_us IS NOT NULL"),
        postgresql_where=sa.text("forget_us IS NOT NULL"),
        if_not_exists=True,
    )
