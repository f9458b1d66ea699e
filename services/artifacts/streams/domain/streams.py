"""Streams as everyone uses them: limits of a call, names of bytes, waiting; the rules of one stream are in `ring`."""

from collections.abc import Sequence
from math import inf

from services.artifacts.streams.domain import ring
from services.artifacts.streams.domain.ring import Append
from services.artifacts.streams.ports import StreamKey, StreamReader, StreamStore
from theory.core.cid import Cid
from theory.core.clock import Clock
from theory.core.errors import Invalid, TheoryError
from theory.core.grant import AttemptGrant
from theory.core.ids import PlanId
from theory.core.stream import (
    ANY_LIMITS,
    MAX_BATCH_BYTES,
    MAX_BATCH_CHUNKS,
    MAX_CHUNK_BYTES,
    MAX_WAIT_S,
    AppendedChunks,
    AskedLimits,
    ChunkPage,
    Stream,
    StreamLimits,
)
from theory.core.waiting import Waiting
from theory.core.world_path import PathPrefix, WorldName, WorldPath

_ANSWERED_WITHIN_S = 0.25
"""What a waiting reader leaves of its call's time for the answer."""

_DROPPED_AT_ONCE = 100


class Streams:
    """`theory.core.stream.StreamAdapter` for anyone, in words that are checked.

    Where an `attempt` calls, the world is its own: `Denied` (`ATTEMPT_DENIED`).
    """

    def __init__(self, store: StreamStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._waiting: Waiting[StreamKey] = Waiting(clock)

    async def append(
        self,
        world: WorldName,
        series: WorldPath,
        chunks: Sequence[bytes],
        *,
        expected_idx: int | None = None,
        limits: AskedLimits = ANY_LIMITS,
        plan_id: PlanId | None = None,
        attempt: AttemptGrant | None = None,
    ) -> AppendedChunks:
        """Add chunks, all or none; they are kept on return. As `ring.append`.

        `Invalid` (`BATCH_SIZE`, `CHUNK_TOO_LARGE`, `STREAM_LIMIT_INVALID`, `RANGE_INVALID`) before anything is done.
        Where an attempt appends, its plan's chain records the samples, whether it names the plan or not.
        """
        _require_own(attempt, world)
        if attempt is not None:
            if plan_id is not None:
                attempt.require_plan(plan_id.text)
            plan_id = attempt.plan_id
        _require_batch(chunks)
        StreamLimits(**limits.given())
        _require_idx(expected_idx or 0, "expected_idx")
        named = [(Cid.of(data), data) for data in chunks]
        asked = Append(world, series, named, expected_idx, limits, plan_id)
        now = self._clock.now()
        appended = await self._store.write(asked.key, lambda table: ring.append(table, asked, now=now))
        self._waiting.wake(asked.key)  # all of them: each reads the same chunks
        return appended

    async def read(
        self,
        world: WorldName,
        series: WorldPath,
        *,
        from_idx: int = 0,
        max_chunks: int = MAX_BATCH_CHUNKS,
        wait_s: int = 0,
        time_left_s: float | None = None,
        attempt: AttemptGrant | None = None,
    ) -> ChunkPage:
        """Chunks from an index on, verified. `time_left_s` is what the caller waits at most: none of it is in vain.

        `NotFound` (`STREAM_UNKNOWN`); `Corrupt` (`CHUNK_CORRUPT`) where the first chunk is, before it the page ends;
        `Invalid` (`RANGE_INVALID`, `MAX_CHUNKS_INVALID`, `WAIT_INVALID`).
        """
        _require_own(attempt, world)
        _require_idx(from_idx, "from_idx")
        if not 1 <= max_chunks <= MAX_BATCH_CHUNKS:
            bounds = {"min": "1", "max": str(MAX_BATCH_CHUNKS)}
            raise Invalid("MAX_CHUNKS_INVALID", f"a read asks for 1 to {MAX_BATCH_CHUNKS} chunks", **bounds)
        if not 0 <= wait_s <= MAX_WAIT_S:
            raise Invalid("WAIT_INVALID", f"a wait is 0 to {MAX_WAIT_S} seconds", min="0", max=str(MAX_WAIT_S))
        key = StreamKey(world.text, series.text)

        async def look() -> ChunkPage | None:
            return await self._store.read(lambda table: _page(table, key, from_idx, max_chunks))

        patience_s = wait_s if time_left_s is None else min(wait_s, time_left_s - _ANSWERED_WITHIN_S)
        found = await self._waiting.until(key, patience_s, look, _again_s)
        if found is None:
            raise ring.unknown(key, gone=await self._store.read(lambda table: table.dropped(key.world)))
        return _verified(key, found)

    async def status_many(
        self, world: WorldName, series: Sequence[WorldPath], *, attempt: AttemptGrant | None = None
    ) -> list[Stream | TheoryError]:
        """The counters of each stream; `NotFound` (`STREAM_UNKNOWN`, `WORLD_DROPPED`) per item."""
        _require_own(attempt, world)
        keys = [StreamKey(world.text, each.text) for each in series]
        held, gone = await self._store.read(lambda table: (table.held(set(keys)), table.dropped(world.text)))
        return [held[key].stream if key in held else ring.unknown(key, gone=gone) for key in keys]

    async def page(self, world: WorldName, prefix: PathPrefix | None, *, after: str, limit: int) -> list[Stream]:
        """The first `limit` streams below `prefix` whose series lie behind `after`, by the bytes of the series.

        `NotFound` (`WORLD_DROPPED`).
        """
        below = "" if prefix is None else prefix.text

        def look(table: StreamReader) -> list[Stream]:
            if table.dropped(world.text):
                raise ring.world_dropped(world.text)
            return table.page(world.text, below, after, limit)

        return await self._store.read(look)

    async def drop(self, world: WorldName) -> int:
        """Remove all streams of a world, for ever, one by one; how many that were. To be repeated where it failed."""
        await self._store.drop_world(world.text)
        removed = 0
        while found := await self._store.read(lambda table: table.page(world.text, "", "", _DROPPED_AT_ONCE)):
            for stream in found:
                await self._remove(StreamKey(world.text, stream.series.text))
            removed += len(found)
        return removed

    async def _remove(self, key: StreamKey) -> None:
        await self._store.write(key, lambda table: table.remove(key))
        self._waiting.wake(key)


def _require_own(attempt: AttemptGrant | None, world: WorldName) -> None:
    if attempt is not None:
        attempt.require_world(world)


def _require_batch(chunks: Sequence[bytes]) -> None:
    if not 1 <= len(chunks) <= MAX_BATCH_CHUNKS:
        raise Invalid("BATCH_SIZE", f"an append has 1 to {MAX_BATCH_CHUNKS} chunks", max=str(MAX_BATCH_CHUNKS))
    if max(map(len, chunks)) > MAX_CHUNK_BYTES:
        message = f"a chunk has at most {MAX_CHUNK_BYTES} bytes"
        raise Invalid("CHUNK_TOO_LARGE", message, max_bytes=str(MAX_CHUNK_BYTES))
    if sum(map(len, chunks)) > MAX_BATCH_BYTES:
        raise Invalid("BATCH_SIZE", f"an append carries at most {MAX_BATCH_BYTES} bytes", max=str(MAX_BATCH_BYTES))


def _require_idx(idx: int, field: str) -> None:
    if idx < 0:
        raise Invalid("RANGE_INVALID", "an index is not negative", field=field)


def _again_s(found: ChunkPage | None) -> float | None:
    return None if found is not None and found.chunks else inf


def _page(table: StreamReader, key: StreamKey, from_idx: int, max_chunks: int) -> ChunkPage | None:
    held = table.held([key]).get(key)
    if held is None:
        return None
    stream = held.stream
    start = max(from_idx, stream.dropped_chunks)
    count = ring.fitting(table, key, start, max_chunks=max_chunks, max_bytes=MAX_BATCH_BYTES)
    chunks = tuple(table.chunks(key, start, count)) if count else ()
    return ChunkPage(chunks, start + len(chunks), stream.watermark_idx, start - from_idx)


def _verified(key: StreamKey, page: ChunkPage) -> ChunkPage:
    for at, chunk in enumerate(page.chunks):
        if Cid.of(chunk.data) != chunk.cid:
            if at == 0:
                raise ring.corrupt(key, chunk)
            return ChunkPage(page.chunks[:at], chunk.idx, page.watermark_idx, page.skipped_chunks)
    return page
