"""Plans, executions, remembered results, and what is to be cancelled."""

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables; those that an earlier program made without migrations stay."""
    op.create_table(
        "cancellation",
        sa.Column("plan_id", sa.Text(), nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("plan_id", "execution_id"),
        if_not_exists=True,
    )
    op.create_table(
        "execution",
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("plan_id", sa.Text(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("execution_id"),
        if_not_exists=True,
    )
    op.create_index("execution_changes", "execution", ["plan_id", "seq"], if_not_exists=True)
    op.create_index("execution_in_plan", "execution", ["plan_id", "ordinal"], unique=True, if_not_exists=True)
    op.create_table(
        "memo",
        sa.Column("position", _NUMBER, nullable=False),
        sa.Column("memo_key", sa.Text(), nullable=False),
        sa.Column("processor_name", sa.Text(), nullable=False),
        sa.Column("write_prefix", sa.Text(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
        sa.UniqueConstraint("memo_key"),
        if_not_exists=True,
    )
    op.create_index("memo_of_place", "memo", ["processor_name", "write_prefix", "position"], if_not_exists=True)
    op.create_index("memo_of_processor", "memo", ["processor_name", "position"], if_not_exists=True)
    op.create_table(
        "plan",
        sa.Column("plan_id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("scratch_ended", sa.Integer(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("plan_id"),
        sa.UniqueConstraint("request_id"),
        if_not_exists=True,
    )
