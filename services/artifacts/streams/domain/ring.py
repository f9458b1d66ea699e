"""The rules of one stream: which index a chunk gets, which chunks are dropped, and which are told of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from blake3 import blake3

from services.artifacts.streams.ports import Held, Named, StreamKey, StreamReader, StreamTransaction
from theory.core.chain import NewEvent, system_chain
from theory.core.cid import Cid
from theory.core.clock import rfc3339
from theory.core.errors import AlreadyExists, Conflict, Corrupt, NotFound
from theory.core.ids import PlanId
from theory.core.jcs import JSON
from theory.core.ledger import PlanEvent
from theory.core.stream import (
    MAX_BATCH_BYTES,
    MAX_BATCH_CHUNKS,
    AppendedChunks,
    AskedLimits,
    Chunk,
    Stream,
    StreamLimits,
)
from theory.core.world_path import WorldName, WorldPath

SYSTEM_CHAIN = system_chain("artifacts")

_SIZES_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Append:
    """Chunks to add to a stream, with their CIDs."""

    world: WorldName
    series: WorldPath
    chunks: Sequence[tuple[Cid, bytes]]
    expected_idx: int | None
    limits: AskedLimits
    plan_id: PlanId | None

    @property
    def key(self) -> StreamKey:
        """The stream."""
        return StreamKey(self.world.text, self.series.text)


def append(table: StreamTransaction, asked: Append, *, now: datetime) -> AppendedChunks:
    """Add the chunks and drop the oldest beyond the stream's limits; record each that is sampled. All or nothing.

    `NotFound` (`WORLD_DROPPED`); `AlreadyExists` (`STREAM_TAKEN`, `PATH_SHADOWED`); `Conflict` (`STREAM_IDX_CONFLICT`).
    """
    held = table.held([asked.key]).get(asked.key)
    stream = _made(table, asked, now) if held is None else held.stream
    _require_limits(stream, asked.limits)
    first_idx = stream.chunk_count if asked.expected_idx is None else asked.expected_idx
    known = _known(table, held, asked, first_idx)
    fresh = asked.chunks[known:]
    if not fresh:
        return AppendedChunks(first_idx, stream.watermark_idx)
    dropped, dropped_bytes = _dropped(table, asked.key, stream, [len(data) for _, data in fresh])
    after = replace(
        stream,
        chunk_count=stream.chunk_count + len(fresh),
        dropped_chunks=stream.dropped_chunks + dropped,
        kept_bytes=stream.kept_bytes + sum(len(data) for _, data in fresh) - dropped_bytes,
        # Replicas have clocks of their own; what is told of one stream does not go back.
        update_time=max(now, stream.update_time),
    )
    chunks = [Chunk(stream.chunk_count + at, cid, data, after.update_time) for at, (cid, data) in enumerate(fresh)]
    kept = [each for each in chunks if each.idx >= after.dropped_chunks]
    table.keep(Held(after, first_idx, mark_of([cid for cid, _ in asked.chunks])), kept)
    table.record(_sample(asked, after.limits, each) for each in chunks if _sampled(after.limits, each.idx))
    return AppendedChunks(first_idx, after.watermark_idx)


def mark_of(cids: Sequence[Cid]) -> str:
    """What stands for the chunks of one append: equal marks, equal chunks."""
    return blake3("\n".join(cid.text for cid in cids).encode()).hexdigest()


def fitting(table: StreamReader, key: StreamKey, from_idx: int, *, max_chunks: int, max_bytes: int) -> int:
    """How many chunks from an index on fit an answer; one at least, if there is one."""
    count = 0
    for size_bytes in table.sizes(key, from_idx, max_chunks):
        max_bytes -= size_bytes
        if max_bytes < 0 and count:
            break
        count += 1
    return count


def page_before(table: StreamReader, key: StreamKey, first: int, end: int | None) -> list[Chunk]:
    """The newest chunks from `first` on and below `end`, or up to the watermark, by index: what fits an answer.

    Empty where the ring does not keep the one just below `end`.
    """
    start, end = _before(table, key, first, end)
    room = MAX_BATCH_BYTES
    count = 0
    for size_bytes in reversed(table.sizes(key, start, end - start) if start < end else []):
        room -= size_bytes
        if room < 0:
            break
        count += 1
    return list(table.chunks(key, end - count, count)) if count else []


def named_before(table: StreamReader, key: StreamKey, first: int, end: int) -> list[Named]:
    """As `page_before`, without bytes."""
    start, end = _before(table, key, first, end)
    if start >= end:
        return []
    cids, sizes = table.cids(key, start, end - start), table.sizes(key, start, end - start)
    return [Named(start + at, cid, size) for at, (cid, size) in enumerate(zip(cids, sizes, strict=True))]


def _before(table: StreamReader, key: StreamKey, first: int, end: int | None) -> tuple[int, int]:
    """The bounds of a page that ends there; nothing is between them where the ring keeps nothing."""
    held = table.held([key]).get(key)
    if held is None:
        return 0, 0
    end = held.stream.chunk_count if end is None else min(end, held.stream.chunk_count)
    return max(first, held.stream.dropped_chunks, end - MAX_BATCH_CHUNKS), end


def corrupt(key: StreamKey, chunk: Chunk) -> Corrupt:
    """What is said of a chunk whose bytes changed."""
    place = {"series": key.series, "idx": str(chunk.idx), "cid": chunk.cid.text}
    return Corrupt("CHUNK_CORRUPT", "a stored chunk no longer has its CID: read on behind it", **place)


def unknown(key: StreamKey, *, gone: bool) -> NotFound:
    """What is said of a series without chunks, in a world that may be gone."""
    if gone:
        return world_dropped(key.world)
    return NotFound("STREAM_UNKNOWN", "nothing was appended to this series", series=key.series, world=key.world)


def _made(table: StreamTransaction, asked: Append, now: datetime) -> Stream:
    if other := table.shadowing(asked.key):
        message = "a stream lies neither above nor below another one"
        raise AlreadyExists("PATH_SHADOWED", message, path=asked.series.text, other=other)
    # A world that is dropped loses its streams: an append to one of them comes here as well.
    if table.dropped(asked.world.text):
        raise world_dropped(asked.world.text)
    return Stream(asked.world, asked.series, StreamLimits(**asked.limits.given()), 0, 0, 0, now, now)


def world_dropped(world: str) -> NotFound:
    """What whoever looks for a stream is told in a world that is gone."""
    return NotFound("WORLD_DROPPED", "the world was dropped: nothing of it is there, nor will be", world=world)


def _require_limits(stream: Stream, asked: AskedLimits) -> None:
    fixed = {name: getattr(stream.limits, name) for name in AskedLimits._fields}
    if not asked.given().items() <= fixed.items():
        message = "the stream was made with other limits: leave them out, or name the same"
        raise AlreadyExists("STREAM_TAKEN", message, **{name: str(value) for name, value in fixed.items()})


def _known(table: StreamReader, held: Held | None, asked: Append, first_idx: int) -> int:
    """How many of the chunks stand in the stream already, where they are expected; `Conflict` where others do."""
    cids = [cid for cid, _ in asked.chunks]
    stream = None if held is None else held.stream
    next_idx = 0 if stream is None else stream.chunk_count
    if first_idx > next_idx:
        raise _conflict("the stream ends before the expected index", first_idx, stream)
    if held is None or stream is None or first_idx == next_idx:
        return 0
    if (held.last_idx, held.last_mark) == (first_idx, mark_of(cids)):
        return len(cids)
    if first_idx < stream.dropped_chunks:
        raise _conflict("what stood at the expected index was dropped", first_idx, stream)
    there = table.cids(asked.key, first_idx, len(cids))
    if there != cids[: len(there)]:
        raise _conflict("other chunks stand at the expected index", first_idx, stream)
    return len(there)


def _conflict(message: str, expected_idx: int, stream: Stream | None) -> Conflict:
    next_idx, oldest_idx = (0, 0) if stream is None else (stream.chunk_count, stream.dropped_chunks)
    places = {"expected_idx": expected_idx, "next_idx": next_idx, "oldest_idx": oldest_idx}
    return Conflict("STREAM_IDX_CONFLICT", message, **{name: str(idx) for name, idx in places.items()})


def _dropped(table: StreamReader, key: StreamKey, stream: Stream, added: Sequence[int]) -> tuple[int, int]:
    """How many chunks must go, the oldest first, so that what is left keeps both limits; and what they weigh."""
    too_many = stream.chunk_count - stream.dropped_chunks + len(added) - stream.limits.max_chunks
    too_heavy = stream.kept_bytes + sum(added) - stream.limits.max_bytes
    count = freed = 0
    if too_many > 0 or too_heavy > 0:
        for size_bytes in _oldest_first(table, key, stream, added):
            if count >= too_many and freed >= too_heavy:
                break
            count += 1
            freed += size_bytes
    return count, freed


def _oldest_first(table: StreamReader, key: StreamKey, stream: Stream, added: Sequence[int]) -> Iterator[int]:
    at = stream.dropped_chunks
    while page := table.sizes(key, at, _SIZES_AT_ONCE):
        yield from page
        at += len(page)
    yield from added


def _sampled(limits: StreamLimits, idx: int) -> bool:
    return limits.sample_every_n > 0 and idx % limits.sample_every_n == 0


def _sample(asked: Append, limits: StreamLimits, chunk: Chunk) -> PlanEvent:
    # An index is given once, so it names the event: sent twice, it is recorded once.
    name = blake3(f"{asked.world}\0{asked.series}".encode()).hexdigest()
    body: dict[str, JSON] = {
        "world": asked.world.text,
        "series": asked.series.text,
        "watermark": chunk.idx,
        "every_n": limits.sample_every_n,
        "cid": chunk.cid.text,
    }
    event = NewEvent(f"streams.sampled:{name}:{chunk.idx}", "streams.sampled", rfc3339(chunk.append_time), body)
    return PlanEvent(SYSTEM_CHAIN if asked.plan_id is None else asked.plan_id.text, event)
