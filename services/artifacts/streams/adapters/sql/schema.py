"""The tables of streams: one row of counters for each, and its chunks by index."""

from pathlib import Path

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text

from services.drivers import outbox
from services.drivers.sql.schema import Part, declare

METADATA = declare(MetaData(), [Part("streams", Path(__file__).parent / "migrations")])
outbox.add_to(METADATA)

# Text that sorts by its bytes, which is what the order of listings and "below a series" rely on.
_BY_BYTES = Text(collation="C").with_variant(Text(), "sqlite")

STREAM = Table(
    "stream",
    METADATA,
    # What chunks hang on: a series in each of their keys would weigh more than many a chunk.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("world", _BY_BYTES, nullable=False),
    Column("series", _BY_BYTES, nullable=False),
    Column("max_chunks", Integer, nullable=False),
    Column("max_bytes", BigInteger, nullable=False),
    Column("sample_every_n", Integer, nullable=False),
    Column("chunk_count", BigInteger, nullable=False),
    Column("dropped_chunks", BigInteger, nullable=False),
    Column("kept_bytes", BigInteger, nullable=False),
    Column("create_us", BigInteger, nullable=False),
    Column("update_us", BigInteger, nullable=False),
    Column("last_idx", BigInteger, nullable=False),
    Column("last_mark", Text, nullable=False),
)
Index("stream_series", STREAM.c.world, STREAM.c.series, unique=True)

CHUNK = Table(
    "stream_chunk",
    METADATA,
    Column("stream", BigInteger, primary_key=True, autoincrement=False),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("cid", Text, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("append_us", BigInteger, nullable=False),
    # Behind what is asked for without it: SQLite need not read the pages of long bytes.
    Column("data", LargeBinary, nullable=False),
)

DROPPED = Table("stream_dropped_world", METADATA, Column("world", Text, primary_key=True))
