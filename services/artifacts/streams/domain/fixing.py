"""Fixing: what one execution reads of streams, found in the rings, kept as blobs, listed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from services.artifacts.domain.artifacts import Artifacts
from services.artifacts.domain.store import BlobStore
from services.artifacts.streams.domain.keeping import Blobs, Keeping, require_few
from services.artifacts.streams.domain.ring import named_before, page_before, world_dropped
from services.artifacts.streams.ports import StreamKey, StreamReader, StreamStore
from theory.core.chunk import FixedChunk, place_of
from theory.core.ids import ExecutionId
from theory.core.selector import Selector
from theory.core.world_path import PathPrefix, WorldName, WorldPath

_STREAMS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class FixedStream:
    """What one execution reads of one stream."""

    series: WorldPath
    chunks: Sequence[tuple[int, FixedChunk]]
    """By index, ascending."""


class Fixing:
    """Turns selectors of streams into a list that stays."""

    def __init__(self, store: StreamStore, blobs: BlobStore, artifacts: Artifacts) -> None:
        self._store = store
        self._blobs = blobs
        self._artifacts = artifacts

    async def fix(
        self, world: WorldName, execution_id: ExecutionId, selectors: Sequence[Selector]
    ) -> list[FixedStream]:
        """The chunks that the selectors name and the rings keep, by series and index; on return each is a stored blob.

        The blobs are pinned for the execution: they stay as long as the world.

        Of each stream they are those of one moment, without a gap up to the newest, but for the oldest that were
        dropped while others were being stored. Bytes that are a blob already are not moved again. `Invalid`
        (`CHUNKS_TOO_MANY`); `Corrupt` (`CHUNK_CORRUPT`); `Unavailable` (`STORE_UNREACHABLE`); `NotFound`
        (`WORLD_DROPPED`).
        """
        wanted = await self._store.read(lambda table: _wanted(table, world, selectors))
        walk = _Walk(self._store, Blobs(self._blobs, self._artifacts, world, execution_id))
        for key in wanted.whole:
            await walk.take(key, 0, None)
        for key, idxs in wanted.some.items():
            for idx in idxs:
                await walk.take(key, idx, idx + 1)
        listed = await walk.keeping.listed()
        return [FixedStream(WorldPath(series), listed[series]) for series in sorted(listed, key=str.encode)]


class _Walk:
    """Walks streams from their newest chunk back: what their rings drop meanwhile is at the other end."""

    def __init__(self, store: StreamStore, blobs: Blobs) -> None:
        self._store = store
        self._blobs = blobs
        self.keeping = Keeping(blobs)

    async def take(self, key: StreamKey, first: int, end: int | None) -> None:
        """Take the chunks from `first` on and below `end`, or up to the newest.

        The newest come with their bytes in one look: however fast the ring turns, there is one.
        """
        at = await self._take_page(key, first, end)
        while at is not None and at > first:
            at = await self._take_stored(key, first, at)
            # Where nothing is kept before it, that is the end of the ring.
            at = None if at is None else await self._take_page(key, first, at)

    async def _take_page(self, key: StreamKey, first: int, end: int | None) -> int | None:
        """Take a page with its bytes; where it begins, or None where the ring keeps nothing just below `end`."""
        page = await self._store.read(partial(page_before, key=key, first=first, end=end))
        for chunk in reversed(page):
            await self.keeping.take(key, chunk)
        return page[0].idx if page else None

    async def _take_stored(self, key: StreamKey, first: int, end: int) -> int | None:
        """Take what is a blob already, down to the first that is not; its end, or None at the end of the ring."""
        while names := await self._store.read(partial(named_before, key=key, first=first, end=end)):
            stored = await self._blobs.stored(list(dict.fromkeys(each.cid for each in names)))
            for each in reversed(names):
                if each.cid not in stored:
                    return end
                await self.keeping.take_stored(key, each)
                end = each.idx
        return None


class _Wanted(NamedTuple):
    """What is wanted of which streams."""

    whole: set[StreamKey]
    some: dict[StreamKey, set[int]]
    """Of streams that are not wanted as a whole."""


def _wanted(table: StreamReader, world: WorldName, selectors: Iterable[Selector]) -> _Wanted:
    """What the selectors name. More than anyone may read is refused here, before bytes are moved."""
    if table.dropped(world.text):
        raise world_dropped(world.text)
    whole: set[StreamKey] = set()
    some: dict[StreamKey, set[int]] = {}
    for selector in selectors:
        if isinstance(selector.target, WorldPath):
            if place := place_of(selector.target):
                some.setdefault(StreamKey(world.text, place[0].text), set()).add(place[1])
            continue
        for key in _streams_below(table, world, selector.target):
            whole.add(key)
            require_few(len(whole), 0)  # a stream keeps one chunk at least
    streams = [held.stream for held in table.held(whole).values()]
    chunks = sum(each.chunk_count - each.dropped_chunks for each in streams)
    require_few(chunks, sum(each.kept_bytes for each in streams))
    return _Wanted(whole, {key: idxs for key, idxs in some.items() if key not in whole})


def _streams_below(table: StreamReader, world: WorldName, prefix: PathPrefix) -> Iterator[StreamKey]:
    """The stream whose chunks lie in this folder, or those whose series lie below it: it is never both."""
    yield from table.held([StreamKey(world.text, prefix.text[:-1])])
    after = ""
    while page := table.page(world.text, prefix.text, after, _STREAMS_AT_ONCE):
        yield from (StreamKey(each.world.text, each.series.text) for each in page)
        after = page[-1].series.text
