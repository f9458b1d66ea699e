"""The rows of streams and chunks in one transaction, asked and written in bulk."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from services.artifacts.streams.adapters.sql.schema import CHUNK, DROPPED, STREAM
from services.artifacts.streams.ports import Held, StreamKey
from services.drivers import outbox
from services.drivers.moments import from_us, to_us
from services.drivers.sql.statement import Rows, Statement, among
from services.drivers.sql.words import insert_new
from theory.core.cid import Cid
from theory.core.ledger import PlanEvent
from theory.core.stream import Chunk, Stream, StreamLimits
from theory.core.world_path import WorldName, WorldPath

_COLUMNS = [column for column in STREAM.c if column.name != "number"]
_NAMES = [column.name for column in _COLUMNS]
_IN_WORLD = STREAM.c.world == bindparam("of_world")
_HELD = Statement(select(*_COLUMNS).where(_IN_WORLD, among(STREAM.c.series, "series")))
_NUMBER = Statement(select(STREAM.c.number).where(_IN_WORLD, STREAM.c.series == bindparam("of_series")))
_BETWEEN = (STREAM.c.series >= bindparam("low"), STREAM.c.series < bindparam("high"))
_PAGE = Statement(
    select(*_COLUMNS)
    .where(_IN_WORLD, *_BETWEEN, STREAM.c.series > bindparam("after"))
    .order_by(STREAM.c.series)
    .limit(bindparam("most"))
)
_BELOW = Statement(select(STREAM.c.series).where(_IN_WORLD, *_BETWEEN).order_by(STREAM.c.series).limit(1))
_ABOVE = Statement(select(STREAM.c.series).where(_IN_WORLD, among(STREAM.c.series, "series")).order_by(STREAM.c.series))
_ADD = Statement(insert(STREAM), _NAMES)
_SET = Statement(
    update(STREAM).where(_IN_WORLD, STREAM.c.series == bindparam("of_series")),
    [name for name in _NAMES if name not in {"world", "series"}],
)

_OF_STREAM = select(STREAM.c.number).where(_IN_WORLD, STREAM.c.series == bindparam("of_series")).scalar_subquery()
_FROM = (CHUNK.c.stream == _OF_STREAM, CHUNK.c.idx >= bindparam("from_idx"))


def _kept(*columns: Any) -> Statement:
    return Statement(select(*columns).where(*_FROM).order_by(CHUNK.c.idx).limit(bindparam("most")))


_SIZES = _kept(CHUNK.c.size_bytes)
_CIDS = _kept(CHUNK.c.cid)
_CHUNKS = _kept(CHUNK.c.idx, CHUNK.c.cid, CHUNK.c.data, CHUNK.c.append_us)
_ADD_CHUNKS = Rows(insert(CHUNK))
_DROP = Statement(delete(CHUNK).where(CHUNK.c.stream == bindparam("of_stream"), CHUNK.c.idx < bindparam("below")))

_DROPPED = Statement(select(DROPPED.c.world).where(DROPPED.c.world == bindparam("of_world")))
_DROP_WORLD = Statement(insert_new(DROPPED))
_REMOVE_CHUNKS = Statement(delete(CHUNK).where(CHUNK.c.stream == bindparam("of_stream")))
_REMOVE = Statement(delete(STREAM).where(_IN_WORLD, STREAM.c.series == bindparam("of_series")))


class UnlockedWorld(Exception):
    """A stream is about to be made by a transaction that does not keep others from making one beside it."""


class StreamRows:
    """A `StreamTransaction` on one connection; where that may only read, a `StreamReader`."""

    def __init__(self, connection: Connection, *, world_locked: bool = False) -> None:
        self._connection = connection
        self._world_locked = world_locked
        self.recorded = False

    def held(self, keys: Collection[StreamKey]) -> Mapping[StreamKey, Held]:
        found: dict[StreamKey, Held] = {}
        for world in {key.world for key in keys}:
            series = [key.series for key in keys if key.world == world]
            for row in _HELD.rows(self._connection, of_world=world, series=series):
                found[StreamKey(row[0], row[1])] = _held_of(row)
        return found

    def page(self, world: str, prefix: str, after: str, limit: int) -> list[Stream]:
        # Every series begins with a slash, so an empty prefix ends where the slashes end.
        asked = {"of_world": world, "low": prefix, "high": f"{prefix[:-1]}0", "after": after, "most": limit}
        return [_held_of(row).stream for row in _PAGE.rows(self._connection, **asked)]

    def sizes(self, key: StreamKey, from_idx: int, limit: int) -> list[int]:
        return [row[0] for row in self._kept(_SIZES, key, from_idx, limit)]

    def cids(self, key: StreamKey, from_idx: int, limit: int) -> list[Cid]:
        return [Cid(row[0]) for row in self._kept(_CIDS, key, from_idx, limit)]

    def chunks(self, key: StreamKey, from_idx: int, limit: int) -> list[Chunk]:
        rows = self._kept(_CHUNKS, key, from_idx, limit)
        return [Chunk(idx, Cid(cid), data, from_us(append_us)) for idx, cid, data, append_us in rows]

    def dropped(self, world: str) -> bool:
        return _DROPPED.scalar(self._connection, of_world=world) is not None

    def shadowing(self, key: StreamKey) -> str | None:
        if not self._world_locked:
            raise UnlockedWorld
        above = ["/" + "/".join(WorldPath(key.series).segments[:count]) for count in range(2, key.series.count("/"))]
        found: str | None = _ABOVE.scalar(self._connection, of_world=key.world, series=above)
        # The character behind the slash: everything below the series sorts before it.
        below = {"of_world": key.world, "low": f"{key.series}/", "high": f"{key.series}0"}
        return found or _BELOW.scalar(self._connection, **below)

    def keep(self, held: Held, added: Sequence[Chunk]) -> None:
        row = _row_of(held)
        named = {"of_world": row["world"], "of_series": row["series"]}
        changed = {name: value for name, value in row.items() if name not in {"world", "series"}}
        if not _SET.run(self._connection, **changed, **named):
            _ADD.run(self._connection, **row)
        number = _NUMBER.scalar(self._connection, **named)
        _DROP.run(self._connection, of_stream=number, below=held.stream.dropped_chunks)
        _ADD_CHUNKS.add(
            self._connection,
            [(number, each.idx, each.cid.text, len(each.data), to_us(each.append_time), each.data) for each in added],
        )

    def remove(self, key: StreamKey) -> None:
        named = {"of_world": key.world, "of_series": key.series}
        if (number := _NUMBER.scalar(self._connection, **named)) is not None:
            _REMOVE_CHUNKS.run(self._connection, of_stream=number)
            _REMOVE.run(self._connection, **named)

    def drop_world(self, world: str) -> None:
        """Remember that no stream is to be made in a world."""
        _DROP_WORLD.run(self._connection, world=world)

    def record(self, events: Iterable[PlanEvent]) -> None:
        recorded = list(events)
        outbox.enqueue(self._connection, recorded)
        self.recorded = self.recorded or bool(recorded)

    def _kept(self, statement: Statement, key: StreamKey, from_idx: int, limit: int) -> list[tuple[Any, ...]]:
        named = {"of_world": key.world, "of_series": key.series}
        return statement.rows(self._connection, **named, from_idx=from_idx, most=limit)


def _row_of(held: Held) -> dict[str, object]:
    stream = held.stream
    return {
        "world": stream.world.text,
        "series": stream.series.text,
        "max_chunks": stream.limits.max_chunks,
        "max_bytes": stream.limits.max_bytes,
        "sample_every_n": stream.limits.sample_every_n,
        "chunk_count": stream.chunk_count,
        "dropped_chunks": stream.dropped_chunks,
        "kept_bytes": stream.kept_bytes,
        "create_us": to_us(stream.create_time),
        "update_us": to_us(stream.update_time),
        "last_idx": held.last_idx,
        "last_mark": held.last_mark,
    }


def _held_of(row: Sequence[Any]) -> Held:
    row_by_name = dict(zip(_NAMES, row, strict=True))
    stream = Stream(
        WorldName(row_by_name["world"]),
        WorldPath(row_by_name["series"]),
        StreamLimits(row_by_name["max_chunks"], row_by_name["max_bytes"], row_by_name["sample_every_n"]),
        row_by_name["chunk_count"],
        row_by_name["dropped_chunks"],
        row_by_name["kept_bytes"],
        from_us(row_by_name["create_us"]),
        from_us(row_by_name["update_us"]),
    )
    return Held(stream, row_by_name["last_idx"], row_by_name["last_mark"])
