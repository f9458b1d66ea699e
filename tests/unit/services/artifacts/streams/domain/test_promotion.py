"""Promotion of chunks that are damaged, and of more than are held at once; the rest is a promise of every store."""

from dataclasses import replace

import pytest

from services.artifacts.adapters.bindings.memory import MemoryBindings
from services.artifacts.adapters.blobs.memory import MemoryBlobs
from services.artifacts.domain.artifacts import Artifacts
from services.artifacts.domain.bindings import Written
from services.artifacts.domain.store import BlobStore
from services.artifacts.streams.adapters.memory import MemoryStreams
from services.artifacts.streams.domain.promotion import Promoted, Promotion
from services.artifacts.streams.domain.streams import Streams
from services.artifacts.streams.ports import StreamKey
from tests.leases import leases_of
from theory.core.cid import Cid
from theory.core.clock import FakeClock
from theory.core.errors import Corrupt, NotFound
from theory.core.world_path import WorldName, WorldPath

W, A = WorldName("w"), WorldPath("/streams/a")


@pytest.fixture
def store() -> MemoryStreams:
    return MemoryStreams(FakeClock())


@pytest.fixture
def promotion(store: MemoryStreams) -> Promotion:
    blobs, clock = MemoryBlobs(), FakeClock()
    table = MemoryBindings(clock)
    leases = leases_of(blobs, table, clock)
    artifacts = Artifacts(BlobStore(blobs, leases, max_blob_bytes=1 << 30), blobs, leases, table, clock)
    return Promotion(store, artifacts)


def _items(count: int) -> list[Promoted]:
    return [Promoted(idx, WorldPath(f"/artifacts/{idx}")) for idx in range(count)]


async def test_many_are_bound_in_order_and_a_damaged_one_stops_no_other(
    store: MemoryStreams, promotion: Promotion
) -> None:
    chunks = [f"chunk {idx}".encode() for idx in range(20)]
    await Streams(store, FakeClock()).append(W, A, chunks)
    kept = store.table._chunks[StreamKey("w", "/streams/a")]
    kept[7] = replace(kept[7], data=b"other")
    written = await promotion.promote(W, A, _items(20), content_type="text/plain")
    damaged = written.pop(7)
    assert isinstance(damaged, Corrupt)
    assert damaged.metadata["idx"] == "7"
    assert [each.artifact.cid for each in written if isinstance(each, Written)] == [
        Cid.of(data) for data in chunks if data != b"chunk 7"
    ]


async def test_a_stream_that_is_not_there_is_told_as_a_whole(promotion: Promotion) -> None:
    with pytest.raises(NotFound) as told:
        await promotion.promote(W, A, _items(1), content_type="text/plain")
    assert told.value.reason == "STREAM_UNKNOWN"
