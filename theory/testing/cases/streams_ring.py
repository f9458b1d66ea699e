"""What every store of streams promises about what is kept and what is dropped, over the wire."""

from theory.core.errors import Conflict
from theory.core.stream import AppendedChunks, AskedLimits
from theory.testing.case import Target, case
from theory.testing.cases.streams_series import MIB, Series, numbered
from theory.testing.refusals import refusal


@case()
async def the_oldest_chunks_beyond_the_count_are_dropped_and_counted(target: Target) -> None:
    """No more than `max_chunks` are kept, the newest, under the indexes that they had (I-20, I-111)."""
    series, limits = Series(target), AskedLimits(max_chunks=5)
    for at, chunk in enumerate(numbered(12)):
        assert await series.append(chunk, limits=limits) == AppendedChunks(at, at)
        stream = await series.status()
        assert (stream.chunk_count, stream.dropped_chunks) == (at + 1, max(0, at - 4))
    kept = list(enumerate(numbered(12)))[7:]
    assert await series.kept() == kept
    assert stream.kept_bytes == sum(len(data) for _, data in kept)


@case()
async def the_oldest_chunks_beyond_the_weight_are_dropped_and_counted(target: Target) -> None:
    """No more than `max_bytes` are kept; a large chunk takes the place of many small ones (I-20, I-111)."""
    series, limits = Series(target), AskedLimits(max_bytes=MIB)
    await series.append(*[b"s" * 1024] * 100, limits=limits)
    await series.append(b"m" * (MIB // 2))
    assert (await series.status()).dropped_chunks == 0
    await series.append(b"l" * (MIB // 2))
    stream = await series.status()
    assert (stream.chunk_count, stream.dropped_chunks, stream.kept_bytes) == (102, 100, MIB)
    await series.append(b"x")
    stream = await series.status()
    assert (stream.chunk_count, stream.dropped_chunks, stream.kept_bytes) == (103, 101, MIB // 2 + 1)
    await series.append(b"L" * MIB)
    stream = await series.status()
    assert (stream.chunk_count, stream.dropped_chunks, stream.kept_bytes) == (104, 103, MIB)
    assert await series.kept() == [(103, b"L" * MIB)]


@case()
async def a_batch_larger_than_the_ring_leaves_its_end(target: Target) -> None:
    """All of its chunks are counted, the newest are kept, and a repeat of it still succeeds (I-110, I-111)."""
    series, limits, chunks = Series(target), AskedLimits(max_chunks=3), numbered(20)
    for _ in range(2):
        assert await series.append(*chunks, expected_idx=0, limits=limits) == AppendedChunks(0, 19)
    stream = await series.status()
    assert (stream.chunk_count, stream.dropped_chunks) == (20, 17)
    assert await series.kept() == list(enumerate(chunks))[17:]


@case()
async def what_was_dropped_cannot_be_appended_again(target: Target) -> None:
    """An index never comes back: a late repeat whose chunks are gone is `Conflict` and says what is kept (I-109)."""
    series, limits, chunks = Series(target), AskedLimits(max_chunks=2), numbered(6)
    await series.append(*chunks[:2], expected_idx=0, limits=limits)
    await series.append(*chunks[2:], expected_idx=2)
    error = await refusal(series.append(*chunks[:2], expected_idx=0), Conflict, "STREAM_IDX_CONFLICT")
    assert error.metadata == {"expected_idx": "0", "next_idx": "6", "oldest_idx": "4"}
    assert await series.kept() == list(enumerate(chunks))[4:]


@case()
async def a_read_of_what_was_dropped_goes_on_and_says_so(target: Target) -> None:
    """It begins at the oldest chunk that is kept, and counts the indexes in between (I-111)."""
    series = Series(target)
    await series.append(*numbered(30), limits=AskedLimits(max_chunks=4))
    for from_idx, skipped in ((0, 26), (25, 1), (26, 0), (28, 0), (30, 0)):
        page = await series.page(from_idx)
        assert page.skipped_chunks == skipped
        assert [each.idx for each in page.chunks] == list(range(max(from_idx, 26), 30))
        assert (page.next_idx, page.watermark_idx) == (30, 29)


@case()
async def an_answer_is_bounded_and_says_where_to_read_on(target: Target) -> None:
    """At most 100 chunks and 6 MiB at a time; nothing is left out in between (I-89)."""
    series, large = Series(target), [bytes([at]) * MIB for at in range(10)]
    for batch in (large[:5], large[5:]):
        await series.append(*batch)
    await series.append(*numbered(95))
    first = await series.page()
    assert ([each.idx for each in first.chunks], first.next_idx) == (list(range(6)), 6)
    then = await series.page(first.next_idx)
    assert [each.idx for each in then.chunks] == list(range(6, 105))
    assert [data for _, data in await series.kept()] == [*large, *numbered(95)]
