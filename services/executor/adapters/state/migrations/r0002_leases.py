"""Plans have a holder, where executors share them."""

import sqlalchemy as sa
from alembic import op

revision = "r0002"
down_revision = "r0001"


def upgrade() -> None:
    """Nobody holds what is there."""
    op.add_column("plan", sa.Column("holder", sa.Text(), nullable=False, server_default=""))
    op.add_column("plan", sa.Column("lease_us", sa.BigInteger(), nullable=False, server_default="0"))
