"""What every store of streams promises about chunks and their indexes, over the wire."""

import asyncio

from theory.api.artifacts.v1 import streams_pb2 as pb
from theory.core.cid import Cid
from theory.core.errors import AlreadyExists, Conflict, Invalid, NotFound, TheoryError
from theory.core.stream import AppendedChunks, AskedLimits, ChunkPage, StreamLimits
from theory.testing.case import Target, case
from theory.testing.cases.queue_topic import in_time, is_waiting
from theory.testing.cases.streams_series import MIB, Series, numbered
from theory.testing.refusals import refusal
from theory.wire.channel import call

_LOOK_S = 1.5
"""What another replica appended is seen within a second."""


@case()
async def chunks_are_numbered_from_zero_and_read_as_they_went(target: Target) -> None:
    """Index, bytes and CID come back in the order of the appends, an empty chunk too (I-12, I-109)."""
    series, chunks = Series(target), [*numbered(3), b"", b"\x00\xff"]
    assert await series.append(*chunks[:3]) == AppendedChunks(0, 2)
    assert await series.append(*chunks[3:]) == AppendedChunks(3, 4)
    page = await series.page()
    assert [(each.idx, each.data, each.cid) for each in page.chunks] == [
        (idx, data, Cid.of(data)) for idx, data in enumerate(chunks)
    ]
    assert (page.next_idx, page.watermark_idx, page.skipped_chunks) == (5, 4, 0)
    assert [each.idx for each in (await series.page(3)).chunks] == [3, 4]
    assert [each.idx for each in (await series.page(1, max_chunks=2)).chunks] == [1, 2]


@case()
async def what_lies_beyond_the_watermark_is_empty(target: Target) -> None:
    """A read at the end, or behind it, finds nothing yet and stays where it is (I-109)."""
    series = Series(target)
    await series.append(*numbered(2))
    for from_idx in (2, 3, 1 << 40):
        assert await series.page(from_idx) == ChunkPage((), from_idx, 1, 0)


@case()
async def appends_at_once_get_indexes_of_their_own(target: Target) -> None:
    """Batches of many writers stand whole and one behind the other, without a gap (I-109)."""
    series, writers, each_count = Series(target), 12, 5
    batches = [numbered(each_count, start=each_count * writer) for writer in range(writers)]
    appended = await asyncio.gather(*(series.append(*batch) for batch in batches))
    kept = dict(await series.kept())
    assert sorted(kept) == list(range(writers * each_count))
    for batch, (first_idx, _) in zip(batches, appended, strict=True):
        assert [kept[first_idx + at] for at in range(each_count)] == batch


@case()
async def the_counters_account_for_every_chunk(target: Target) -> None:
    """`chunk_count` is the watermark and one; weight, limits and times are told with it (I-20)."""
    series = Series(target)
    await series.append(b"12", b"345")
    first = await series.status()
    assert (first.world.text, first.series.text) == (series.world, series.series)
    assert (first.watermark_idx, first.chunk_count, first.dropped_chunks, first.kept_bytes) == (1, 2, 0, 5)
    assert first.limits == StreamLimits()
    await series.append(b"6")
    then = await series.status()
    assert (then.watermark_idx, then.chunk_count, then.dropped_chunks, then.kept_bytes) == (2, 3, 0, 6)
    assert then.create_time == first.create_time
    assert then.update_time >= first.update_time


@case()
async def a_repeat_with_an_expected_index_adds_nothing(target: Target) -> None:
    """The same chunks at the same index succeed, now and after later appends; the rest of a batch is added (I-110)."""
    series, chunks = Series(target), numbered(6)
    for _ in range(2):
        assert await series.append(*chunks[:2], expected_idx=0) == AppendedChunks(0, 1)
    for _ in range(2):
        assert await series.append(*chunks[2:4], expected_idx=2) == AppendedChunks(2, 3)
    assert await series.append(*chunks[:2], expected_idx=0) == AppendedChunks(0, 3)
    assert await series.append(*chunks[3:], expected_idx=3) == AppendedChunks(3, 5)
    assert await series.kept() == list(enumerate(chunks))
    assert (await series.status()).chunk_count == 6


@case()
async def an_index_never_changes_its_bytes(target: Target) -> None:
    """Other chunks at an index, and an index behind a gap, are `Conflict`; nothing is added (I-109, I-110)."""
    series, chunks = Series(target), numbered(3)
    error = await refusal(series.append(b"x", expected_idx=1), Conflict, "STREAM_IDX_CONFLICT")
    assert error.metadata == {"expected_idx": "1", "next_idx": "0", "oldest_idx": "0"}
    await refusal(series.status(), NotFound, "STREAM_UNKNOWN")
    await series.append(*chunks)
    for bad, expected_idx in ((b"x", 0), (b"x", 2), (chunks[0], 1), (b"x", 4), (b"x", 1 << 40)):
        error = await refusal(series.append(bad, expected_idx=expected_idx), Conflict, "STREAM_IDX_CONFLICT")
        assert error.metadata == {"expected_idx": str(expected_idx), "next_idx": "3", "oldest_idx": "0"}
    await refusal(series.append(chunks[2], b"x", b"y", expected_idx=1), Conflict, "STREAM_IDX_CONFLICT")
    assert await series.kept() == list(enumerate(chunks))


@case()
async def of_writers_that_expect_one_index_one_wins(target: Target) -> None:
    """The others are `Conflict`, so that each index goes to one of them (I-109, I-110)."""
    series, writers = Series(target), 8
    answers = await asyncio.gather(
        *(series.append(chunk, expected_idx=0) for chunk in numbered(writers)), return_exceptions=True
    )
    assert [each for each in answers if not isinstance(each, TheoryError)] == [AppendedChunks(0, 0)]
    lost = [each.reason for each in answers if isinstance(each, TheoryError)]
    assert lost == ["STREAM_IDX_CONFLICT"] * (writers - 1)
    assert len(await series.kept()) == 1


@case()
async def the_first_append_fixes_the_limits(target: Target) -> None:
    """The same figures, or none, go on; another one is `AlreadyExists STREAM_TAKEN` and adds nothing (I-112)."""
    series, limits = Series(target), AskedLimits(10, 2 * MIB, 3)
    await series.append(b"a", limits=limits)
    for fine in (limits, AskedLimits(), AskedLimits(max_chunks=10), AskedLimits(sample_every_n=3)):
        await series.append(b"b", limits=fine)
    for other in (
        AskedLimits(11),
        AskedLimits(10, 3 * MIB),
        AskedLimits(sample_every_n=0),
        AskedLimits(10, 2 * MIB, 4),
    ):
        error = await refusal(series.append(b"c", limits=other), AlreadyExists, "STREAM_TAKEN")
        assert error.metadata == {"max_chunks": "10", "max_bytes": str(2 * MIB), "sample_every_n": "3"}
    stream = await series.status()
    assert (stream.limits, stream.chunk_count) == (StreamLimits(10, 2 * MIB, 3), 5)


@case()
async def a_stream_lies_neither_above_nor_below_another(target: Target) -> None:
    """Such a series is `AlreadyExists PATH_SHADOWED` and is not made; one beside it is (I-113)."""
    series = Series(target, series="/streams/a/b")
    await series.append(b"1")
    for path in ("/streams/a", "/streams/a/b/c", "/streams/a/b/c/d"):
        error = await refusal(series.beside(path).append(b"x"), AlreadyExists, "PATH_SHADOWED")
        assert error.metadata == {"path": path, "other": "/streams/a/b"}
    for path in ("/streams/a/bb", "/streams/a/b-", "/streams/a/c", "/streams/b"):
        await series.beside(path).append(b"x")
    made = [each.series.text async for each in series.streams.list(series.world)]
    assert made == ["/streams/a/b", "/streams/a/b-", "/streams/a/bb", "/streams/a/c", "/streams/b"]


@case()
async def worlds_are_separate(target: Target) -> None:
    """A stream of the same name in another world has chunks and counters of its own (I-5)."""
    here = Series(target)
    there = here.elsewhere()
    await here.append(*numbered(3))
    await refusal(there.page(), NotFound, "STREAM_UNKNOWN")
    assert [each async for each in there.streams.list(there.world)] == []
    assert await there.append(b"x") == AppendedChunks(0, 0)
    assert await there.kept() == [(0, b"x")]
    assert (await here.status()).chunk_count == 3


@case()
async def a_listing_of_streams_is_complete_and_in_order(target: Target) -> None:
    """Pages follow the bytes of the series and end where they end; a prefix takes whole segments (I-4, I-88)."""
    series = Series(target)
    names = ["a/b", "a/b.c/d", "a/é", "a-", "a.b", "a/c-", "ab", "b", "\U0001f600", "ￛ", "a/c/日"]
    paths = sorted((f"/streams/{name}" for name in names), key=str.encode)
    for path in reversed(paths):
        await series.beside(path).append(b"x")
    for size in (1, 4, 11, 12):
        listed, token, pages = [], "", 0
        while pages == 0 or token:
            request = pb.ListStreamsRequest(world=series.world, page_size=size, page_token=token)
            page = await call(series.stub.ListStreams, request)
            listed += [each.series for each in page.streams]
            token, pages = page.next_page_token, pages + 1
        assert listed == paths
        assert pages == -(-len(paths) // size)
    for prefix in ("/streams/a/", "/streams/a/c/", "/streams/none/", "/streams/", "/artifacts/"):
        below = [each.series.text async for each in series.streams.list(series.world, prefix)]
        assert below == [path for path in paths if path.startswith(prefix)]
    first = await call(series.stub.ListStreams, pb.ListStreamsRequest(world=series.world, page_size=1))
    other = pb.ListStreamsRequest(world=series.elsewhere().world, page_token=first.next_page_token)
    await refusal(call(series.stub.ListStreams, other), Invalid, "PAGE_TOKEN_INVALID")


@case()
async def who_waits_for_a_chunk_gets_it(target: Target) -> None:
    """A read that may wait is woken by an append to its stream, be it the one that makes it (I-114)."""
    series, other = Series(target), Series(target)
    for from_idx in (0, 1):
        waiting, beside = (asyncio.create_task(each.page(from_idx, wait_s=10)) for each in (series, other))
        await is_waiting(target, [waiting, beside])
        await series.append(b"x")
        page, _ = await in_time(target, waiting, target.slack_s + _LOOK_S)
        assert ([each.idx for each in page.chunks], page.next_idx) == ([from_idx], from_idx + 1)
        assert not beside.done()
        await other.append(b"y")
        assert [each.data for each in (await in_time(target, beside, target.slack_s + _LOOK_S))[0].chunks] == [b"y"]


@case()
async def a_wait_for_no_chunk_ends(target: Target) -> None:
    """It ends with an empty page, or with `NotFound` where there is no stream, and not before its time (I-114)."""
    series = Series(target)
    await series.append(b"x")
    waiting = asyncio.create_task(series.page(1, wait_s=2))
    page, after_s = await in_time(target, waiting, 2 + target.slack_s + _LOOK_S)
    assert page == ChunkPage((), 1, 0, 0)
    assert after_s >= 2
    unknown = asyncio.create_task(refusal(series.beside("/streams/b").page(wait_s=2), NotFound, "STREAM_UNKNOWN"))
    _, after_s = await in_time(target, unknown, 2 + target.slack_s + _LOOK_S)
    assert after_s >= 2
