"""Streams as everyone uses them: what is refused before anything is done, and what damage does."""

from dataclasses import replace

import pytest

from services.artifacts.streams.adapters.memory import MemoryStreams
from services.artifacts.streams.domain.streams import Streams
from services.artifacts.streams.ports import StreamKey
from theory.core.clock import FakeClock
from theory.core.errors import Corrupt, Invalid, NotFound
from theory.core.stream import AskedLimits
from theory.core.world_path import WorldName, WorldPath

W, A = WorldName("w"), WorldPath("/streams/a")
KEY = StreamKey("w", "/streams/a")


@pytest.fixture
def store() -> MemoryStreams:
    return MemoryStreams(FakeClock())


@pytest.fixture
def streams(store: MemoryStreams) -> Streams:
    return Streams(store, FakeClock())


def damage(store: MemoryStreams, idx: int) -> None:
    """Change the bytes of a chunk that lies there, as a disk would."""
    chunks = store.table._chunks[KEY]
    chunks[idx] = replace(chunks[idx], data=b"other")


async def test_a_limit_out_of_range_is_refused_where_the_stream_is_there_too(streams: Streams) -> None:
    await streams.append(W, A, [b"x"])
    with pytest.raises(Invalid) as refused:
        await streams.append(W, A, [b"x"], limits=AskedLimits(max_chunks=0))
    assert refused.value.metadata["field"] == "max_chunks"


async def test_a_damaged_chunk_ends_the_page_before_it_and_is_told_at_its_place(
    streams: Streams, store: MemoryStreams
) -> None:
    await streams.append(W, A, [b"a", b"b", b"c"])
    damage(store, 1)
    page = await streams.read(W, A)
    assert ([each.data for each in page.chunks], page.next_idx) == ([b"a"], 1)
    with pytest.raises(Corrupt) as told:
        await streams.read(W, A, from_idx=1)
    assert (told.value.reason, told.value.metadata["idx"]) == ("CHUNK_CORRUPT", "1")
    assert [each.data for each in (await streams.read(W, A, from_idx=2)).chunks] == [b"c"]


async def test_a_wait_leaves_time_for_the_answer(streams: Streams) -> None:
    with pytest.raises(NotFound):
        await streams.read(W, A, wait_s=20, time_left_s=0.2)


async def test_a_world_that_is_dropped_has_no_streams_and_gets_none(streams: Streams) -> None:
    other = WorldName("other")
    for world in (W, other):
        for n in range(3):
            await streams.append(world, WorldPath(f"/streams/{n}"), [b"x"])
    assert await streams.drop(W) == 3
    assert await streams.drop(W) == 0
    for asked in (
        streams.append(W, WorldPath("/streams/0"), [b"y"]),
        streams.read(W, WorldPath("/streams/0")),
        streams.page(W, None, after="", limit=9),
    ):
        with pytest.raises(NotFound) as refused:
            await asked
        assert (refused.value.reason, refused.value.metadata) == ("WORLD_DROPPED", {"world": "w"})
    (status,) = await streams.status_many(W, [WorldPath("/streams/0")])
    assert isinstance(status, NotFound)
    assert status.reason == "WORLD_DROPPED"
    assert len(await streams.page(other, None, after="", limit=9)) == 3
