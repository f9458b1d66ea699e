"""Mounts over the wire: what is fetched, what is not, and what is told meanwhile."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from services.artifacts.assembly import assemble
from services.artifacts.config import ArtifactsConfig
from services.artifacts.domain.store import BlobStore
from theory.core.cid import Cid
from theory.core.errors import Conflict, Corrupt, Exhausted, NotFound, NotReady
from theory.core.world_path import WorldPath
from theory.sdk import mounting
from theory.sdk.artifacts import ArtifactsClient
from theory.sdk.mounting import Mounted, Mounting, unmount
from theory.sdk.transfer import Progress
from theory.wire.server import running
from theory.world.cache import BlobCache, name_of
from theory.world.farm import BlobGone
from theory.world.file import WorldFile
from theory.world.mount import MountedWorld

_LARGE = bytes(range(256)) * 12_000
_FILES = {"/artifacts/small": b"small", "/artifacts/in/large": _LARGE, "/artifacts/in/twin": _LARGE}


class Bench:
    """A client, and a directory that it mounts."""

    def __init__(self, client: ArtifactsClient, root: Path) -> None:
        self.client = client
        self.directory = root / "mount"
        self.cache = root / "blobs"

    async def mount(
        self,
        files: Mapping[str, bytes],
        *,
        verify: bool = False,
        max_cache_bytes: int = 1 << 30,
        progress: Progress | None = None,
    ) -> Mounted:
        wanted = [WorldFile(WorldPath.parse(path), Cid.of(data), len(data)) for path, data in files.items()]
        opened = await Mounting.open(self.client, self.directory, cache=self.cache, max_cache_bytes=max_cache_bytes)
        try:
            return await opened.bring_to(wanted, origin={"world": "w"}, verify=verify, progress=progress)
        finally:
            opened.close()

    def shown(self) -> dict[str, bytes]:
        artifacts = self.directory / "artifacts"
        return {
            f"/{path.relative_to(self.directory)}": path.read_bytes() for path in artifacts.rglob("*") if path.is_file()
        }


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    config = ArtifactsConfig.load({"home": tmp_path / "h", "blobs_url": "memory:", "database_url": "memory:"})
    async with running([await assemble(config)]) as server:
        client = ArtifactsClient(server.channel())
        for data in {*_FILES.values(), b"changed"}:
            await client.put_blob(data)
        yield Bench(client, tmp_path)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Cid]:
    """The small blobs that the service was asked for."""
    asked: list[Cid] = []
    get_many = BlobStore.get_many

    async def counted(self: BlobStore, cids: list[Cid], **options: int) -> object:
        asked.extend(cids)
        return await get_many(self, cids, **options)

    monkeypatch.setattr(BlobStore, "get_many", counted)
    return asked


async def test_files_are_fetched_once_and_linked(bench: Bench) -> None:
    told: list[tuple[int, int]] = []
    mounted = await bench.mount(_FILES, progress=lambda done, total: told.append((done, total)))
    assert mounted == Mounted(bench.directory, 3, 5 + 2 * len(_LARGE), 0)
    assert bench.shown() == _FILES
    inside = bench.directory / "artifacts" / "in"
    assert (inside / "large").stat().st_ino == (inside / "twin").stat().st_ino
    assert told[-1] == (5 + 2 * len(_LARGE),) * 2
    assert all(done <= total for done, total in told)


async def test_what_is_there_is_not_fetched_again(bench: Bench, served: list[Cid]) -> None:
    await bench.mount(_FILES)
    served.clear()
    again = await bench.mount({**_FILES, "/artifacts/small": b"changed"})
    assert again.reused == 2
    assert served == [Cid.of(b"changed")]
    served.clear()
    assert (await bench.mount({**_FILES, "/artifacts/small": b"changed"})).reused == 3
    assert served == []


async def test_a_blob_of_the_cache_that_was_changed_is_not_laid_out(bench: Bench) -> None:
    await bench.mount(_FILES)
    await unmount(bench.directory)
    blob = bench.cache / name_of(Cid.of(b"small"))
    blob.chmod(0o644)
    blob.write_bytes(b"SMALL")
    blob.chmod(0o444)
    os.utime(blob, ns=(0, 0))
    await bench.mount(_FILES, verify=True)
    assert bench.shown() == _FILES


async def test_a_world_larger_than_the_cache_is_laid_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("theory.world.cache._TRIM_BYTES", 1)
    await bench.mount(_FILES, max_cache_bytes=16)
    assert bench.shown() == _FILES


async def test_a_blob_that_is_gone_breaks_the_mount_off_and_the_next_one_ends_it(bench: Bench) -> None:
    missing = {**_FILES, "/artifacts/gone": b"never stored"}
    with pytest.raises(NotFound):
        await bench.mount(missing)
    await bench.client.put_blob(b"never stored")
    await bench.mount(missing)
    assert bench.shown() == missing


async def test_a_blob_that_is_damaged_is_not_laid_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    async def damaged(self: ArtifactsClient, cid: Cid, into: object, **_: object) -> int:
        raise Corrupt("BLOB_CORRUPT", "the bytes that arrived do not hash to their CID", cid=cid.text)

    monkeypatch.setattr(ArtifactsClient, "download", damaged)
    with pytest.raises(Corrupt):
        await bench.mount(_FILES)
    assert not (bench.directory / "artifacts").exists()


async def test_blobs_that_are_trimmed_under_its_hands_are_fetched_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, tries = MountedWorld.add, []

    def trimmed(self: MountedWorld, files: list[WorldFile], cache: BlobCache) -> object:
        tries.append(files)
        if len(tries) < 3:
            (bench.cache / name_of(files[0].cid)).unlink()
        return add(self, files, cache)

    monkeypatch.setattr(MountedWorld, "add", trimmed)
    await bench.mount(_FILES)
    assert bench.shown() == _FILES
    assert len(tries) == 3


async def test_a_cache_that_never_keeps_anything_is_too_small(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise BlobGone

    monkeypatch.setattr(MountedWorld, "add", gone)
    with pytest.raises(Exhausted) as caught:
        await bench.mount(_FILES)
    assert caught.value.reason == "DISK_FULL"


async def test_whoever_is_cancelled_leaves_the_mount_to_others(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = asyncio.Event()

    async def waits(*_: object, **__: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(ArtifactsClient, "download", waits)
        task = asyncio.create_task(bench.mount(_FILES))
        await begun.wait()
        with pytest.raises(Conflict):
            await bench.mount(_FILES)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await bench.mount(_FILES)
    assert bench.shown() == _FILES
    assert list((bench.cache / "drafts").iterdir()) == []


async def test_unmounting_says_what_was_there(bench: Bench) -> None:
    await bench.mount(_FILES)
    assert await unmount(bench.directory) == {"world": "w"}
    assert not bench.directory.exists()


async def test_what_is_no_mount_is_not_removed(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(NotReady):
        await unmount(tmp_path / "other")
    with pytest.raises(FileNotFoundError):
        await unmount(tmp_path / "none")
    assert (tmp_path / "other").is_dir()


async def test_a_cancelled_caller_waits_for_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    may_end, ended = asyncio.Event(), []
    loop = asyncio.get_running_loop()

    def work() -> None:
        asyncio.run_coroutine_threadsafe(may_end.wait(), loop).result()
        ended.append(True)
        raise OSError

    task = asyncio.create_task(mounting._Threads().run(work))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]
