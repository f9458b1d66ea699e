"""Fixing beside a ring that goes on, blobs that are collected, and damage; the rest is a promise of every store."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from services.artifacts.adapters.bindings.memory import MemoryBindings
from services.artifacts.adapters.blobs.memory import MemoryBlobs
from services.artifacts.domain.artifacts import Artifacts
from services.artifacts.domain.store import BlobStore
from services.artifacts.streams.adapters.memory import MemoryStreams
from services.artifacts.streams.domain import keeping
from services.artifacts.streams.domain.fixing import Fixing
from services.artifacts.streams.domain.streams import Streams
from services.artifacts.streams.ports import StreamKey
from tests.leases import leases_of
from theory.core.cid import Cid
from theory.core.clock import FakeClock
from theory.core.errors import Corrupt, Exhausted, Invalid, TheoryError, Unavailable
from theory.core.ids import ExecutionId
from theory.core.selector import Selector
from theory.core.stream import MAX_CHUNK_BYTES, AskedLimits
from theory.core.world_path import WorldName, WorldPath

W, A, B, X = WorldName("w"), WorldPath("/streams/a"), WorldPath("/streams/b"), ExecutionId("p-1.x")
ALL = [Selector.parse("/streams/**")]


class Blobs(MemoryBlobs):
    """Does what a test asks for before, or in place of, each batch that is put."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []
        self.before: Callable[[], Awaitable[object]] | None = None
        self.forget: set[Cid] = set()
        """What is gone again once it was put, once."""
        self.full = False

    async def put_many(self, blobs: Sequence[tuple[Cid, bytes]]) -> list[TheoryError | None]:
        self.batches.append(len(blobs))
        if self.before is not None:
            await self.before()
        if self.full:
            return [Exhausted("DISK_FULL", "full") for _ in blobs]
        answers = await super().put_many(blobs)
        for cid in self.forget:
            del self.data_by_cid[cid]
        self.forget = set()
        return answers


class Place:
    """Streams, blobs and pins in memory."""

    def __init__(self) -> None:
        clock = FakeClock()
        self.store = MemoryStreams(clock)
        self.streams = Streams(self.store, clock)
        self.blobs = Blobs()
        self.bindings = MemoryBindings(clock)
        leases = leases_of(self.blobs, self.bindings, clock)
        blobs = BlobStore(self.blobs, leases, max_blob_bytes=1 << 30)
        self._fixing = Fixing(self.store, blobs, Artifacts(blobs, self.blobs, leases, self.bindings, clock))

    async def fix(self, selectors: Sequence[Selector] = ALL) -> list[tuple[str, list[int]]]:
        """The indexes that are listed of each stream."""
        fixed = await self._fixing.fix(W, X, selectors)
        return [(each.series.text, [idx for idx, _ in each.chunks]) for each in fixed]

    async def pinned(self, *chunks: bytes) -> set[Cid]:
        cids = [Cid.of(data) for data in chunks]
        return await self.bindings.read(lambda table: table.pinned(X.text, cids))


@pytest.fixture
def place() -> Place:
    return Place()


async def test_what_the_ring_drops_meanwhile_leaves_no_gap(place: Place) -> None:
    megabyte = [bytes([at]) * MAX_CHUNK_BYTES for at in range(18)]
    for start in (0, 6, 12):
        await place.streams.append(W, A, megabyte[start : start + 6], limits=AskedLimits(max_chunks=18))
    place.blobs.before = lambda: place.streams.append(W, A, [b"x"] * 3)
    [(_, idxs)] = await place.fix()
    # Twelve were read before the first three were dropped, then the others that were left.
    assert idxs == list(range(3, 18))
    assert await place.pinned(*megabyte) == {Cid.of(data) for data in megabyte[3:]}


async def test_a_ring_that_was_dropped_as_a_whole_gives_its_newest(place: Place) -> None:
    await place.streams.append(W, A, [b"a"], limits=AskedLimits(max_chunks=1))
    wanted = place.store.read

    async def read(step: Callable[..., object]) -> object:
        answer = await wanted(step)
        await place.streams.append(W, A, [b"b"])
        return answer

    place.store.read = read  # type: ignore[assignment, method-assign]
    assert await place.fix() == [("/streams/a", [1])]


async def test_chunks_of_many_streams_share_a_batch(place: Place) -> None:
    for series in ("/streams/a", "/streams/b", "/streams/c/d"):
        await place.streams.append(W, WorldPath(series), [b"same", series.encode()])
    assert await place.fix() == [(series, [0, 1]) for series in ("/streams/a", "/streams/b", "/streams/c/d")]
    assert place.blobs.batches == [4]


async def test_a_blob_that_is_collected_before_it_is_pinned_is_put_again(place: Place) -> None:
    await place.streams.append(W, A, [b"a", b"b"])
    place.blobs.forget = {Cid.of(b"a")}
    await place.fix()
    assert place.blobs.batches == [2, 1]
    assert await place.pinned(b"a", b"b") == {Cid.of(b"a"), Cid.of(b"b")}


async def test_a_blob_that_does_not_stay_is_asked_for_again(place: Place) -> None:
    await place.streams.append(W, A, [b"a"])

    async def forget() -> None:
        place.blobs.forget = {Cid.of(b"a")}

    place.blobs.before = forget
    with pytest.raises(Unavailable) as told:
        await place.fix()
    assert (told.value.reason, len(place.blobs.batches)) == ("STORE_UNREACHABLE", 3)


async def test_what_is_a_blob_already_is_not_moved_again(place: Place) -> None:
    chunks = [f"chunk {idx}".encode() for idx in range(250)]
    for start in range(0, 250, 50):
        await place.streams.append(W, A, chunks[start : start + 50])
    whole = [("/streams/a", list(range(250)))]
    assert await place.fix() == whole
    assert sum(place.blobs.batches) == 250
    for gone in ([], [3], [120, 121], [249, 0]):
        place.blobs.batches.clear()
        for idx in gone:
            del place.blobs.data_by_cid[Cid.of(chunks[idx])]
        assert await place.fix() == whole
        assert sum(place.blobs.batches) == len(gone)
    assert await place.pinned(*chunks) == {Cid.of(data) for data in chunks}


async def test_a_known_blob_that_is_collected_before_it_is_pinned_has_bytes_the_next_time(place: Place) -> None:
    chunks = [f"chunk {idx}".encode() for idx in range(150)]
    await place.streams.append(W, A, chunks[:75])
    await place.streams.append(W, A, chunks[75:])
    old = Cid.of(chunks[0])
    await place.blobs.put_many([(Cid.of(data), data) for data in chunks[:50]])
    missing = place.blobs.missing

    async def collecting(cids: Sequence[Cid]) -> set[Cid]:
        found = await missing(cids)
        if old in cids and old not in found:
            del place.blobs.data_by_cid[old]
        return found

    place.blobs.missing = collecting  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await place.fix()
    place.blobs.missing = missing  # type: ignore[method-assign]
    assert await place.fix() == [("/streams/a", list(range(150)))]


async def test_a_chunk_that_is_damaged_is_told_and_a_full_disk_too(place: Place) -> None:
    await place.streams.append(W, A, [b"a", b"b"])
    place.blobs.full = True
    with pytest.raises(Exhausted):
        await place.fix()
    chunks = place.store.table._chunks[StreamKey("w", "/streams/a")]
    chunks[0] = replace(chunks[0], data=b"other")
    with pytest.raises(Corrupt) as told:
        await place.fix()
    assert (told.value.reason, told.value.metadata["idx"]) == ("CHUNK_CORRUPT", "0")


async def test_more_than_one_execution_may_read_is_refused_before_anything_is_stored(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.streams.append(W, A, [b"aa", b"b"])
    await place.streams.append(W, B, [b"c"])
    for limit, most in (("MAX_FIXED_CHUNKS", 2), ("MAX_FIXED_BYTES", 3)):
        with monkeypatch.context() as patch:
            patch.setattr(keeping, limit, most)
            with pytest.raises(Invalid) as refused:
                await place.fix()
            assert refused.value.reason == "CHUNKS_TOO_MANY"
            assert await place.fix([Selector.parse("/streams/a/**")]) == [("/streams/a", [0, 1])]
        place.blobs.batches.clear()
    assert place.blobs.batches == []


async def test_single_chunks_count_as_well(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    await place.streams.append(W, A, [b"a", b"b"])
    monkeypatch.setattr(keeping, "MAX_FIXED_CHUNKS", 1)
    with pytest.raises(Invalid, match="at most 1 chunk"):
        await place.fix([Selector.parse(f"/streams/a/{idx:019d}") for idx in (0, 1)])
