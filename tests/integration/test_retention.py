"""What leaves a store, on every store of blobs: garbage, damage, and whoever reads or puts meanwhile."""

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from services.artifacts.adapters.blobs.directory import QUARANTINE
from services.artifacts.assembly import assemble
from services.artifacts.config import ArtifactsConfig
from tests.servers import AWS_VARIABLES, S3
from theory.core.clock import FakeClock, SystemClock
from theory.core.errors import NotFound
from theory.core.ids import SystemIds
from theory.core.world_path import WorldName, WorldPath
from theory.sdk.artifacts import ArtifactPut, ArtifactsClient
from theory.sdk.retention import RetentionClient
from theory.wire.server import running

pytestmark = pytest.mark.slow

W, A = WorldName("w"), WorldPath("/artifacts/a")
DAY_S = timedelta(days=1).total_seconds()
LARGE = bytes(range(256)) * 12_000


@pytest.fixture(scope="module")
def server() -> Iterator[S3]:
    with pytest.MonkeyPatch.context() as patch, S3() as started:
        for name, value in AWS_VARIABLES.items():
            patch.setenv(name, value)
        yield started


@dataclass
class Store:
    """A service over one store of blobs, with a clock that is turned by hand from now on."""

    client: ArtifactsClient
    retention: RetentionClient
    clock: FakeClock

    async def collect_all(self) -> None:
        """Let everything go that may."""
        self.clock.advance(8 * DAY_S)
        await self.retention.collect()
        self.clock.advance(DAY_S + 600)
        await self.retention.collect()


@asynccontextmanager
async def served(home: Path, url: str) -> AsyncIterator[Store]:
    clock = FakeClock(SystemClock().now())
    chosen = {"blobs_url": url, "database_url": f"sqlite:///{home}/artifacts.db", "scrub_bytes_per_s": 0}
    config = ArtifactsConfig.load({"home": home, **chosen})
    async with running([await assemble(config, clock=clock)]) as service:
        yield Store(ArtifactsClient(service.channel()), RetentionClient(service.channel()), clock)


@pytest.fixture(params=["memory", "file", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "s3":
        started: S3 = request.getfixturevalue("server")
        return started.address(f"t{SystemIds().token_hex(4)}")
    return "memory:" if request.param == "memory" else (tmp_path / "blobs").as_uri()


async def test_garbage_goes_and_what_is_bound_stays(url: str, tmp_path: Path) -> None:
    async with served(tmp_path, url) as store:
        kept, free = await store.client.put_blob(LARGE), await store.client.put_blob(LARGE[:-1])
        small = [await store.client.put_blob(b"%d" % number) for number in range(5)]
        await store.client.put(W, ArtifactPut(A, kept))
        await store.retention.collect()
        assert await store.client.find_missing([kept, free, *small]) == []
        await store.collect_all()
        assert await store.client.find_missing([kept, free, *small]) == [free, *small]
        assert await store.client.get_bytes(W, A) == LARGE

        await store.retention.drop_world(W)
        await store.collect_all()
        assert await store.client.find_missing([kept]) == [kept]
        assert await store.client.put_blob(LARGE) == kept
        assert await store.client.get_blob(kept) == LARGE


async def test_who_reads_a_blob_that_goes_gets_its_bytes_or_is_told(url: str, tmp_path: Path) -> None:
    async with served(tmp_path, url) as store:
        cid = await store.client.put_blob(LARGE)
        half = asyncio.Event()

        class Slow(io.BytesIO):
            def write(self, data: object) -> int:
                loop.call_soon_threadsafe(half.set)
                return super().write(data)  # type: ignore[arg-type]

        loop, into = asyncio.get_running_loop(), Slow()
        reading = asyncio.ensure_future(store.client.download(cid, into, size_bytes=len(LARGE)))
        await half.wait()
        await store.collect_all()
        (ended,) = await asyncio.gather(reading, return_exceptions=True)
        assert into.getvalue() == LARGE or (isinstance(ended, NotFound) and ended.reason == "BLOB_UNKNOWN")
        assert await store.client.find_missing([cid]) == [cid]


async def test_damage_on_the_disk_is_found_put_aside_and_healed(tmp_path: Path) -> None:
    async with served(tmp_path, (tmp_path / "blobs").as_uri()) as store:
        cid = (await store.client.put_bytes(W, A, b"as it was written")).cid
        sound = await store.client.put_blob(b"sound")
        stored = tmp_path / "blobs" / cid.hex[:2] / cid.hex[2:]
        stored.chmod(0o600)
        stored.write_bytes(b"as it was damaged")
        found = await store.retention.scrub()
        assert (found.count, [each.cid for each in found.damaged]) == (2, [cid])
        assert (tmp_path / "blobs" / QUARANTINE / cid.hex).read_bytes() == b"as it was damaged"
        with pytest.raises(NotFound) as told:
            await store.client.get_bytes(W, A)
        assert told.value.reason == "BLOB_UNKNOWN"
        assert await store.client.find_missing([cid, sound]) == [cid]
        assert await store.client.put_blob(b"as it was written") == cid
        assert await store.client.get_bytes(W, A) == b"as it was written"
        assert (await store.retention.scrub()).damaged == ()


async def test_damage_in_a_bucket_is_found_put_aside_and_healed(server: S3, tmp_path: Path) -> None:
    prefix = f"t{SystemIds().token_hex(4)}"
    async with served(tmp_path, server.address(prefix)) as store:
        cid = (await store.client.put_bytes(W, A, LARGE)).cid
        key = f"{prefix}/cas/b3/{cid.hex[:2]}/{cid.hex[2:]}"
        server.client().put_object(Bucket=server.bucket, Key=key, Body=LARGE[:-1])
        assert [each.cid for each in (await store.retention.scrub()).damaged] == [cid]
        aside = server.client().get_object(Bucket=server.bucket, Key=f"{prefix}/quarantine/{cid.hex}")
        assert aside["Body"].read() == LARGE[:-1]
        assert await store.client.find_missing([cid]) == [cid]
        assert await store.client.put_blob(LARGE) == cid
        assert await store.client.get_bytes(W, A) == LARGE


async def test_a_world_stays_dropped_across_a_restart(tmp_path: Path) -> None:
    async with served(tmp_path, "memory:") as store:
        await store.client.put_bytes(W, A, b"one")
        await store.retention.drop_world(W)
    async with served(tmp_path, "memory:") as store:
        with pytest.raises(NotFound) as told:
            await store.client.put_bytes(W, A, b"two")
        assert told.value.reason == "WORLD_DROPPED"
