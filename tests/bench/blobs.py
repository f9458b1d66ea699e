"""Small blobs in batches, against the least that a disk and a server can do; then naming, then large ones over HTTP."""

import ctypes
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

from tests.bench import hashing, plane, reapi
from tests.bench.report import Figure
from tests.bench.server import Server, serving
from theory.sdk.client import Theory

_BLOBS = 100
_BYTES = 1024
_ROUNDS = 30
_TURNS = 5
_FLOOR = 5.0
_LIBC = ctypes.CDLL(None, use_errno=True)


async def measure() -> list[Figure]:
    """Memory and filesystem, each turn beside its baseline; then naming and the data plane."""
    return [await _memory(), await _filesystem(), *await hashing.measure(), *await plane.measure()]


async def _memory() -> Figure:
    async with (
        serving(THEORY_ARTIFACTS_BLOBS_URL="memory:") as server,
        Theory.connect(server.url) as theory,
        reapi.serving() as other,
    ):
        ours, theirs = await _in_turns(theory.artifacts.put_blobs_many, other.put_many)
    return Figure(
        f"batches of {_BLOBS} x {_BYTES} B, memory",
        f"{ours:,.0f} blobs/s",
        f"a bare `BatchUpdateBlobs` on grpc.aio: {theirs:,.0f}/s: {ours / theirs:.2f}x",
        f">= {_FLOOR:g}x",
        ours / theirs >= _FLOOR,
    )


async def _filesystem() -> Figure:
    async with serving() as server, Theory.connect(server.url) as theory:
        disk = _Disk(server)
        ours, theirs = await _in_turns(theory.artifacts.put_blobs_many, disk.put_many)
    return Figure(
        f"batches of {_BLOBS} x {_BYTES} B, filesystem, durable",
        f"{ours:,.0f} blobs/s",
        f"one file per blob and one syncfs per batch: {theirs:,.0f}/s: {ours / theirs:.2f}x",
    )


def _batch(number: int) -> list[bytes]:
    return [f"{number}-{each}-".encode().ljust(_BYTES, b"x") for each in range(_BLOBS)]


_Put = Callable[[list[bytes]], Awaitable[object]]


async def _in_turns(*puts: _Put) -> list[float]:
    """Blobs per second of each, the median of its turns; they take turns, so that they meet the same neighbours."""
    rates: list[list[float]] = [[] for _ in puts]
    number = 0
    for turn in range(_TURNS + 1):
        for into, put in zip(rates, puts, strict=True):
            batches = [_batch(number := number + 1) for _ in range(_ROUNDS)]
            began = time.perf_counter()
            for batch in batches:
                await put(batch)
            if turn:  # the first one warms up
                into.append(_ROUNDS * _BLOBS / (time.perf_counter() - began))
    return [median(each) for each in rates]


class _Disk:
    """What a store does at least that keeps each blob as a file: all are written, and the batch is synced once."""

    def __init__(self, server: Server) -> None:
        self._folder = Path(server.home) / "raw"
        self._folder.mkdir()
        self._descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        self._count = 0

    async def put_many(self, blobs: list[bytes]) -> None:
        for data in blobs:
            self._count += 1
            handle = os.open(str(self._count), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600, dir_fd=self._descriptor)
            os.write(handle, data)
            os.close(handle)
        if _LIBC.syncfs(self._descriptor):
            raise OSError(ctypes.get_errno(), "syncfs")
