"""What every store of streams answers to what is malformed or too much: the same, whatever is behind it."""

from collections.abc import Awaitable

from theory.api.artifacts.v1 import streams_pb2 as pb
from theory.core.errors import Invalid, NotFound
from theory.core.stream import MAX_STREAM_BYTES, MAX_STREAM_CHUNKS, AppendedChunks, AskedLimits, Stream
from theory.testing.case import Target, case
from theory.testing.cases.streams_series import MIB, Series, numbered
from theory.testing.refusals import refusal, refused
from theory.wire.channel import call
from theory.wire.status import item_error

_BAD_SERIES = [
    *("", "/", "/streams", "/streams/", "/streams/a/", "/streams//a", "/streams/../a", "/streams/a/./b", "streams/a"),
    *("/artifacts/a", "/artifacts/streams/a", "/other/a", "/streams/A", "/streams/a%2fb", "/streams/a\\b"),
    *("/streams/a\x00b", "/streams/a\nb", "/streams/\u200b", "/streams/e\u0301", "/streams/**", "/streams/ a"),
    # No room for the chunks below it.
    *("/streams" + "/a" * 31, "/streams/" + "/".join(["a" * 250] * 4)),
]
_BAD_WORLDS = ["", "A", "-a", "a b", "a/b", "a\x00", "é", "w" * 129]


@case()
async def series_and_worlds_are_checked_in_each_call(target: Target) -> None:
    """What is no path below `/streams/` is `Invalid PATH_INVALID`, what is no world `Invalid WORLD_INVALID` (I-2)."""
    series = Series(target)
    for bad in _BAD_SERIES:
        for asked in _each_method(series, series.world, bad):
            await refusal(asked, Invalid, "PATH_INVALID")
    for bad in _BAD_WORLDS:
        listed = call(series.stub.ListStreams, pb.ListStreamsRequest(world=bad))
        for asked in (*_each_method(series, bad, series.series), listed):
            await refusal(asked, Invalid, "WORLD_INVALID")
    for bad in ("/streams", "/streams/a", "streams/", "/streams/../", "/streams/A/", "/"):
        listed = call(series.stub.ListStreams, pb.ListStreamsRequest(world=series.world, prefix=bad))
        await refusal(listed, Invalid, "PATH_INVALID")
    bad_plan = call(series.stub.AppendChunks, pb.AppendChunksRequest(**series.place, plan_id="A b", chunks=[b"x"]))
    await refusal(bad_plan, Invalid, "ID_INVALID")
    assert [each async for each in series.streams.list(series.world)] == []


@case()
async def an_append_has_limits(target: Target) -> None:
    """1 to 100 chunks, 1 MiB each, 6 MiB together: what is more is `Invalid`, and none of it is there (I-89, I-110)."""
    series = Series(target)
    for chunks, reason, metadata in (
        ([], "BATCH_SIZE", {"max": "100"}),
        ([b""] * 101, "BATCH_SIZE", {"max": "100"}),
        ([b"fine", b"x" * (MIB + 1)], "CHUNK_TOO_LARGE", {"max_bytes": str(MIB)}),
        ([*[b"x" * MIB] * 6, b"x"], "BATCH_SIZE", {"max": str(6 * MIB)}),
    ):
        asked = call(series.stub.AppendChunks, pb.AppendChunksRequest(**series.place, chunks=chunks))
        assert (await refusal(asked, Invalid, reason)).metadata == metadata
    await refusal(series.status(), NotFound, "STREAM_UNKNOWN")
    assert await series.append(*numbered(100)) == AppendedChunks(0, 99)
    assert await series.append(*[b"x" * MIB] * 6) == AppendedChunks(100, 105)


@case()
async def the_limits_of_a_stream_have_limits(target: Target) -> None:
    """Each has a least and a most, which an error names; a refused append makes no stream (I-89, I-112)."""
    series = Series(target)
    for field, least, most in (
        ("max_chunks", 1, MAX_STREAM_CHUNKS),
        ("max_bytes", MIB, MAX_STREAM_BYTES),
        ("sample_every_n", 0, 1_000_000),
    ):
        for figure in (least - 1, -(1 << 31), most + 1):
            request = pb.AppendChunksRequest(**series.place, chunks=[b"x"], **{field: figure})  # type: ignore[arg-type]
            error = await refusal(call(series.stub.AppendChunks, request), Invalid, "STREAM_LIMIT_INVALID")
            assert error.metadata == {"field": field, "min": str(least), "max": str(most)}
    await refusal(series.status(), NotFound, "STREAM_UNKNOWN")
    await series.append(b"x", limits=AskedLimits(1, MIB, 0))
    await series.beside("/streams/most").append(
        b"x", limits=AskedLimits(MAX_STREAM_CHUNKS, MAX_STREAM_BYTES, 1_000_000)
    )


@case()
async def a_read_has_limits(target: Target) -> None:
    """Indexes are not negative, a read is of 1 to 100 chunks, a wait of 0 to 20 seconds (I-89)."""
    series = Series(target)
    await series.append(*numbered(2))
    place = series.place
    negative = pb.AppendChunksRequest(**place, chunks=[b"x"], expected_idx=-1)
    for asked, field in (
        (call(series.stub.AppendChunks, negative), "expected_idx"),
        (call(series.stub.ReadChunks, pb.ReadChunksRequest(**place, from_idx=-1)), "from_idx"),
    ):
        assert (await refusal(asked, Invalid, "RANGE_INVALID")).metadata == {"field": field}
    for count in (-1, 101, 1 << 30):
        read = call(series.stub.ReadChunks, pb.ReadChunksRequest(**place, max_chunks=count))
        assert (await refusal(read, Invalid, "MAX_CHUNKS_INVALID")).metadata == {"min": "1", "max": "100"}
    for wait_s in (-1, 21, 1 << 30):
        read = call(series.stub.ReadChunks, pb.ReadChunksRequest(**place, wait_s=wait_s))
        assert (await refusal(read, Invalid, "WAIT_INVALID")).metadata == {"min": "0", "max": "20"}
    assert len((await call(series.stub.ReadChunks, pb.ReadChunksRequest(**place))).chunks) == 2


@case()
async def a_series_that_is_not_there_stops_no_other(target: Target) -> None:
    """Each series of a question has its own status, in request order; 1 to 1,000 are asked for at once (I-86, I-89)."""
    series = Series(target)
    await series.append(b"x")
    answers = await series.streams.status_many(
        series.world, [series.series, "/streams/none", "/artifacts/a", "\ud800", series.series]
    )
    assert isinstance(answers[0], Stream)
    assert answers[0] == answers[4]
    unknown = refused(answers[1], NotFound, "STREAM_UNKNOWN")
    assert unknown.metadata == {"series": "/streams/none", "world": series.world}
    refused(answers[2], Invalid, "PATH_INVALID")
    refused(answers[3], Invalid, "PATH_INVALID")
    for count in (0, 1001):
        request = pb.GetStreamStatusRequest(world=series.world, series=[series.series] * count)
        await refusal(call(series.stub.GetStreamStatus, request), Invalid, "BATCH_SIZE")
    full = pb.GetStreamStatusRequest(world=series.world, series=[series.series] * 1000)
    assert len((await call(series.stub.GetStreamStatus, full)).results) == 1000


def _each_method(series: Series, world: str, path: str) -> list[Awaitable[object]]:
    return [
        call(series.stub.AppendChunks, pb.AppendChunksRequest(world=world, series=path, chunks=[b"x"])),
        call(series.stub.ReadChunks, pb.ReadChunksRequest(world=world, series=path)),
        _status(series, world, path),
    ]


async def _status(series: Series, world: str, path: str) -> object:
    request = pb.GetStreamStatusRequest(world=world, series=[path])
    [result] = (await call(series.stub.GetStreamStatus, request)).results
    if error := item_error(result.status):
        raise error
    return result.stream
