"""Fixing: what one execution reads of streams, found in the rings, stored and pinned as blobs, listed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from services.artifacts.domain import pinning
from services.artifacts.ports import BindingAdapter, BlobAdapter, Pin, PinKind
from services.artifacts.streams.domain.ring import corrupt, next_page_before
from services.artifacts.streams.ports import StreamKey, StreamReader, StreamStore
from theory.core.chunk import MAX_FIXED_BYTES, MAX_FIXED_CHUNKS, FixedChunk, chunk_path, place_of
from theory.core.cid import Cid
from theory.core.errors import Invalid, TheoryError
from theory.core.ids import ExecutionId
from theory.core.selector import Selector
from theory.core.stream import MAX_BATCH_BYTES, MAX_BATCH_CHUNKS, Chunk
from theory.core.world_path import PathPrefix, WorldName, WorldPath

_STREAMS_AT_ONCE = 1_000
_TRIES = 3
"""How often a batch is stored, where what was there already is collected before it is pinned."""


@dataclass(frozen=True, slots=True)
class FixedStream:
    """What one execution reads of one stream."""

    series: WorldPath
    chunks: tuple[tuple[int, FixedChunk], ...]
    """By index, ascending."""


@dataclass(slots=True)
class _Wanted:
    """What is wanted of one stream."""

    whole: bool = False
    idxs: set[int] = field(default_factory=set)


class Fixing:
    """Turns selectors of streams into a list that stays."""

    def __init__(self, store: StreamStore, blobs: BlobAdapter, table: BindingAdapter) -> None:
        self._store = store
        self._blobs = blobs
        self._table = table

    async def fix(
        self, world: WorldName, execution_id: ExecutionId, selectors: Sequence[Selector]
    ) -> list[FixedStream]:
        """The chunks that the selectors name and the rings keep, by series and index; on return each is a stored blob.

        The blobs are pinned for the execution: they stay as long as the world.

        Of each stream they are those of one moment, without a gap up to the newest, but for the oldest that were
        dropped while others were being stored. `Invalid` (`CHUNKS_TOO_MANY`); `Corrupt` (`CHUNK_CORRUPT`).
        """
        wanted = await self._store.read(lambda table: _wanted(table, world, selectors))
        taking = _Taking(_Keeping(self._blobs, self._table, world, execution_id))
        for key in sorted(wanted, key=lambda each: each.series.encode()):
            for idx in sorted(wanted[key].idxs, reverse=True):
                await self._take(key, taking, idx, idx + 1)
            if wanted[key].whole:
                await self._take(key, taking, 0, None)
        await taking.store()
        return taking.listed()

    async def _take(self, key: StreamKey, taking: "_Taking", first: int, end: int | None) -> None:
        # The newest first: what the ring drops meanwhile is at the other end.
        while page := await self._store.read(partial(next_page_before, key=key, first=first, end=end)):
            for chunk in reversed(page):
                await taking.add(key, chunk)
            end = page[0].idx


class _Keeping:
    """Stores blobs and pins them for one execution."""

    def __init__(self, blobs: BlobAdapter, table: BindingAdapter, world: WorldName, execution_id: ExecutionId) -> None:
        self._blobs = blobs
        self._table = table
        self._world = world
        self._execution_id = execution_id

    async def keep(self, data_by_cid: Mapping[Cid, bytes]) -> None:
        """Store and pin blobs; raises the first error of one."""
        unpinned = list(data_by_cid)
        for left in range(_TRIES - 1, -1, -1):
            for error in await self._blobs.put_many([(cid, data_by_cid[cid]) for cid in unpinned]):
                if error is not None:
                    raise error
            outcomes = await self._pin(unpinned)
            # A blob that was there before may have been collected between the two steps.
            unpinned = [cid for cid, error in zip(unpinned, outcomes, strict=True) if error is not None]
            if not unpinned:
                return
            if not left:
                raise next(error for error in outcomes if error is not None)

    async def _pin(self, cids: Sequence[Cid]) -> list[TheoryError | None]:
        holder, world = self._execution_id.text, self._world.text
        pins = [Pin(holder, world, cid, PinKind.INPUT) for cid in cids]
        await self._blobs.recall(cids)
        return await self._table.write(lambda table: pinning.pin(table, self._blobs, pins))


class _Taking:
    """Chunks on their way into blobs, a batch at a time, whatever streams they are of."""

    def __init__(self, keeping: _Keeping) -> None:
        self._keeping = keeping
        self._found: dict[str, list[tuple[int, FixedChunk]]] = {}
        self._waiting: dict[Cid, bytes] = {}
        self._waiting_bytes = 0
        self._chunks = 0
        self._bytes = 0

    async def add(self, key: StreamKey, chunk: Chunk) -> None:
        """Take one chunk; `Invalid` (`CHUNKS_TOO_MANY`), `Corrupt` (`CHUNK_CORRUPT`)."""
        self._chunks += 1
        self._bytes += len(chunk.data)
        _require_few(self._chunks, self._bytes)
        if Cid.of(chunk.data) != chunk.cid:
            raise corrupt(key, chunk)
        if len(self._waiting) == MAX_BATCH_CHUNKS or self._waiting_bytes + len(chunk.data) > MAX_BATCH_BYTES:
            await self.store()
        if chunk.cid not in self._waiting:
            self._waiting[chunk.cid] = chunk.data
            self._waiting_bytes += len(chunk.data)
        fixed = FixedChunk(chunk_path(WorldPath(key.series), chunk.idx), chunk.cid, len(chunk.data))
        self._found.setdefault(key.series, []).append((chunk.idx, fixed))

    async def store(self) -> None:
        """Store and pin what waits."""
        waiting, self._waiting, self._waiting_bytes = self._waiting, {}, 0
        if waiting:
            await self._keeping.keep(waiting)

    def listed(self) -> list[FixedStream]:
        """All that was taken."""
        return [FixedStream(WorldPath(series), tuple(sorted(found))) for series, found in self._found.items()]


def _wanted(table: StreamReader, world: WorldName, selectors: Iterable[Selector]) -> dict[StreamKey, _Wanted]:
    """What is wanted of which streams. More than anyone may read is refused here, before bytes are moved."""
    wanted: dict[StreamKey, _Wanted] = {}
    for selector in selectors:
        if isinstance(selector.target, WorldPath):
            if place := place_of(selector.target):
                wanted.setdefault(StreamKey(world.text, place[0].text), _Wanted()).idxs.add(place[1])
            continue
        for key in _streams_below(table, world, selector.target):
            wanted.setdefault(key, _Wanted()).whole = True
            if len(wanted) > MAX_FIXED_CHUNKS:
                raise _too_many()
    held = table.held(wanted)
    streams = [held[key].stream for key, each in wanted.items() if each.whole and key in held]
    chunks = sum(each.chunk_count - each.dropped_chunks for each in streams)
    _require_few(chunks, sum(each.kept_bytes for each in streams))
    for each in wanted.values():
        if each.whole:
            each.idxs.clear()
    return wanted


def _streams_below(table: StreamReader, world: WorldName, prefix: PathPrefix) -> Iterable[StreamKey]:
    """The stream whose chunks lie in this folder, and those whose series lie below it."""
    if own := table.held([StreamKey(world.text, prefix.text[:-1])]):
        yield from own
        return  # no stream lies below another one
    after = ""
    while page := table.page(world.text, prefix.text, after, _STREAMS_AT_ONCE):
        yield from (StreamKey(each.world.text, each.series.text) for each in page)
        after = page[-1].series.text


def _require_few(chunks: int, size_bytes: int) -> None:
    """`Invalid` (`CHUNKS_TOO_MANY`) for more than one execution may read."""
    if chunks > MAX_FIXED_CHUNKS or size_bytes > MAX_FIXED_BYTES:
        raise _too_many()


def _too_many() -> Invalid:
    message = f"one execution reads at most {MAX_FIXED_CHUNKS} chunks of at most {MAX_FIXED_BYTES} bytes: name fewer"
    limits = {"max_chunks": str(MAX_FIXED_CHUNKS), "max_bytes": str(MAX_FIXED_BYTES)}
    return Invalid("CHUNKS_TOO_MANY", message, **limits)
