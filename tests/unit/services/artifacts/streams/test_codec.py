"""Protobuf to streams and back, where zero and unset differ."""

from datetime import UTC, datetime

from services.artifacts.streams import codec
from theory.api.artifacts.v1 import streams_pb2 as pb
from theory.core.cid import Cid
from theory.core.clock import FakeClock
from theory.core.errors import NotFound
from theory.core.stream import AskedLimits, Chunk, ChunkPage, Stream, StreamLimits
from theory.core.world_path import WorldName, WorldPath

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
STREAM = Stream(
    WorldName("w"), WorldPath("/streams/a"), StreamLimits(5, 1 << 20, 7), 12, 7, 99, FakeClock().now(), MOMENT
)


def test_a_limit_that_is_zero_is_not_one_that_is_unset() -> None:
    assert codec.limits_from_proto(pb.AppendChunksRequest()) == AskedLimits()
    request = pb.AppendChunksRequest(max_chunks=0, max_bytes=0, sample_every_n=0)
    assert codec.limits_from_proto(request) == AskedLimits(0, 0, 0)


def test_the_first_index_may_be_expected() -> None:
    assert codec.expected_idx_from_proto(pb.AppendChunksRequest()) is None
    assert codec.expected_idx_from_proto(pb.AppendChunksRequest(expected_idx=0)) == 0


def test_a_read_that_names_no_count_asks_for_the_most() -> None:
    assert [codec.max_chunks_from_proto(pb.ReadChunksRequest(max_chunks=each)) for each in (0, 3, -1)] == [100, 3, -1]


def test_a_stream_keeps_every_field() -> None:
    found = codec.stream_to_proto(STREAM)
    assert (found.world, found.series, found.watermark_idx) == ("w", "/streams/a", 11)
    assert (found.chunk_count, found.dropped_chunks, found.kept_bytes) == (12, 7, 99)
    assert (found.max_chunks, found.max_bytes, found.sample_every_n) == (5, 1 << 20, 7)
    assert (found.create_time.ToDatetime(UTC), found.update_time.ToDatetime(UTC)) == (STREAM.create_time, MOMENT)


def test_a_stream_that_is_not_there_has_a_status_alone() -> None:
    answers = [codec.status_to_proto(each) for each in (STREAM, NotFound("STREAM_UNKNOWN", "nothing"))]
    assert [(each.status.reason, each.HasField("stream")) for each in answers] == [
        ("", True),
        ("STREAM_UNKNOWN", False),
    ]


def test_a_page_keeps_every_field() -> None:
    chunk = Chunk(3, Cid.of(b"x"), b"x", MOMENT)
    page = codec.page_to_proto(ChunkPage((chunk,), 4, 9, 2))
    assert (page.next_idx, page.watermark_idx, page.skipped_chunks) == (4, 9, 2)
    assert [(each.idx, each.cid, each.data) for each in page.chunks] == [(3, chunk.cid.text, b"x")]
    assert page.chunks[0].append_time.ToDatetime(UTC) == MOMENT
