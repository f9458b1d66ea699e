"""Paths, fences, inputs, pins, marks, dropped worlds, notes."""

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision = None


def upgrade() -> None:
    """Make the tables; those that an earlier program made without migrations stay."""
    op.create_table(
        "dropped_world",
        sa.Column("world", sa.Text(), nullable=False),
        sa.Column("time_us", sa.Integer(), nullable=False),
        sa.Column("paths", sa.Integer(), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("world"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_index("world_dropping", "dropped_world", ["world"], sqlite_where=sa.text("done IS 0"), if_not_exists=True)
    op.create_table(
        "fence",
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("plan_id", sa.Text(), nullable=True),
        sa.Column("world", sa.Text(), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("time_us", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("execution_id"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_index("fence_in_doubt", "fence", ["time_us"], sqlite_where=sa.text("open"), if_not_exists=True)
    op.create_table(
        "hold",
        sa.Column("world", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("cid", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("time_us", sa.Integer(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("world", "path"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_index("hold_of_cid", "hold", ["cid"], if_not_exists=True)
    op.create_index("hold_of_owner", "hold", ["owner"], sqlite_where=sa.text("owner IS NOT NULL"), if_not_exists=True)
    op.create_table(
        "input",
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("cid", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("world", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("execution_id", "path"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_index("input_of_cid", "input", ["execution_id", "cid"], if_not_exists=True)
    op.create_index("input_of_world", "input", ["world"], if_not_exists=True)
    op.create_table(
        "mark",
        sa.Column("cid", sa.Text(), nullable=False),
        sa.Column("time_us", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("deleting", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("cid"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_index("mark_by_time", "mark", ["time_us"], sqlite_where=sa.text("deleting IS 0"), if_not_exists=True)
    op.create_index("mark_deleting", "mark", ["cid"], sqlite_where=sa.text("deleting IS 1"), if_not_exists=True)
    op.create_table(
        "note",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "pin",
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("cid", sa.Text(), nullable=False),
        sa.Column("world", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("holder", "kind", "cid", "world"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_index("pin_of_cid", "pin", ["cid"], if_not_exists=True)
    op.create_index("pin_of_world", "pin", ["world"], if_not_exists=True)
