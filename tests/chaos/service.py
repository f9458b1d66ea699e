"""The resources service in a process that is killed and started again, and a client that outlives it."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from random import Random

import grpc

from tests.chaos.asking import KeyAccess, QueueAccess
from theory.core.clock import Clock
from theory.core.errors import TheoryError
from theory.sdk.kv import KVCapabilities, KVClient
from theory.sdk.queue import QueueCapabilities, QueueClient
from theory.wire.address import Address
from theory.wire.home import socket_url
from theory.wire.options import CHANNEL_OPTIONS

ROOT = Path(__file__).parents[2]
START_S = 60.0

_POLL_S = 0.02
_PAUSE_S = 0.1
# gRPC must not send anything twice: a history says what was asked for, and how often.
_OPTIONS = {
    **dict(CHANNEL_OPTIONS),
    "grpc.enable_retries": 0,
    "grpc.service_config": b"{}",
    "grpc.initial_reconnect_backoff_ms": 50,
    "grpc.min_reconnect_backoff_ms": 50,
    "grpc.max_reconnect_backoff_ms": 100,
}


class Service:
    """One home; at most one process in it at a time. A `tests.chaos.asking.Site`."""

    def __init__(self, home: Path, variables: Mapping[str, str], *, clock: Clock, chance: Random) -> None:
        self._home = home
        self._variables = variables
        self._clock = clock
        self._chance = chance
        self._up = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        target = Address.parse(socket_url(home, "resources")).target
        self._channel = grpc.aio.insecure_channel(target, options=tuple(_OPTIONS.items()))
        self._queue, self._keys = QueueClient(self._channel), KVClient(self._channel)

    @property
    def queue(self) -> QueueAccess:
        """The client of queues."""
        return self._queue

    @property
    def keys(self) -> KeyAccess:
        """The client of keys."""
        return self._keys

    async def back(self) -> None:
        """Return when it runs, most of the time; at times a client cannot wait, and asks those who are not there."""
        await self._clock.sleep(self._chance.random() * _PAUSE_S)
        if self._chance.random() < 0.9:
            await self._up.wait()

    async def start(self) -> None:
        """Start it and return once it answers."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("THEORY_")}
        environment = {**kept, "THEORY_HOME": str(self._home), **self._variables}
        with (self._home / "service.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "services.resources"), cwd=ROOT, env=environment, stdout=log, stderr=log
            )
        async with asyncio.timeout(START_S):
            while not await self._answers():
                assert self._process.returncode is None, f"the service ended by itself:\n{self.log()[-4000:]}"
                await self._clock.sleep(_POLL_S)
        self._up.set()

    async def kill(self) -> None:
        """End it as a crash does. It must be running: a service that is gone by itself has failed."""
        process = self._process
        assert process is not None
        assert process.returncode is None, f"the service ended by itself:\n{self.log()[-4000:]}"
        process.kill()
        self._up.clear()
        await process.wait()

    async def freeze(self, s: float) -> None:
        """Let it stand still, as a machine does that has no memory left, and go on as if nothing had been."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        await self._clock.sleep(s)
        self._process.send_signal(signal.SIGCONT)

    async def close(self) -> None:
        """End what runs."""
        await self._channel.close()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def capabilities(self) -> tuple[QueueCapabilities, KVCapabilities]:
        """What it is now."""
        return await self._queue.capabilities(), await self._keys.capabilities()

    def log(self) -> str:
        """What all its processes wrote."""
        return (self._home / "service.log").read_text()

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(1):
                await self.capabilities()
        except (TheoryError, TimeoutError):
            return False
        return True
