"""World mounts: how long a world of many files takes from a warm cache, against links that are made one by one."""

import os
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import BinaryIO

from services.executor.adapters.threads import Threads
from tests.bench.report import Figure
from theory.core.cid import Cid
from theory.core.world_path import WorldPath
from theory.world.cache import BlobCache, name_of
from theory.world.farm import plant
from theory.world.removal import remove_tree

_FILES = 10_000
_PER_FOLDER = 100
_LOOKS = 5
_FLOOR_MS = 250


async def measure() -> list[Figure]:
    """Both ways in turn; each world is removed before the next is made."""
    data_by_cid = {Cid.of(data): data for data in (b"%08d" % number * 500 for number in range(_FILES))}

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
        for number in range(_LOOKS):
            ours.append(await _mounted(cache, Path(folder) / f"ours{number}", inputs))
            plain.append(_linked(Path(folder) / "cache", Path(folder) / f"plain{number}", inputs))
        await cache.close()
        threads.close()
    each_ms, plain_ms = median(ours) * 1e3, median(plain) * 1e3
    return [
        Figure(
            f"a world of {_FILES:,} files, warm cache",
            f"{each_ms:.0f} ms",
            f"the same links by `os.link`, path by path, nothing checked: {plain_ms:.0f} ms: {each_ms / plain_ms:.2f}x",
            f"<= {_FLOOR_MS} ms",
            each_ms <= _FLOOR_MS,
        )
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


def _linked(cache: Path, world: Path, inputs: list[tuple[WorldPath, Cid]]) -> float:
    began = time.perf_counter()
    for folder in dict.fromkeys(path.parent.text for path, _ in inputs):
        Path(f"{world}{folder}").mkdir(parents=True)
    for path, cid in inputs:
        os.link(cache / name_of(cid), f"{world}{path.text}")
    took = time.perf_counter() - began
    remove_tree(world)
    return took
