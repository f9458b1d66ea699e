"""A store that is killed in the middle of a collection has lost nothing that is bound, and goes on (I-128, I-130)."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from tests.drills.alone import alone
from theory.core.cid import Cid
from theory.core.errors import TheoryError
from theory.core.world_path import WorldName, WorldPath
from theory.sdk.artifacts import ArtifactPut, ArtifactsClient
from theory.sdk.retention import RetentionClient
from theory.wire.channel import connect
from theory.wire.home import socket_url

pytestmark = [pytest.mark.drill, pytest.mark.slow]

PATIENCE_S = 60.0
W = WorldName("w")
BOUND = [b"bound %d" % number for number in range(50)]
FREE = [b"free %d" % number for number in range(3_000)]


@asynccontextmanager
async def _service(home: Path) -> AsyncIterator[tuple[ArtifactsClient, RetentionClient, asyncio.subprocess.Process]]:
    async with alone("artifacts", home) as process, connect(socket_url(home, "artifacts")) as channel:
        client = ArtifactsClient(channel)
        async with asyncio.timeout(PATIENCE_S):
            while not await _answers(client):
                assert process.returncode is None, (home / "artifacts.log").read_text()
                await asyncio.sleep(0.05)
        yield client, RetentionClient(channel), process


async def _answers(client: ArtifactsClient) -> bool:
    try:
        await client.capabilities()
    except (TheoryError, TimeoutError):
        return False
    return True


def _mark_long_ago(home: Path) -> None:
    """As a collection would have done days ago."""
    with closing(sqlite3.connect(home / "artifacts.db", timeout=PATIENCE_S)) as database, database:
        rows = [(Cid.of(data).text, len(data)) for data in [*BOUND, *FREE]]
        database.executemany("INSERT INTO mark (cid, time_us, size_bytes, deleting) VALUES (?, 1, ?, 0)", rows)


def _rows(home: Path) -> tuple[int, int]:
    """How many blobs are marked, and how many of them are half deleted."""
    with closing(sqlite3.connect(home / "artifacts.db", timeout=PATIENCE_S)) as database:
        found: tuple[int, int] = database.execute("SELECT count(*), coalesce(sum(deleting), 0) FROM mark").fetchone()
        return found


def _files(home: Path) -> int:
    return sum(each.is_file() for each in (home / "artifacts" / "blobs").rglob("*"))


async def test_a_kill_in_the_middle_of_a_collection_loses_nothing_and_the_next_start_goes_on(tmp_path: Path) -> None:
    every = len(BOUND) + len(FREE)
    async with _service(tmp_path) as (client, retention, process):
        await client.put_blobs_many([*BOUND, *FREE])
        await client.put_many(W, [ArtifactPut(WorldPath(f"/artifacts/{data[6:].decode()}"), data) for data in BOUND])
        _mark_long_ago(tmp_path)
        collecting = asyncio.ensure_future(retention.collect())
        async with asyncio.timeout(PATIENCE_S):
            while _files(tmp_path) == every:  # noqa: ASYNC110 - no event of ours tells
                await asyncio.sleep(0)
        process.kill()
        await process.wait()
        with pytest.raises((TheoryError, TimeoutError)):
            await collecting
    assert len(BOUND) < _files(tmp_path) < every

    async with _service(tmp_path) as (client, retention, _):
        await retention.collect()
        assert _files(tmp_path) == len(BOUND)
        assert _rows(tmp_path) == (0, 0)
        for data in BOUND:
            assert await client.get_bytes(W, WorldPath(f"/artifacts/{data[6:].decode()}")) == data
        assert await client.put_blobs_many(FREE[:50]) == [Cid.of(data) for data in FREE[:50]]
        assert await client.get_blobs_many([Cid.of(data) for data in FREE[:50]]) == FREE[:50]
