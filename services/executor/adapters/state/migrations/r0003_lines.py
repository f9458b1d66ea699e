"""Executions stand in lines, where policies limit how many run of one processor."""

import sqlalchemy as sa
from alembic import op

revision = "r0003"
down_revision = "r0002"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Nobody stands anywhere."""
    op.create_table(
        "place_in_line",
        sa.Column("position", _NUMBER, nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("lease_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
        sa.UniqueConstraint("execution_id"),
    )
    op.create_index("places_of_line", "place_in_line", ["line", "position"])
