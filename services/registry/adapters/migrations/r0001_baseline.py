"""Specs and snapshots, and the triggers that keep them as they are."""

import sqlalchemy as sa
from alembic import op

from services.drivers.sql.refusals import DEEDS, refuse

revision = "r0001"
down_revision = None


def upgrade() -> None:
    """Make the tables; those that an earlier program made without migrations stay."""
    op.create_table(
        "snapshot",
        sa.Column("snapshot_id", sa.Text(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("snapshot_id"),
        sqlite_strict=True,
        if_not_exists=True,
    )
    op.create_table(
        "spec",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("create_time", sa.Text(), nullable=False),
        sa.Column("seal", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "ref"),
        sqlite_strict=True,
        if_not_exists=True,
    )
    for table in ("spec", "snapshot"):
        for deed in DEEDS:
            refuse(table, deed)
