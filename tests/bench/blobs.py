"""Small blobs in batches, against writing the same bytes to one file and syncing it; then a large one over HTTP."""

import os
import time
from pathlib import Path

from tests.bench import plane
from tests.bench.report import Figure
from tests.bench.server import Server, serving
from theory.sdk.client import Theory

_BLOBS = 100
_BYTES = 1024
_ROUNDS = 30


def _batch(number: int) -> list[bytes]:
    return [f"{number}-{each}-".encode().ljust(_BYTES, b"x") for each in range(_BLOBS)]


async def _rate(theory: Theory) -> float:
    for number in range(3):
        await theory.artifacts.put_blobs_many(_batch(-1 - number))
    began = time.perf_counter()
    for number in range(_ROUNDS):
        await theory.artifacts.put_blobs_many(_batch(number))
    return _ROUNDS * _BLOBS / (time.perf_counter() - began)


def _raw(server: Server) -> float:
    """One file per batch, written and synced: what the disk alone allows."""
    folder = Path(server.home) / "raw"
    folder.mkdir()
    began = time.perf_counter()
    for number in range(_ROUNDS):
        handle = os.open(folder / str(number), os.O_CREAT | os.O_WRONLY, 0o600)
        os.write(handle, b"".join(_batch(number)))
        os.fsync(handle)
        os.close(handle)
    return _ROUNDS * _BLOBS / (time.perf_counter() - began)


async def measure() -> list[Figure]:
    """Memory and filesystem; then the data plane."""
    figures = []
    for adapter, environment in (("memory", {"THEORY_ARTIFACTS_BLOBS_URL": "memory:"}), ("filesystem", {})):
        async with serving(**environment) as server, Theory.connect(server.url) as theory:
            rate, raw = await _rate(theory), _raw(server)
            figures.append(
                Figure(
                    f"batches of {_BLOBS} x {_BYTES} B, {adapter}",
                    f"{rate:,.0f} blobs/s, durable where the adapter is",
                    f"one file and one fsync per batch: {raw:,.0f}/s: {rate / raw:.2f}x",
                )
            )
    return figures + await plane.measure()
