"""The tables of messages: what moves is a small row, bodies lie beside it."""

from pathlib import Path

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, SmallInteger, Table, Text

from services.drivers.sql.schema import Part, declare

LIVE = 0
DEAD = 1

METADATA = declare(MetaData(), [Part("queue", Path(__file__).parent / "migrations")])

PLAN = Table(
    "queue_plan",
    METADATA,
    Column("plan_id", Text, primary_key=True),
    Column("messages", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("event_every", Integer, nullable=False),
    Column("changes", BigInteger, nullable=False),
    Column("end_us", BigInteger),
    sqlite_with_rowid=False,
)
_ENDED = PLAN.c.end_us.is_not(None)
Index("queue_plan_end", PLAN.c.end_us, sqlite_where=_ENDED, postgresql_where=_ENDED)

TOPIC = Table(
    "queue_topic",
    METADATA,
    # What messages hang on. At the end of a plan its topics lose their plan: nobody finds their messages any more.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("plan_id", Text),
    Column("name", Text, nullable=False),
    Column("max_receives", Integer, nullable=False),
    Column("live", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
_LOST = TOPIC.c.plan_id.is_(None)
Index("queue_topic_name", TOPIC.c.plan_id, TOPIC.c.name, unique=True)
Index("queue_topic_lost", TOPIC.c.number, sqlite_where=_LOST, postgresql_where=_LOST)

ITEM = Table(
    "queue_item",
    METADATA,
    # The key alone: a planner that knows nothing of a table yet finds a message by nothing else.
    Column("message_id", Text, primary_key=True),
    Column("topic", BigInteger, nullable=False),
    Column("side", SmallInteger, nullable=False),
    Column("visible_us", BigInteger, nullable=False),
    Column("deliveries", Integer, nullable=False),  # the fence: it never goes back
    Column("forgiven", Integer, nullable=False),  # the deliveries that a redrive no longer counts
    Column("max_receives", Integer, nullable=False),  # the topic's, so that a consume reads one table
    Column("publish_us", BigInteger, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    sqlite_with_rowid=False,
)
Index("queue_item_visible", ITEM.c.topic, ITEM.c.side, ITEM.c.visible_us, ITEM.c.message_id)

# Apart from what each delivery rewrites: a body is written once and read where it is handed out.
BODY = Table(
    "queue_body",
    METADATA,
    Column("message_id", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

KEY = Table(
    "queue_idempotency",
    METADATA,
    Column("topic", BigInteger, primary_key=True, autoincrement=False),
    Column("idempotency_key", Text, primary_key=True),
    Column("message_id", Text, nullable=False),
    Column("forget_us", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
Index("queue_idempotency_forget", KEY.c.forget_us)
