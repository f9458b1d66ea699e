"""What is kept together, and what is not kept at all."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from services.artifacts.adapters.bindings.memory import MemoryBindings
from services.artifacts.adapters.blobs.memory import MemoryBlobs
from services.artifacts.domain.artifacts import Artifacts
from services.artifacts.domain.store import BlobStore
from services.artifacts.streams.domain.keeping import Blobs, Keeping, require_few
from services.artifacts.streams.ports import Named, StreamKey
from tests.leases import leases_of
from theory.core.chunk import MAX_FIXED_BYTES, MAX_FIXED_CHUNKS
from theory.core.cid import Cid
from theory.core.clock import FakeClock
from theory.core.errors import Corrupt, Invalid, TheoryError, Unavailable
from theory.core.ids import ExecutionId
from theory.core.stream import MAX_CHUNK_BYTES, Chunk
from theory.core.world_path import WorldName

KEY = StreamKey("w", "/streams/a")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Counted(MemoryBlobs):
    """Says how many blobs came in each batch."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    async def put_many(self, blobs: Sequence[tuple[Cid, bytes]]) -> list[TheoryError | None]:
        self.batches.append(len(blobs))
        return await super().put_many(blobs)


@pytest.fixture
def store() -> Counted:
    return Counted()


@pytest.fixture
def keeping(store: Counted) -> Keeping:
    clock = FakeClock()
    table = MemoryBindings(clock)
    leases = leases_of(store, table, clock)
    blobs = BlobStore(store, leases, max_blob_bytes=1 << 30)
    artifacts = Artifacts(blobs, store, leases, table, clock)
    return Keeping(Blobs(blobs, artifacts, WorldName("w"), ExecutionId("p-1.x")))


def _chunk(idx: int, data: bytes) -> Chunk:
    return Chunk(idx, Cid.of(data), data, NOW)


async def test_a_batch_has_a_hundred_chunks_and_six_megabytes_at_the_most(store: Counted, keeping: Keeping) -> None:
    for idx in range(150):
        await keeping.take(KEY, _chunk(idx, f"{idx}".encode()))
    for idx in range(150, 157):
        await keeping.take(KEY, _chunk(idx, bytes([idx]) * MAX_CHUNK_BYTES))
    listed = await keeping.listed()
    assert [idx for idx, _ in listed[KEY.series]] == list(range(157))
    assert store.batches == [100, 55, 2]


async def test_equal_bytes_are_one_blob(store: Counted, keeping: Keeping) -> None:
    for idx in range(3):
        await keeping.take(KEY, _chunk(idx, b"same"))
    assert len((await keeping.listed())[KEY.series]) == 3
    assert store.batches == [1]


async def test_bytes_that_come_after_the_name_count(store: Counted, keeping: Keeping) -> None:
    await keeping.take_stored(KEY, Named(1, Cid.of(b"same"), 4))
    await keeping.take(KEY, _chunk(0, b"same"))
    await keeping.listed()
    assert store.data_by_cid == {Cid.of(b"same"): b"same"}


async def test_a_name_whose_blob_is_gone_is_asked_for_again(keeping: Keeping) -> None:
    await keeping.take_stored(KEY, Named(0, Cid.of(b"gone"), 4))
    with pytest.raises(Unavailable) as told:
        await keeping.listed()
    assert told.value.reason == "STORE_UNREACHABLE"


async def test_other_bytes_than_the_name_says_are_told(keeping: Keeping) -> None:
    with pytest.raises(Corrupt):
        await keeping.take(KEY, Chunk(0, Cid.of(b"a"), b"b", NOW))


def test_the_most_is_allowed_and_one_more_is_not() -> None:
    require_few(MAX_FIXED_CHUNKS, MAX_FIXED_BYTES)
    for chunks, size_bytes in ((MAX_FIXED_CHUNKS + 1, 0), (0, MAX_FIXED_BYTES + 1)):
        with pytest.raises(Invalid):
            require_few(chunks, size_bytes)
