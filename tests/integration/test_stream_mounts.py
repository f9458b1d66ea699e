"""The mission's smoke of streams: one is written while plans run, its latest chunks are in the mount, and it all holds.

`stream/digest@1` runs as a child process and in a container.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from services.registry.adapters.catalog import BUNDLED
from tests import backends
from tests.documents import plan, step
from tests.embedded import Embedded, Ran, embedded
from tests.integration.workbench import BASE_IMAGE, ROOT, base_image_missing
from theory.core import jcs
from theory.core.chunk import chunk_path
from theory.core.cid import Cid
from theory.core.jcs import JSON
from theory.core.stream import AskedLimits
from theory.core.world_path import WorldPath
from theory.sdk.catalog import read_catalog
from theory.sdk.verify import verify_plan

SERIES, WORLD = "/streams/camera/frames", "studio"
KEPT, EVERY_N = 4, 3
LIMITS = AskedLimits(max_chunks=KEPT, sample_every_n=EVERY_N)
DIGEST = "stream/digest@1"


def _frame(idx: int) -> bytes:
    return f"frame {idx}\n".encode()


@dataclass
class Camera:
    """Writes a stream of the shared world, for the chain of no plan."""

    theory: Embedded
    sent: int = 0
    sending: asyncio.Event = field(default_factory=asyncio.Event)
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, count: int = 1) -> None:
        frames = [_frame(self.sent + at) for at in range(count)]
        await self.theory.theory.streams.append_many(WORLD, SERIES, frames, expected_idx=self.sent, limits=LIMITS)
        self.sent += count
        self.sending.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send frame after frame inside the block."""
        self.sending.clear()
        task = asyncio.create_task(self._send_on())
        try:
            await self.sending.wait()
            yield
        finally:
            self.enough.set()
            await task

    async def _send_on(self) -> None:
        while not self.enough.is_set():
            await self.send()


@asynccontextmanager
async def _studio(kind: str, home: Path) -> AsyncIterator[tuple[Embedded, Camera]]:
    if kind == "local":
        backends.require("docker", base_image_missing())
    home.chmod(0o700)
    [spec] = [each.draft for each in read_catalog(BUNDLED) if each.draft.document.get("ref") == DIGEST]
    settings: dict[str, Any] = {"runtimes": kind, "build_root": ROOT, "base_image": BASE_IMAGE}
    if kind == "local":
        settings |= {"engine_url": backends.docker_url(), "default_runtime": "local"}
    extra = {} if kind == "local" else {"process": _process}
    async with embedded(home, memory=False, extra=extra, publish=[spec], **settings) as theory:
        yield theory, Camera(theory)


async def _process(settings: Any) -> Any:
    from services.executor.adapters.runtimes import open_runtime  # noqa: PLC0415 - loads where it is used

    return await open_runtime("process", settings)


def _plan(name: str) -> dict[str, JSON]:
    digest = step("digest", processor=DIGEST, reads=[f"{SERIES}/**"], write_prefix=f"/artifacts/outputs/{name}/")
    return plan(digest, world=WORLD, seed=0)


async def _read(theory: Embedded, ran: Ran) -> list[tuple[str, str]]:
    """What the one receipt of a plan says was read."""
    [receipt] = await theory.receipts(ran.plan.plan_id)
    listed: Any = receipt.document["input_cids"]
    return [(each["path"], each["cid"]) for each in listed]


def _frames(first: int, end: int) -> list[tuple[str, str]]:
    series = WorldPath.parse(SERIES)
    return [(chunk_path(series, idx).text, Cid.of(_frame(idx)).text) for idx in range(first, end)]


async def _digest(theory: Embedded, ran: Ran) -> Mapping[str, Any]:
    [output] = ran["digest"].outputs
    document: Any = jcs.parse(await theory.theory.artifacts.get_blob(output.cid))
    entry: Mapping[str, Any] = document["streams"][SERIES]
    return entry


async def _require_sound(theory: Embedded, ran: Ran) -> None:
    """The digest must be of exactly the chunks that the receipt names, which must be readable still."""
    assert ran.states == {"digest": "succeeded"}, ran["digest"]
    read = await _read(theory, ran)
    data = b"".join([await theory.theory.artifacts.get_blob(Cid.parse(cid)) for _, cid in read])
    entry = await _digest(theory, ran)
    first, last = (int(path.rpartition("/")[2]) for path in (read[0][0], read[-1][0]))
    assert read == _frames(first, last + 1)
    assert (entry["first_idx"], entry["last_idx"], entry["chunk_count"]) == (first, last, len(read))
    assert entry["sha256"] == hashlib.sha256(data).hexdigest()
    checked = await verify_plan(theory.theory, ran.plan.plan_id.text)
    assert (checked.faults, checked.chunks) == ((), len(read))


@pytest.mark.parametrize("kind", ["process", pytest.param("local", marks=pytest.mark.docker)])
async def test_a_processor_reads_the_latest_chunks_of_a_stream_that_goes_on(kind: str, tmp_path: Path) -> None:
    """I-115, I-134, I-135: samples in the ledger, a fixed list in the mount, the same bytes when it is run again."""
    async with _studio(kind, tmp_path) as (theory, camera), asyncio.timeout(180):
        await camera.send(6)
        still = await theory.run_plan(_plan("still"))
        assert await _read(theory, still) == _frames(2, 6)
        await _require_sound(theory, still)

        again = await theory.run_plan({**_plan("still"), "name": "again"})
        assert again["digest"].memo is not None
        assert again["digest"].memo.hit
        assert await _read(theory, again) == await _read(theory, still)
        assert again["digest"].outputs == still["digest"].outputs

        async with camera.running():
            live = await theory.run_plan(_plan("live"))
        await _require_sound(theory, live)
        assert live["digest"].memo is not None
        assert not live["digest"].memo.hit
        assert f"input_cids:{SERIES}/**" in live["digest"].memo.differences
        newest = int((await _read(theory, live))[-1][0].rpartition("/")[2])
        assert 6 <= newest < camera.sent

        await camera.send(KEPT)
        for ran in (still, again, live):
            await _require_sound(theory, ran)
        stream = await theory.theory.streams.status(WORLD, SERIES)
        assert (stream.chunk_count, stream.chunk_count - stream.dropped_chunks) == (camera.sent, KEPT)
        await _require_samples(theory, camera.sent)


async def _require_samples(theory: Embedded, sent: int) -> None:
    """Each third chunk must be told once, in order, in the chain of what is in no plan."""
    wanted = [(idx, Cid.of(_frame(idx)).text) for idx in range(0, sent, EVERY_N)]
    while True:
        pages = [page async for page in theory.theory.ledger.events("system.artifacts", kinds=["streams.sampled"])]
        told = [(event.body["watermark"], event.body["cid"]) for page in pages for event in page.events]
        if len(told) >= len(wanted):
            assert told == wanted
            return
