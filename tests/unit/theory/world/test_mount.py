"""Mounts: from one list of files to another, and what is in the way."""

import errno
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from services.executor.adapters.threads import Threads
from tests.unit.services.executor.adapters.places.conftest import Blobs, descriptors
from theory.core.cid import Cid
from theory.core.errors import Conflict, NotReady
from theory.core.world_path import WorldPath
from theory.world import cache as cache_module
from theory.world.cache import BlobCache, name_of
from theory.world.file import WorldFile
from theory.world.manifest import DRAFT, NAME
from theory.world.mount import MountedWorld

WORLD = {"/artifacts/a": b"one", "/artifacts/b/c": b"two", "/artifacts/b/d/e f": b"one", "/artifacts/g/h": b""}


class Bench:
    """A directory that becomes one world after another."""

    def __init__(self, directory: Path, cache: BlobCache, blobs: Blobs) -> None:
        self.directory = directory
        self.cache = cache
        self.blobs = blobs

    def files(self, world: Mapping[str, bytes]) -> list[WorldFile]:
        return [WorldFile(WorldPath.parse(path), self.blobs.add(data), len(data)) for path, data in world.items()]

    async def mount(self, world: Mapping[str, bytes], *, verify: bool = False) -> int:
        """Lay it out; how many files stayed as they were."""
        mounted = MountedWorld.open(self.directory)
        try:
            difference = mounted.compare(self.files(world), verify=verify)
            mounted.begin(difference, {})
            await self.cache.ensure({each.cid for each in difference.missing}, verify=verify)
            mounted.finish(difference.kept | mounted.add(difference.missing, self.cache), {})
        finally:
            mounted.close()
        return len(difference.kept)

    def shown(self) -> dict[str, bytes]:
        found = {}
        for path in self.directory.rglob("*"):
            status = path.lstat()
            if path.name == NAME:
                continue
            if path.is_dir() and not path.is_symlink():
                assert status.st_mode & 0o7777 == 0o555, path
                assert any(path.iterdir()), path
            else:
                assert (status.st_mode, status.st_mtime_ns) == (0o100444, 0), path
                found[f"/{path.relative_to(self.directory)}"] = path.read_bytes()
        assert self.directory.stat().st_mode & 0o7777 == 0o555
        return found


@pytest.fixture
async def bench(tmp_path: Path, blobs: Blobs) -> AsyncIterator[Bench]:
    threads = Threads("test", 2)
    cache = BlobCache.open(tmp_path / "cache", blobs.download, threads, max_bytes=1_000_000)
    yield Bench(tmp_path / "world", cache, blobs)
    await cache.close()
    threads.close()


async def test_a_directory_becomes_a_world(bench: Bench) -> None:
    before = descriptors()
    assert await bench.mount(WORLD) == 0
    assert bench.shown() == WORLD
    assert descriptors() == before


def _identity(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_ino, status.st_ctime_ns


async def test_what_is_there_already_is_not_touched(bench: Bench) -> None:
    await bench.mount(WORLD)
    paths = [path for path in bench.directory.rglob("*") if path.name != NAME]
    before = {path: _identity(path) for path in paths}
    bench.blobs.downloads.clear()
    assert await bench.mount({**WORLD, "/artifacts/b/c": b"other"}) == 3
    assert bench.shown() == {**WORLD, "/artifacts/b/c": b"other"}
    changed = {path for path in paths if _identity(path) != before[path]}
    assert changed == {bench.directory / "artifacts" / "b", bench.directory / "artifacts" / "b" / "c"}
    assert bench.blobs.downloads == [Cid.of(b"other")]


async def test_the_same_again_touches_nothing_at_all(bench: Bench) -> None:
    await bench.mount(WORLD)
    mounted = MountedWorld.open(bench.directory)
    assert mounted.compare(bench.files(WORLD)).none
    assert mounted.settled({})
    assert not mounted.settled({"world": "other"})
    mounted.close()


@pytest.mark.parametrize(
    "after",
    [
        {},
        {"/artifacts/b": b"a file where a folder was"},
        {"/artifacts/a/b": b"a folder where a file was"},
        {"/artifacts/b/d/e f/deeper": b"likewise"},
        {"/streams/a/0": b"another facet"},
        {**WORLD, "/artifacts/b/d/new": b"new"},
    ],
)
async def test_one_world_becomes_another(bench: Bench, after: dict[str, bytes]) -> None:
    await bench.mount(WORLD)
    await bench.mount(after)
    assert bench.shown() == after


@pytest.mark.parametrize("spoil", ["written", "replaced", "longer", "mode", "removed", "link", "folder"])
async def test_a_file_that_somebody_touched_is_laid_out_again(bench: Bench, tmp_path: Path, spoil: str) -> None:
    await bench.mount(WORLD)
    file = bench.directory / "artifacts" / "b" / "c"
    file.parent.chmod(0o755)
    if spoil in {"written", "longer"}:
        file.chmod(0o644)
        file.write_bytes(b"six" if spoil == "written" else b"two and more")
        file.chmod(0o444)
    elif spoil == "mode":
        file.chmod(0o644)
    else:
        file.unlink()
    if spoil == "replaced":
        file.write_bytes(b"six")
        file.chmod(0o444)
        os.utime(file, ns=(0, 0))
    elif spoil == "link":
        file.symlink_to(tmp_path / "cache" / name_of(Cid.of(b"two")))
    elif spoil == "folder":
        (file / "deep").mkdir(parents=True)
    assert await bench.mount(WORLD) == 3
    assert bench.shown() == WORLD


async def test_bytes_under_untouched_marks_are_found_by_reading_them(bench: Bench) -> None:
    await bench.mount(WORLD)
    file = bench.directory / "artifacts" / "b" / "c"
    file.chmod(0o644)
    file.write_bytes(b"six")
    file.chmod(0o444)
    os.utime(file, ns=(0, 0))
    assert await bench.mount(WORLD) == 4
    assert file.read_bytes() == b"six"
    assert await bench.mount(WORLD, verify=True) == 3
    assert bench.shown() == WORLD


async def test_after_a_boot_of_the_machine_files_are_read_before_they_are_believed(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.mount(WORLD)
    file = bench.directory / "artifacts" / "b" / "c"
    file.chmod(0o644)
    file.write_bytes(b"\0\0\0")  # as a power cut may leave it
    file.chmod(0o444)
    os.utime(file, ns=(0, 0))
    (tmp_path / "boot").write_text("another")
    monkeypatch.setattr(cache_module, "_BOOT_ID", tmp_path / "boot")
    (tmp_path / "cache" / name_of(Cid.of(b"two"))).unlink()
    assert await bench.mount(WORLD) == 3
    assert bench.shown() == WORLD


async def test_what_does_not_belong_there_is_removed_and_links_are_not_followed(bench: Bench, tmp_path: Path) -> None:
    await bench.mount(WORLD)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "c").write_bytes(b"kept")
    inside = bench.directory / "artifacts"
    for each in (bench.directory, inside, inside / "b", inside / "b" / "d"):
        each.chmod(0o755)
    (inside / "stray").write_bytes(b"stray")
    (bench.directory / "notes").mkdir()
    (inside / "b").rename(tmp_path / "moved")
    (inside / "b").symlink_to(outside)
    (inside / "g").chmod(0o777)
    await bench.mount(WORLD)
    assert bench.shown() == WORLD
    assert {each.name: each.read_bytes() for each in outside.iterdir()} == {"c": b"kept"}
    assert outside.stat().st_mode & 0o222


async def test_a_mount_that_broke_off_is_brought_to_its_end(bench: Bench) -> None:
    await bench.mount(WORLD)
    other = {"/artifacts/a": b"changed", "/artifacts/x/y": b"new"}
    mounted = MountedWorld.open(bench.directory)
    difference = mounted.compare(bench.files(other))
    mounted.begin(difference, {"world": "other"})
    await bench.cache.ensure({Cid.of(b"changed")})
    mounted.add(difference.missing[:1], bench.cache)
    mounted.close()  # killed here
    (bench.directory / NAME).with_name(DRAFT).write_bytes(b"half")
    again = MountedWorld.open(bench.directory)
    assert not again.settled({"world": "other"})
    again.close()
    await bench.mount(WORLD)
    assert bench.shown() == WORLD


async def test_a_directory_that_holds_something_else_is_refused_and_not_touched(bench: Bench) -> None:
    bench.directory.mkdir()
    (bench.directory / "thesis.txt").write_bytes(b"years of work")
    for make in (True, False):
        with pytest.raises(NotReady) as caught:
            MountedWorld.open(bench.directory, make=make)
        assert caught.value.reason == "MOUNT_FOREIGN"
    assert [each.name for each in bench.directory.iterdir()] == ["thesis.txt"]


async def test_two_processes_are_not_at_one_mount(bench: Bench) -> None:
    await bench.mount(WORLD)
    mounted = MountedWorld.open(bench.directory)
    with pytest.raises(Conflict) as caught:
        MountedWorld.open(bench.directory)
    mounted.close()
    assert caught.value.reason == "MOUNT_BUSY"
    assert await bench.mount(WORLD) == 4


async def test_where_links_cannot_be_copies_are_kept_and_their_blobs_may_go(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", refuse)
    await bench.mount(WORLD)
    assert bench.shown() == WORLD
    assert all(path.stat().st_nlink == 1 for path in bench.directory.rglob("*") if path.is_file())
    (tmp_path / "cache" / name_of(Cid.of(b"two"))).unlink()
    bench.blobs.downloads.clear()
    assert await bench.mount(WORLD) == 4
    assert bench.blobs.downloads == []


async def test_unmounting_removes_the_directory_and_nothing_outside(bench: Bench, tmp_path: Path) -> None:
    await bench.mount(WORLD)
    (tmp_path / "kept").write_bytes(b"kept")
    bench.directory.chmod(0o755)
    (bench.directory / "link").symlink_to(tmp_path / "kept")
    mounted = MountedWorld.open(bench.directory, make=False)
    mounted.remove()
    mounted.close()
    assert not bench.directory.exists()
    assert (tmp_path / "kept").read_bytes() == b"kept"
