"""Pins, marks, dropped worlds and notes in SQL, beside the table of paths, in whose transactions they are written."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Column, Connection, Index, Integer, MetaData, Table, Text, text

from services.artifacts.adapters.bindings.sql_lists import json_of, texts_of
from services.artifacts.ports import DroppedWorld, Mark, Pin, PinKind, StoredBlob
from services.drivers.moments import from_us, to_us
from services.drivers.sql.statement import Statement
from theory.core.cid import Cid
from theory.core.ids import ExecutionId

_METADATA = MetaData()

_PIN = Table(
    "pin",
    _METADATA,
    Column("holder", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("cid", Text, primary_key=True),
    Column("world", Text, primary_key=True),
    sqlite_with_rowid=False,
)
Index("pin_of_cid", _PIN.c.cid)
Index("pin_of_world", _PIN.c.world)

_MARK = Table(
    "mark",
    _METADATA,
    Column("cid", Text, primary_key=True),
    Column("time_us", Integer, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("deleting", Boolean, nullable=False),
    sqlite_with_rowid=False,
)
Index("mark_by_time", _MARK.c.time_us, sqlite_where=_MARK.c.deleting.is_(False))
Index("mark_deleting", _MARK.c.cid, sqlite_where=_MARK.c.deleting.is_(True))

_DROPPED = Table(
    "dropped_world",
    _METADATA,
    Column("world", Text, primary_key=True),
    Column("time_us", Integer, nullable=False),
    Column("paths", Integer, nullable=False),
    Column("done", Boolean, nullable=False),
    sqlite_with_rowid=False,
)
Index("world_dropping", _DROPPED.c.world, sqlite_where=_DROPPED.c.done.is_(False))

_NOTE = Table(
    "note",
    _METADATA,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)

_MARK_COLUMNS = "m.cid, m.time_us, m.size_bytes, m.deleting"
_AMONG = "IN (SELECT value FROM json_each(:asked))"

# Said to the driver: most of them stand in the way of every write, and find nothing.
PINNED = Statement(
    text(f"SELECT cid FROM pin WHERE holder = :holder AND kind IN ('input', 'upload') AND cid {_AMONG}")  # noqa: S608 - names of columns
)
REFERENCED = Statement(
    text("""
SELECT a.value FROM json_each(:asked) AS a
WHERE EXISTS (SELECT 1 FROM hold AS h WHERE h.cid = a.value)
OR EXISTS (SELECT 1 FROM pin AS p WHERE p.cid = a.value)""")
)
MARKED = Statement(text("SELECT 1 FROM mark LIMIT 1"))
MARKS = Statement(text(f"SELECT {_MARK_COLUMNS} FROM mark AS m WHERE m.cid {_AMONG}"))  # noqa: S608 - as above
DUE = Statement(
    text(f"""
SELECT {_MARK_COLUMNS} FROM mark AS m WHERE m.deleting IS 0 AND m.time_us < :before
ORDER BY m.time_us, m.cid LIMIT :most""")  # noqa: S608 - as above
)
DELETING = Statement(
    text(f"SELECT {_MARK_COLUMNS} FROM mark AS m WHERE m.deleting IS 1 ORDER BY m.cid LIMIT :most")  # noqa: S608 - as above
)
DROPPED = Statement(text(f"SELECT world, time_us, paths, done FROM dropped_world WHERE world {_AMONG}"))  # noqa: S608 - as above
DROPPING = Statement(text("SELECT world, time_us, paths, done FROM dropped_world WHERE done IS 0 ORDER BY world"))
RESERVER = Statement(text("SELECT execution_id FROM fence WHERE open AND world = :world LIMIT 1"))
NOTED = Statement(text("SELECT value FROM note WHERE name = :name"))
_PINS = Statement(
    text("""
INSERT INTO pin (holder, kind, cid, world)
SELECT json_extract(a.value, '$[0]'), json_extract(a.value, '$[1]'), json_extract(a.value, '$[2]'),
json_extract(a.value, '$[3]') FROM json_each(:asked) AS a WHERE true ON CONFLICT DO NOTHING""")
)
_UNPIN = Statement(text(f"DELETE FROM pin WHERE holder {_AMONG} AND kind = :kind"))  # noqa: S608 - as above
_ADD_MARKS = Statement(
    text("""
INSERT INTO mark (cid, time_us, size_bytes, deleting)
SELECT json_extract(a.value, '$[0]'), :time_us, json_extract(a.value, '$[1]'), 0
FROM json_each(:asked) AS a WHERE true ON CONFLICT DO NOTHING""")
)
_UNMARK = Statement(text(f"DELETE FROM mark WHERE cid {_AMONG}"))  # noqa: S608 - as above
_CONDEMN = Statement(text(f"UPDATE mark SET deleting = 1 WHERE cid {_AMONG}"))  # noqa: S608 - as above
_DROP = Statement(
    text("""
INSERT INTO dropped_world (world, time_us, paths, done) VALUES (:world, :time_us, :paths, :done)
ON CONFLICT (world) DO UPDATE SET paths = excluded.paths, done = excluded.done""")
)
_DROP_HOLDS = Statement(
    text("""
DELETE FROM hold WHERE world = :world AND path IN (
  SELECT path FROM hold WHERE world = :world ORDER BY path LIMIT :most)""")
)
_DROP_PINS = Statement(
    text("""
DELETE FROM pin WHERE (holder, kind, cid, world) IN (
  SELECT holder, kind, cid, world FROM pin WHERE world = :world ORDER BY holder, kind, cid LIMIT :most)""")
)
_SET_NOTE = Statement(
    text(
        "INSERT INTO note (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
    )
)


def add_to(metadata: MetaData) -> None:
    """Make these tables a part of the database."""
    for table in _METADATA.sorted_tables:
        table.to_metadata(metadata)


class RetentionRows:
    """That part of a `BindingTransaction`, on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def pinned(self, holder: str, cids: Collection[Cid]) -> set[Cid]:
        rows = PINNED.rows(self._connection, holder=holder, asked=texts_of(cids)) if cids else []
        return {Cid(row[0]) for row in rows}

    def referenced(self, cids: Collection[Cid]) -> set[Cid]:
        return {Cid(row[0]) for row in REFERENCED.rows(self._connection, asked=texts_of(cids))} if cids else set()

    def marked(self) -> bool:
        return MARKED.scalar(self._connection) is not None

    def marks(self, cids: Collection[Cid]) -> Mapping[Cid, Mark]:
        if not cids or not self.marked():
            return {}
        return _marks_of(MARKS.rows(self._connection, asked=texts_of(cids)))

    def due(self, before: datetime, limit: int) -> Mapping[Cid, Mark]:
        return _marks_of(DUE.rows(self._connection, before=to_us(before), most=limit))

    def deleting(self, limit: int) -> Mapping[Cid, Mark]:
        return _marks_of(DELETING.rows(self._connection, most=limit))

    def dropped(self, worlds: Collection[str]) -> Mapping[str, DroppedWorld]:
        rows = DROPPED.rows(self._connection, asked=json_of(sorted(worlds))) if worlds else []
        return {row[0]: _dropped_of(row) for row in rows}

    def dropping(self) -> list[DroppedWorld]:
        return [_dropped_of(row) for row in DROPPING.rows(self._connection)]

    def reserver(self, world: str) -> ExecutionId | None:
        found = RESERVER.scalar(self._connection, world=world)
        return None if found is None else ExecutionId(found)

    def noted(self, name: str) -> str | None:
        found: str | None = NOTED.scalar(self._connection, name=name)
        return found

    def pin(self, pins: Collection[Pin]) -> None:
        rows = [(each.holder, each.kind, each.cid.text, each.world) for each in pins]
        _PINS.run(self._connection, asked=json_of(rows))

    def unpin(self, holders: Collection[str], kind: PinKind) -> None:
        _UNPIN.run(self._connection, asked=json_of(list(holders)), kind=kind.value)

    def mark(self, blobs: Collection[StoredBlob], time: datetime) -> None:
        rows = [(each.cid.text, each.size_bytes) for each in blobs]
        _ADD_MARKS.run(self._connection, asked=json_of(rows), time_us=to_us(time))

    def unmark(self, cids: Collection[Cid]) -> None:
        _UNMARK.run(self._connection, asked=texts_of(cids))

    def condemn(self, cids: Collection[Cid]) -> None:
        _CONDEMN.run(self._connection, asked=texts_of(cids))

    def drop(self, world: DroppedWorld) -> None:
        row = {"world": world.world, "time_us": to_us(world.time), "paths": world.paths, "done": world.done}
        _DROP.run(self._connection, **row)

    def drop_rows(self, world: str, limit: int) -> tuple[int, int]:
        holds = _DROP_HOLDS.run(self._connection, world=world, most=limit)
        return holds, _DROP_PINS.run(self._connection, world=world, most=limit - holds)

    def note(self, name: str, text: str) -> None:
        _SET_NOTE.run(self._connection, name=name, value=text)


def _marks_of(rows: Collection[tuple[Any, ...]]) -> Mapping[Cid, Mark]:
    return {Cid(cid): Mark(from_us(us), size, bool(deleting)) for cid, us, size, deleting in rows}


def _dropped_of(row: tuple[Any, ...]) -> DroppedWorld:
    world, time_us, paths, done = row
    return DroppedWorld(world, from_us(time_us), paths, bool(done))
