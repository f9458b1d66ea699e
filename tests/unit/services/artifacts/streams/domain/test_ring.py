"""The rules of one stream, on the table in memory: indexes, the ring, repeats, samples."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from services.artifacts.streams.adapters.memory import MemoryTable
from services.artifacts.streams.domain import ring
from services.artifacts.streams.domain.ring import Append
from services.artifacts.streams.ports import StreamKey
from theory.core.cid import Cid
from theory.core.errors import AlreadyExists, Conflict
from theory.core.ids import PlanId
from theory.core.stream import MAX_CHUNK_BYTES, AppendedChunks, AskedLimits, Stream
from theory.core.world_path import WorldName, WorldPath

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = StreamKey("w", "/streams/a")


class Place:
    """A table, and appends to one of its streams."""

    def __init__(self, **limits: int) -> None:
        self.table = MemoryTable()
        self.limits = AskedLimits(**limits)
        self.now = NOW

    def append(
        self, *chunks: bytes, expected_idx: int | None = None, limits: AskedLimits | None = None, plan_id: str = ""
    ) -> AppendedChunks:
        asked = Append(
            WorldName(KEY.world),
            WorldPath(KEY.series),
            [(Cid.of(data), data) for data in chunks],
            expected_idx,
            self.limits if limits is None else limits,
            PlanId(plan_id) if plan_id else None,
        )
        try:
            appended = ring.append(self.table, asked, now=self.now)
        except BaseException:
            self.table.undo()
            raise
        self.table.commit()
        return appended

    @property
    def stream(self) -> Stream:
        return self.table.held([KEY])[KEY].stream

    def kept(self) -> Sequence[tuple[int, bytes]]:
        return [(each.idx, each.data) for each in self.table.chunks(KEY, 0, 1000)]


def test_the_counters_add_up_whatever_is_appended() -> None:
    place = Place(max_chunks=7, max_bytes=MAX_CHUNK_BYTES)
    sizes = [1, 0, 400_000, 3, 700_000, 2, 2, 2, MAX_CHUNK_BYTES, 5, 600_000, 600_000, 1]
    for size in sizes * 3:
        place.append(b"x" * size, b"y")
        stream, kept = place.stream, place.kept()
        assert [idx for idx, _ in kept] == list(range(stream.dropped_chunks, stream.chunk_count))
        assert stream.kept_bytes == sum(len(data) for _, data in kept) <= MAX_CHUNK_BYTES
        assert 1 <= len(kept) <= 7
        assert stream.watermark_idx + 1 == stream.chunk_count


def test_no_more_is_dropped_than_has_to_go() -> None:
    place = Place(max_chunks=100, max_bytes=MAX_CHUNK_BYTES)
    place.append(*[b"x" * 1_000] * 100)
    place.append(b"x" * (MAX_CHUNK_BYTES - 100_000 + 1_000))
    assert (place.stream.dropped_chunks, place.stream.kept_bytes) == (1, MAX_CHUNK_BYTES)
    place.append(b"")
    assert place.stream.dropped_chunks == 2


def test_more_small_chunks_go_than_are_looked_at_together() -> None:
    place = Place(max_chunks=1_000, max_bytes=MAX_CHUNK_BYTES)
    for _ in range(9):
        place.append(*[b"x" * 1_000] * 100)
    place.append(b"L" * MAX_CHUNK_BYTES)
    assert (place.stream.chunk_count, place.stream.dropped_chunks) == (901, 900)


def test_a_repeat_of_the_last_append_is_known_though_its_chunks_are_gone() -> None:
    place, chunks = Place(max_chunks=1), [b"a", b"b", b"c"]
    assert place.append(*chunks, expected_idx=0) == place.append(*chunks, expected_idx=0) == AppendedChunks(0, 2)
    with pytest.raises(Conflict) as refused:
        place.append(b"a", b"b", expected_idx=0)
    assert refused.value.metadata == {"expected_idx": "0", "next_idx": "3", "oldest_idx": "2"}
    assert place.append(b"c", b"d", expected_idx=2) == AppendedChunks(2, 3)


def test_what_was_dropped_is_not_compared_with_what_is_kept() -> None:
    place = Place(max_chunks=1)
    for chunk in (b"a", b"b", b"a"):
        place.append(chunk)
    with pytest.raises(Conflict):
        place.append(b"a", expected_idx=0)
    assert place.append(b"a", expected_idx=2) == AppendedChunks(2, 2)


def test_nothing_is_appended_behind_a_gap() -> None:
    place = Place()
    with pytest.raises(Conflict):
        place.append(b"a", expected_idx=1)
    place.append(b"a", expected_idx=0)
    with pytest.raises(Conflict):
        place.append(b"b", expected_idx=2)
    assert place.kept() == [(0, b"a")]


def test_what_is_refused_leaves_no_trace() -> None:
    place = Place()
    place.append(b"a", limits=AskedLimits(sample_every_n=1))
    before, events = place.stream, list(place.table.events)
    with pytest.raises(Conflict):
        place.append(b"b", expected_idx=0)
    with pytest.raises(AlreadyExists):
        place.append(b"b", limits=AskedLimits(max_chunks=7))
    assert (place.stream, place.table.events) == (before, events)


def test_a_clock_that_goes_back_takes_no_time_of_the_stream_with_it() -> None:
    place = Place()
    place.append(b"a")
    place.now = NOW - timedelta(hours=1)
    place.append(b"b")
    assert (place.stream.create_time, place.stream.update_time) == (NOW, NOW)


def test_a_sample_has_the_name_of_its_index() -> None:
    place = Place(sample_every_n=2)
    place.append(b"a", b"b", b"c", plan_id="p-1")
    place.append(b"d", b"e")
    events = place.table.events
    assert [each.plan_id for each in events] == ["p-1", "p-1", "system.artifacts"]
    assert [each.event.event_id.rpartition(":")[2] for each in events] == ["0", "2", "4"]
    assert len({each.event.event_id for each in events}) == 3
    assert dict(events[1].event.body) == {
        "world": "w",
        "series": "/streams/a",
        "watermark": 2,
        "every_n": 2,
        "cid": Cid.of(b"c").text,
    }


def test_an_answer_holds_one_chunk_at_least() -> None:
    place = Place()
    place.append(b"aaa", b"b", b"cc")
    counts = [ring.fitting(place.table, KEY, 0, max_chunks=3, max_bytes=most) for most in (1, 3, 4, 5, 6)]
    assert counts == [1, 1, 2, 2, 3]
    assert ring.fitting(place.table, KEY, 0, max_chunks=2, max_bytes=100) == 2
    assert ring.fitting(place.table, KEY, 3, max_chunks=2, max_bytes=100) == 0
