"""A store from which things leave: a service whose clock is turned by hand, and what goes alike on every store."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from services.artifacts.assembly import assemble
from services.artifacts.config import ArtifactsConfig
from theory.core.clock import FakeClock, SystemClock
from theory.core.errors import NotFound
from theory.core.world_path import WorldName, WorldPath
from theory.sdk.artifacts import ArtifactPut, ArtifactsClient
from theory.sdk.retention import RetentionClient
from theory.wire.server import running

W, A = WorldName("w"), WorldPath("/artifacts/a")
DAY_S = timedelta(days=1).total_seconds()
LARGE = bytes(range(256)) * 12_000


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


async def collect_garbage(url: str, home: Path) -> None:
    """What is bound stays; what is not goes, and so does what was, once its world is dropped."""
    async with served(home, url) as store:
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


async def read_what_goes(url: str, home: Path) -> None:
    """Whoever reads a blob that goes meanwhile gets its bytes, or is told that it is gone."""
    async with served(home, url) as store:
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
