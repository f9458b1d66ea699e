"""Starting: how long until a person gets an answer, and what the processes weigh."""

import statistics
import subprocess
import sys
import time

from tests.bench.report import Figure
from tests.bench.server import ROOT, serving

_ROUNDS = 5


def _seconds(*command: str) -> float:
    """The median of a few runs."""
    took = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        took.append(time.perf_counter() - began)
    return statistics.median(took)


async def measure() -> list[Figure]:
    """`theory --help`, the five services, their memory."""
    bare = _seconds(sys.executable, "-c", "pass")
    shown = _seconds(sys.executable, "-m", "theory.cli", "--help")
    ready, resident = [], []
    for _ in range(3):
        async with serving() as server:
            ready.append(server.ready_s)
            resident.append(server.resident_mb())
    return [
        Figure(
            "`theory --help`",
            f"{shown * 1e3:.0f} ms",
            f"a bare interpreter: {bare * 1e3:.0f} ms: {shown / bare:.1f}x",
            "<= 250 ms",
            shown <= 0.25,
        ),
        Figure(
            "all five services answer, embedded",
            f"{statistics.median(ready):.2f} s",
            f"{statistics.median(ready) / bare:.0f}x a bare interpreter",
            "<= 2.5 s",
            statistics.median(ready) <= 2.5,
        ),
        Figure(
            "resident memory, embedded, idle",
            f"{statistics.median(resident):.0f} MB",
            "",
            "<= 150 MB",
            statistics.median(resident) <= 150,
        ),
    ]
