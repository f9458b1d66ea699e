"""The client of retention, against a store in memory."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from services.artifacts.assembly import assemble
from services.artifacts.config import ArtifactsConfig
from theory.core.clock import FakeClock
from theory.core.errors import NotFound
from theory.core.world_path import WorldName, WorldPath
from theory.sdk.artifacts import ArtifactsClient
from theory.sdk.retention import Collection, RetentionClient
from theory.wire.server import RunningServer, running

W, A = WorldName("w"), WorldPath("/artifacts/a")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RunningServer]:
    chosen = dict.fromkeys(("blobs_url", "database_url", "streams_url"), "memory:") | {"data_url": "off"}
    config = ArtifactsConfig.load({"home": tmp_path, "scrub_bytes_per_s": 0, **chosen})
    async with running([await assemble(config, clock=FakeClock())]) as started:
        yield started


async def test_a_collection_adds_up_its_parts(server: RunningServer) -> None:
    await ArtifactsClient(server.channel()).put_blobs_many([b"one", b"three"])
    assert await RetentionClient(server.channel()).collect() == Collection(seen_count=2, seen_bytes=8)


async def test_a_store_says_what_it_keeps(server: RunningServer) -> None:
    said = await RetentionClient(server.channel()).capabilities()
    assert (said.collection_age, said.lease, said.collection_period) == (
        timedelta(days=7),
        timedelta(days=1),
        timedelta(hours=6),
    )
    assert (said.scrub_period, said.scrub_bytes_per_s) == (timedelta(days=30), 0)


async def test_a_world_is_dropped_and_says_so(server: RunningServer) -> None:
    client, retention = ArtifactsClient(server.channel()), RetentionClient(server.channel())
    await client.put_bytes(W, A, b"one")
    dropped = await retention.drop_world(W)
    assert (dropped.world, dropped.path_count, dropped.drop_time) == (W, 1, FakeClock().now())
    with pytest.raises(NotFound) as refused:
        await client.stat(W, A)
    assert refused.value.reason == "WORLD_DROPPED"


async def test_every_blob_is_scrubbed(server: RunningServer) -> None:
    await ArtifactsClient(server.channel()).put_blobs_many([b"one", b"three"])
    found = await RetentionClient(server.channel()).scrub()
    assert (found.count, found.size_bytes, found.damaged) == (2, 8, ())
