"""A server process under measurement, and the processor time that it and its children used."""

import asyncio
import os
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from theory.core.errors import TheoryError
from theory.sdk.client import Theory
from theory.wire.home import socket_url

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Process:
    """A process under measurement."""

    process: psutil.Process

    def cpu_s(self) -> float:
        """What it and its children have used so far."""
        used = self.process.cpu_times()
        return used.user + used.system + used.children_user + used.children_system


@dataclass(frozen=True)
class Server(Process):
    """A running process of services."""

    url: str
    home: Path
    ready_s: float
    """From its start to its first answer."""
    metrics_url: str

    def resident_mb(self) -> float:
        """Its resident memory."""
        return self.process.memory_info().rss / 2**20

    def calls(self) -> int:
        """How many RPCs it has answered."""
        with urllib.request.urlopen(self.metrics_url, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        counts = [line for line in lines if line.startswith("grpc_server_call_started_total{")]
        return sum(int(float(line.rpartition(" ")[2])) for line in counts)


async def cpu_per_item(server: Process, batch: Callable[[int], Awaitable[object]], rounds: int, items: int) -> float:
    """Microseconds of the server's processor time per item of a batch; a few batches go before that do not count."""
    for number in range(5):
        await batch(-1 - number)
    before = server.cpu_s()
    for number in range(rounds):
        await batch(number)
    return (server.cpu_s() - before) / (rounds * items) * 1e6


@asynccontextmanager
async def serving(*module: str, **environment: str) -> AsyncIterator[Server]:
    """`python -m services` (or another module), until the block ends."""
    with TemporaryDirectory(prefix="theory-bench-") as folder:
        home = Path(folder)
        metrics_port = _free_port()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("THEORY_")}
        env = {
            **kept,
            "THEORY_HOME": folder,
            "THEORY_SERVICES_ADMIN_URL": f"http://127.0.0.1:{metrics_port}",
            "THEORY_EXECUTOR_RUNTIMES": "mock",
            "THEORY_EXECUTOR_DEFAULT_RUNTIME": "mock",
            **environment,
        }
        began = time.perf_counter()
        with (home / "server.log").open("wb") as log:
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", *(module or ("services",)), cwd=ROOT, env=env, stdout=log, stderr=log
            )
        try:
            url = socket_url(home, "theory")
            await _until_ready(url)
            ready_s = time.perf_counter() - began
            metrics_url = f"http://127.0.0.1:{metrics_port}/metrics"
            yield Server(psutil.Process(child.pid), url, home, ready_s, metrics_url)
        finally:
            child.terminate()
            await child.wait()


async def _until_ready(url: str) -> None:
    """Return once all five answered, asking about as often as a person would not notice."""
    async with asyncio.timeout(60), Theory.connect(url) as theory:
        while True:
            try:
                await theory.executor.capabilities()
                await theory.ledger.capabilities()
                await theory.artifacts.capabilities()
                await theory.kv.capabilities()
                await theory.registry.capabilities()
            except (TheoryError, TimeoutError):
                await asyncio.sleep(0.02)
            else:
                return


def _free_port() -> int:
    import socket  # noqa: PLC0415 - nowhere else

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
