"""A mount that goes from any world to any other is what a fresh one would be (I-146)."""

import asyncio
import stat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from hypothesis import given, settings
from hypothesis import strategies as st

from services.executor.adapters.threads import Threads
from theory.core.cid import Cid
from theory.core.world_path import WorldPath
from theory.world.cache import BlobCache
from theory.world.file import WorldFile
from theory.world.manifest import NAME
from theory.world.mount import MountedWorld

_DATA = [b"", b"a", b"b", b"cc"]
_BY_CID = {Cid.of(data): data for data in _DATA}


def _apart(world: dict[str, bytes]) -> dict[str, bytes]:
    """The world without the files that stand where others need a folder."""
    return {path: data for path, data in world.items() if not any(other.startswith(f"{path}/") for other in world)}


_paths = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(lambda names: "/artifacts/" + "/".join(names))
_worlds = st.dictionaries(_paths, st.sampled_from(_DATA), max_size=12).map(_apart)


async def _download(cid: Cid, into: BinaryIO) -> None:
    into.write(_BY_CID[cid])


async def _mount(directory: Path, cache: BlobCache, world: dict[str, bytes]) -> None:
    files = [WorldFile(WorldPath(path), Cid.of(data), len(data)) for path, data in world.items()]
    mounted = MountedWorld.open(directory)
    try:
        difference = mounted.compare(files)
        mounted.begin(difference, {})
        await cache.ensure({each.cid for each in difference.missing})
        mounted.finish(difference.kept | mounted.add(difference.missing, cache), {})
        assert mounted.compare(files).none
    finally:
        mounted.close()


def _seen(directory: Path) -> dict[str, tuple[int, int, bytes]]:
    """Everything below it: mode, and of files time and bytes."""
    found = {}
    for path in directory.rglob("*"):
        status = path.lstat()
        is_file = stat.S_ISREG(status.st_mode)
        if path.name != NAME:
            found[str(path.relative_to(directory))] = (
                status.st_mode,
                status.st_mtime_ns if is_file else 0,
                path.read_bytes() if is_file else b"",
            )
    return found


def _spoil(directory: Path, at: int) -> None:
    """Change one thing below it, as somebody who forgot that it is a mount."""
    everything = sorted(path for path in directory.rglob("*") if path.name != NAME)
    if not everything:
        return
    path = everything[at % len(everything)]
    path.parent.chmod(0o755)
    if path.is_dir():
        path.chmod(0o777)
        (path / "stray").write_bytes(b"stray")
    elif at % 2:
        path.chmod(0o644)
        path.write_bytes(b"spoilt")
    else:
        path.unlink()
        path.symlink_to("/etc")


async def _compared(worlds: list[dict[str, bytes]], spoils: list[int]) -> None:
    threads = Threads("property", 1)
    with TemporaryDirectory(prefix="theory-mounts-") as name:
        root = Path(name)
        cache = BlobCache.open(root / "cache", _download, threads, max_bytes=1_000_000)
        for world in worlds:
            await _mount(root / "mount", cache, world)
            for at in spoils:
                _spoil(root / "mount", at)
        await _mount(root / "mount", cache, worlds[-1])
        await _mount(root / "fresh", cache, worlds[-1])
        assert _seen(root / "mount") == _seen(root / "fresh")
        assert {f"/{path}" for path, (mode, _, _) in _seen(root / "mount").items() if stat.S_ISREG(mode)} == set(
            worlds[-1]
        )
        await cache.close()
    threads.close()


@settings(max_examples=40, deadline=None)
@given(st.lists(_worlds, min_size=2, max_size=3), st.lists(st.integers(0, 1000), max_size=2))
def test_a_mount_is_what_a_fresh_one_would_be_whatever_was_there_before(
    worlds: list[dict[str, bytes]], spoils: list[int]
) -> None:
    asyncio.run(_compared(worlds, spoils))
