"""Topics, messages, their bodies, and the keys that keep a message from being published twice."""

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables; those that an earlier program made without migrations stay."""
    op.create_table(
        "queue_body",
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("message_id"),
        if_not_exists=True,
    )
    op.create_table(
        "queue_idempotency",
        sa.Column("topic", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("forget_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("topic", "idempotency_key"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_index("queue_idempotency_forget", "queue_idempotency", ["forget_us"], if_not_exists=True)
    op.create_table(
        "queue_item",
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("topic", sa.BigInteger(), nullable=False),
        sa.Column("side", sa.SmallInteger(), nullable=False),
        sa.Column("visible_us", sa.BigInteger(), nullable=False),
        sa.Column("deliveries", sa.Integer(), nullable=False),
        sa.Column("forgiven", sa.Integer(), nullable=False),
        sa.Column("max_receives", sa.Integer(), nullable=False),
        sa.Column("publish_us", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("message_id"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_index(
        "queue_item_visible", "queue_item", ["topic", "side", "visible_us", "message_id"], if_not_exists=True
    )
    op.create_table(
        "queue_plan",
        sa.Column("plan_id", sa.Text(), nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("event_every", sa.Integer(), nullable=False),
        sa.Column("changes", sa.BigInteger(), nullable=False),
        sa.Column("end_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("plan_id"),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_index(
        "queue_plan_end",
        "queue_plan",
        ["end_us"],
        sqlite_where=sa.text("end_us IS NOT NULL"),
        postgresql_where=sa.text("end_us IS NOT NULL"),
        if_not_exists=True,
    )
    op.create_table(
        "queue_topic",
        sa.Column("number", _NUMBER, nullable=False),
        sa.Column("plan_id", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("max_receives", sa.Integer(), nullable=False),
        sa.Column("live", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_index(
        "queue_topic_lost",
        "queue_topic",
        ["number"],
        sqlite_where=sa.text("plan_id IS NULL"),
        postgresql_where=sa.text("plan_id IS NULL"),
        if_not_exists=True,
    )
    op.create_index("queue_topic_name", "queue_topic", ["plan_id", "name"], unique=True, if_not_exists=True)
