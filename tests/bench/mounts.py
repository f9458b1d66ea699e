"""World mounts: a world of many files from a warm cache, against links made one by one; a mount brought up to date."""

import os
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import BinaryIO

from services.executor.adapters.threads import Threads
from tests.bench.report import Figure
from theory.core.cid import Cid
from theory.core.jcs import JSON
from theory.core.world_path import WorldPath
from theory.world.cache import BlobCache, name_of
from theory.world.farm import plant
from theory.world.file import WorldFile
from theory.world.mount import MountedWorld
from theory.world.removal import remove_tree

_FILES = 10_000
_PER_FOLDER = 100
_LOOKS = 5
_CHANGES = 10
_BYTES = 4_000
_FLOOR_MS = 250


async def measure() -> list[Figure]:
    """Both ways in turn; each world is removed before the next is made."""
    data_by_cid = {Cid.of(data): data for data in (b"%08d" % number * (_BYTES // 8) for number in range(_FILES))}

    async def download(cid: Cid, into: BinaryIO) -> None:
        into.write(data_by_cid[cid])

    inputs = [
        (WorldPath.parse(f"/artifacts/frames/{number // _PER_FOLDER:04}/{number:08}.bin"), cid)
        for number, cid in enumerate(data_by_cid)
    ]
    with TemporaryDirectory(prefix="theory-bench-") as folder:
        threads = Threads("bench", 1)
        cache = BlobCache.open(Path(folder) / "cache", download, threads, max_bytes=1 << 30)
        await cache.ensure(data_by_cid)
        ours, plain = [], []
        whole, changed, same, read = [], [], [], []
        before = [WorldFile(path, cid, _BYTES) for path, cid in inputs]
        # Ten paths have the bytes of their neighbours.
        after = [
            WorldFile(each.path, before[number ^ 1].cid, _BYTES) if number % (_FILES // _CHANGES) == 0 else each
            for number, each in enumerate(before)
        ]
        for number in range(_LOOKS):
            ours.append(await _mounted(cache, Path(folder) / f"ours{number}", inputs))
            plain.append(_linked(Path(folder) / "cache", Path(folder) / f"plain{number}", inputs))
            mount = Path(folder) / f"mount{number}"
            whole.append(await _brought(cache, mount, before, _FILES))
            changed.append(await _brought(cache, mount, after, _CHANGES))
            same.append(await _brought(cache, mount, after, 0))
            read.append(await _brought(cache, mount, after, 0, verify=True))
            remove_tree(mount)
        await cache.close()
        threads.close()
    each_ms, plain_ms = median(ours) * 1e3, median(plain) * 1e3
    whole_ms, changed_ms, same_ms, read_ms = (median(each) * 1e3 for each in (whole, changed, same, read))
    return [
        Figure(
            f"a world of {_FILES:,} files, warm cache",
            f"{each_ms:.0f} ms",
            f"the same links by `os.link`, path by path, nothing checked: {plain_ms:.0f} ms: {each_ms / plain_ms:.2f}x",
            f"<= {_FLOOR_MS} ms",
            each_ms <= _FLOOR_MS,
        ),
        Figure(
            f"the same as a mount of its own, which can be brought up to date, {_FILES:,} files",
            f"{whole_ms:.0f} ms",
            f"{whole_ms / each_ms:.2f}x an attempt's world",
        ),
        Figure(
            f"that mount, {_CHANGES} of its files changed",
            f"{changed_ms:.0f} ms",
            f"laid out afresh: {whole_ms:.0f} ms: {changed_ms / whole_ms:.2f}x",
        ),
        Figure(
            "that mount, nothing changed",
            f"{same_ms:.0f} ms",
            f"every byte of it read and hashed, too: {read_ms:.0f} ms: {read_ms / same_ms:.1f}x",
        ),
    ]


async def _mounted(cache: BlobCache, world: Path, inputs: list[tuple[WorldPath, Cid]]) -> float:
    began = time.perf_counter()
    await cache.ensure(cid for _, cid in inputs)
    world.mkdir()
    root = os.open(world, os.O_RDONLY | os.O_DIRECTORY)
    plant(root, inputs, cache)
    took = time.perf_counter() - began
    os.close(root)
    remove_tree(world)
    return took


async def _brought(
    cache: BlobCache, directory: Path, files: list[WorldFile], missing: int, *, verify: bool = False
) -> float:
    """As `theory artifacts mount` does it, once it knows the list of files."""
    origin: dict[str, JSON] = {"world": "bench"}
    began = time.perf_counter()
    mounted = MountedWorld.open(directory)
    difference = mounted.compare(files, verify=verify)
    if not difference.none or not mounted.settled(origin):
        mounted.begin(difference, origin)
        await cache.ensure(each.cid for each in difference.missing)
        mounted.finish(difference.kept | mounted.add(difference.missing, cache), origin)
    mounted.close()
    took = time.perf_counter() - began
    if len(difference.missing) != missing:
        message = f"{len(difference.missing)} files were laid out, not {missing}"
        raise AssertionError(message)
    return took


def _linked(cache: Path, world: Path, inputs: list[tuple[WorldPath, Cid]]) -> float:
    began = time.perf_counter()
    for folder in dict.fromkeys(path.parent.text for path, _ in inputs):
        Path(f"{world}{folder}").mkdir(parents=True)
    for path, cid in inputs:
        os.link(cache / name_of(cid), f"{world}{path.text}")
    took = time.perf_counter() - began
    remove_tree(world)
    return took
