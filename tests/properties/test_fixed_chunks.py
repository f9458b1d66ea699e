"""Fixing while writers append and blobs are collected, at any of its steps: the list has no gap and all of it stays."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from services.artifacts.adapters.bindings.memory import MemoryBindings
from services.artifacts.adapters.blobs.memory import MemoryBlobs
from services.artifacts.domain.artifacts import Artifacts
from services.artifacts.domain.store import BlobStore
from services.artifacts.streams.adapters.memory import MemoryStreams
from services.artifacts.streams.domain.fixing import Fixing
from services.artifacts.streams.domain.streams import Streams
from services.artifacts.streams.ports import StreamReader
from tests.leases import leases_of
from theory.core.cid import Cid
from theory.core.clock import FakeClock
from theory.core.errors import Unavailable
from theory.core.ids import ExecutionId
from theory.core.selector import Selector
from theory.core.stream import AskedLimits
from theory.core.world_path import WorldName, WorldPath

W, A, X = WorldName("w"), WorldPath("/streams/a"), ExecutionId("p-1.x")
ALL = [Selector.parse("/streams/**")]
RING = 230
"""More than two pages."""

_T = TypeVar("_T")


def _data(idx: int) -> bytes:
    return f"chunk {idx}".encode()


class Turning:
    """A stream to which something is appended before each look at it, as a list of counts says."""

    def __init__(self, kept: int, steps: list[int], known: set[int]) -> None:
        clock = FakeClock()
        self.store = MemoryStreams(clock)
        self.streams = Streams(self.store, clock)
        self.blobs = MemoryBlobs()
        self.bindings = MemoryBindings(clock)
        self.kept = kept
        self.count = 0
        self.known = known
        """Blobs that are there before, by index modulo 10."""
        self._steps = steps
        self._read = self.store.read
        self.store.read = self._looked  # type: ignore[method-assign]
        leases = leases_of(self.blobs, self.bindings, clock)
        blobs = BlobStore(self.blobs, leases, max_blob_bytes=1 << 20)
        self.fixing = Fixing(self.store, blobs, Artifacts(blobs, self.blobs, leases, self.bindings, clock))

    async def append(self, count: int) -> None:
        for start in range(0, count, 100):
            chunks = [_data(self.count + at) for at in range(min(100, count - start))]
            await self.streams.append(W, A, chunks, limits=AskedLimits(max_chunks=self.kept, sample_every_n=0))
            for at, data in enumerate(chunks):
                if (self.count + at) % 10 in self.known:
                    self.blobs.data_by_cid[Cid.of(data)] = data
            self.count += len(chunks)

    async def _looked(self, step: Callable[[StreamReader], _T]) -> _T:
        await self.append(self._steps.pop() if self._steps else 0)
        return await self._read(step)


@settings(max_examples=60, deadline=None)
@given(
    kept=st.integers(1, RING),
    first=st.integers(1, 2 * RING),
    steps=st.lists(st.integers(0, RING), max_size=12),
    known=st.sets(st.integers(0, 9)),
)
def test_a_list_has_no_gap_and_ends_with_what_was_the_newest(
    kept: int, first: int, steps: list[int], known: set[int]
) -> None:
    async def check() -> None:
        stream = Turning(kept, [], known)
        await stream.append(first)
        stream._steps = list(steps)
        [fixed] = await stream.fixing.fix(W, X, ALL)
        idxs = [idx for idx, _ in fixed.chunks]
        assert idxs == list(range(idxs[0], idxs[-1] + 1))
        assert first - 1 <= idxs[-1] < stream.count
        assert len(idxs) <= kept
        if not steps:
            assert idxs == list(range(max(0, first - kept), first))
        cids = [each.cid for _, each in fixed.chunks]
        assert cids == [Cid.of(_data(idx)) for idx in idxs]
        assert [stream.blobs.data_by_cid[cid] for cid in cids] == [_data(idx) for idx in idxs]
        assert await stream.bindings.read(lambda table: table.pinned(X.text, cids)) == set(cids)

    asyncio.run(check())


class Collected(MemoryBlobs):
    """Loses what it was asked about, at the steps that a list names."""

    def __init__(self, losses: list[bool]) -> None:
        super().__init__()
        self._losses = losses

    async def missing(self, cids: Sequence[Cid]) -> set[Cid]:
        found = await super().missing(cids)
        if self._losses and self._losses.pop():
            for cid in list(cids)[::3]:
                self.data_by_cid.pop(cid, None)
        return found


@settings(max_examples=60, deadline=None)
@given(first=st.integers(1, RING), losses=st.lists(st.booleans(), max_size=8), known=st.sets(st.integers(0, 9)))
def test_what_is_listed_is_there_though_blobs_are_collected_meanwhile(
    first: int, losses: list[bool], known: set[int]
) -> None:
    async def check() -> None:
        stream = Turning(RING, [], known)
        blobs = Collected([])
        stream.blobs = blobs
        leases = leases_of(blobs, stream.bindings)
        store = BlobStore(blobs, leases, max_blob_bytes=1 << 20)
        fixing = Fixing(stream.store, store, Artifacts(store, blobs, leases, stream.bindings, FakeClock()))
        await stream.append(first)
        blobs._losses = list(losses)
        while True:
            try:
                [fixed] = await fixing.fix(W, X, ALL)
                break
            except Unavailable as error:
                assert error.reason == "STORE_UNREACHABLE"  # noqa: PT017 - the executor asks again, and so does this
        assert [idx for idx, _ in fixed.chunks] == list(range(first))
        assert [blobs.data_by_cid[each.cid] for _, each in fixed.chunks] == [_data(idx) for idx in range(first)]

    asyncio.run(check())
