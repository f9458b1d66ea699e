"""The client of streams, against a store in memory."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.artifacts.assembly import assemble
from services.artifacts.config import ArtifactsConfig
from tests.unit.theory.sdk.scratch import served
from theory.core.errors import Invalid, NotFound, TheoryError
from theory.core.stream import AskedLimits, Stream, StreamAdapter
from theory.sdk.streams import StreamsClient
from theory.wire.server import running

W, A = "w", "/streams/a"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[StreamsClient]:
    memory = dict.fromkeys(("blobs_url", "database_url", "streams_url"), "memory:")
    async with running([await assemble(ArtifactsConfig.load({"home": tmp_path, **memory}))]) as server:
        yield StreamsClient(server.channel())


def test_it_is_the_adapter_of_the_floor_below() -> None:
    adapter: type[StreamAdapter] = StreamsClient
    assert adapter is StreamsClient


async def test_one_chunk_comes_back_under_its_index(client: StreamsClient) -> None:
    assert [await client.append(W, A, data) for data in (b"a", b"b")] == [0, 1]
    page = await client.read(W, A, from_idx=1)
    assert [(each.idx, each.data) for each in page.chunks] == [(1, b"b")]
    assert (await client.capabilities()).adapter == "memory"


async def test_following_goes_on_with_what_comes(client: StreamsClient) -> None:
    await client.append_many(W, A, [b"a", b"b", b"c"], limits=AskedLimits(max_chunks=2))
    pages = client.follow(W, A)
    first = await anext(pages)
    assert ([each.data for each in first.chunks], first.skipped_chunks) == ([b"b", b"c"], 1)
    coming = asyncio.ensure_future(anext(pages))
    await client.append(W, A, b"d")
    then = await coming
    assert ([each.data for each in then.chunks], then.skipped_chunks, then.next_idx) == ([b"d"], 0, 4)


async def test_status_calls_of_one_moment_share_a_call(client: StreamsClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "theory.wire.rpc")
    await client.append(W, A, b"a")
    answers = await asyncio.gather(
        client.status(W, A), client.status(W, A), client.status(W, "/streams/b"), return_exceptions=True
    )
    assert isinstance(answers[0], Stream)
    assert answers[0] == answers[1]
    assert isinstance(answers[2], NotFound)
    assert served(caplog).count("GetStreamStatus") == 1


async def test_a_listing_goes_over_all_pages(client: StreamsClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("theory.sdk.streams.PAGE_ITEMS", 2)
    names = [f"/streams/{name}" for name in "abcde"]
    await asyncio.gather(*(client.append(W, name, b"x") for name in names))
    assert [each.series.text async for each in client.list(W)] == names
    assert [each.series.text async for each in client.list(W, "/streams/none/")] == []


async def test_what_no_message_can_hold_is_refused(client: StreamsClient) -> None:
    for asked, reason in (
        (client.append("\ud800", A, b""), "WORLD_INVALID"),
        (client.append(W, "\ud800", b""), "PATH_INVALID"),
        (client.append(W, A, b"", plan_id="\ud800"), "ID_INVALID"),
        (client.append(W, A, b"", expected_idx=1 << 63), "RANGE_INVALID"),
        (client.append(W, A, b"", limits=AskedLimits(max_chunks=1 << 40)), "STREAM_LIMIT_INVALID"),
        (client.read(W, A, from_idx=1 << 63), "RANGE_INVALID"),
        (client.read(W, A, max_chunks=1 << 40), "MAX_CHUNKS_INVALID"),
        (client.read(W, A, max_chunks=0), "MAX_CHUNKS_INVALID"),
        (client.read(W, A, wait_s=1 << 40), "WAIT_INVALID"),
    ):
        with pytest.raises(Invalid) as refused:
            await asked
        assert refused.value.reason == reason
    [answer] = await client.status_many(W, ["\ud800"])
    assert isinstance(answer, TheoryError)
