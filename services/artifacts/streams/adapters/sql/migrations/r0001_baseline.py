"""Streams, their chunks, and worlds that were dropped."""

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_BY_BYTES = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    """Make the tables; those that an earlier program made without migrations stay."""
    op.create_table(
        "stream",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("world", _BY_BYTES, nullable=False),
        sa.Column("series", _BY_BYTES, nullable=False),
        sa.Column("max_chunks", sa.Integer(), nullable=False),
        sa.Column("max_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sample_every_n", sa.Integer(), nullable=False),
        sa.Column("chunk_count", sa.BigInteger(), nullable=False),
        sa.Column("dropped_chunks", sa.BigInteger(), nullable=False),
        sa.Column("kept_bytes", sa.BigInteger(), nullable=False),
        sa.Column("create_us", sa.BigInteger(), nullable=False),
        sa.Column("update_us", sa.BigInteger(), nullable=False),
        sa.Column("last_idx", sa.BigInteger(), nullable=False),
        sa.Column("last_mark", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        if_not_exists=True,
    )
    op.create_index("stream_series", "stream", ["world", "series"], unique=True, if_not_exists=True)
    op.create_table(
        "stream_chunk",
        sa.Column("stream", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("idx", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("cid", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("append_us", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("stream", "idx"),
        if_not_exists=True,
    )
    op.create_table(
        "stream_dropped_world",
        sa.Column("world", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("world"),
        if_not_exists=True,
    )
