"""What naming bytes costs: the hasher of CIDs, and an upload that is hashed on its way, against BLAKE3 alone."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from statistics import median

from blake3 import blake3

from services.artifacts.adapters.blobs.memory import MemoryBlobs
from services.artifacts.domain.store import BlobStore
from tests.bench.report import Figure
from tests.leases import leases_of
from theory.core.cid import CidHasher

_MIB = 1024 * 1024
_SIZE = 64 * _MIB
_ROUNDS = 7
_HASHED = 256 * 1024
_ARRIVING = _MIB
"""What the data plane hashes and writes at a time."""


async def measure() -> list[Figure]:
    """Each of the ways in turn, round by round, on the same bytes."""
    data = bytes(range(256)) * (_SIZE // 256)
    arriving = [data[begin : begin + _ARRIVING] for begin in range(0, _SIZE, _ARRIVING)]
    ways: dict[str, Callable[[], Awaitable[object]]] = {
        "alone": lambda: _alone(data),
        "hasher": lambda: _hasher(data),
        "upload": lambda: _upload(arriving),
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(_ROUNDS + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            await way()
            if number:  # the first one warms up
                took[name].append(time.perf_counter() - began)
    alone = median(took["alone"])
    said = {
        "hasher": f"naming {_SIZE // _MIB} MiB in pieces of {_HASHED // 1024} KiB, one thread",
        "upload": f"an upload of {_SIZE // _MIB} MiB into the rules, memory: hashed and kept",
    }
    return [
        Figure(
            what,
            f"{_SIZE / _MIB / median(took[name]):,.0f} MiB/s",
            f"the package blake3 on all of the bytes, one thread: {_SIZE / _MIB / alone:,.0f} MiB/s: "
            f"{alone / median(took[name]):.0%}",
        )
        for name, what in said.items()
    ]


async def _alone(data: bytes) -> None:
    await asyncio.to_thread(lambda: blake3(data).hexdigest())


async def _hasher(data: bytes) -> None:
    def work() -> None:
        hasher, view = CidHasher(), memoryview(data)
        for begin in range(0, _SIZE, _HASHED):
            hasher.update(view[begin : begin + _HASHED])
        hasher.cid()

    await asyncio.to_thread(work)


async def _upload(pieces: Sequence[bytes]) -> None:
    blobs = MemoryBlobs()
    store = BlobStore(blobs, leases_of(blobs), max_blob_bytes=_SIZE)
    async with store.upload(expected=None, size_bytes=_SIZE) as upload:
        for each in pieces:
            await upload.write(each)
        await upload.commit()
