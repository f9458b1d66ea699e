"""The tables of keys."""

from pathlib import Path

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text

from services.drivers.sql.schema import Part, declare

METADATA = declare(MetaData(), [Part("kv", Path(__file__).parent / "migrations")])

PLAN = Table(
    "kv_plan",
    METADATA,
    # What keys hang on. A plan that comes again long after its end gets another one.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("plan_id", Text, nullable=False, unique=True),
    Column("keys", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("event_every", Integer, nullable=False),
    Column("changes", BigInteger, nullable=False),
    Column("end_us", BigInteger),
    # When something in it is to be removed: what has expired, what an ended plan left, at last the row itself.
    Column("sweep_us", BigInteger),
    sqlite_autoincrement=True,
)
_SWEPT = PLAN.c.sweep_us.is_not(None)
Index("kv_plan_sweep", PLAN.c.sweep_us, sqlite_where=_SWEPT, postgresql_where=_SWEPT)

ENTRY = Table(
    "kv_entry",
    METADATA,
    Column("plan", BigInteger, primary_key=True, autoincrement=False),
    Column("key", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("size_bytes", Integer, nullable=False),  # of key and value
    Column("expire_us", BigInteger),
)
_EXPIRES = ENTRY.c.expire_us.is_not(None)
Index("kv_entry_expire", ENTRY.c.plan, ENTRY.c.expire_us, sqlite_where=_EXPIRES, postgresql_where=_EXPIRES)

REQUEST = Table(
    "kv_request",
    METADATA,
    Column("plan_id", Text, primary_key=True),
    Column("request_id", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("answers", Text, nullable=False),
    Column("create_us", BigInteger, nullable=False),
    Column("forget_us", BigInteger),  # set when the plan ends
)
_FORGOTTEN = REQUEST.c.forget_us.is_not(None)
Index("kv_request_forget", REQUEST.c.forget_us, sqlite_where=_FORGOTTEN, postgresql_where=_FORGOTTEN)
