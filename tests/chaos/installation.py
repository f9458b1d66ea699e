"""The resources service and the ledger under chaos, and a client that outlives them."""

import asyncio
from collections import Counter
from pathlib import Path
from random import Random

import grpc

from tests.chaos.asking import KeyAccess, QueueAccess
from tests.chaos.backends import Backend
from tests.chaos.process import Process
from theory.core.chain import Event
from theory.core.clock import Clock
from theory.core.ids import SystemIds
from theory.sdk.kv import KVCapabilities, KVClient
from theory.sdk.ledger import LedgerClient
from theory.sdk.queue import QueueCapabilities, QueueClient
from theory.wire.address import Address
from theory.wire.channel import IdentifiedChannel
from theory.wire.home import socket_url
from theory.wire.identity import Role, ServiceKeys
from theory.wire.options import CHANNEL_OPTIONS

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


class Installation:
    """One home. A `tests.chaos.asking.Site`."""

    def __init__(self, home: Path, backend: Backend, *, clock: Clock, chance: Random) -> None:
        self._token = ServiceKeys.load_or_create(home).token_of(Role.EXECUTOR)
        self._url = socket_url(home, "resources")
        self._backend = backend
        self._clock = clock
        self._chance = chance
        self._up = asyncio.Event()
        self._channel = _channel(self._url, self._token)
        self._queue, self._keys = QueueClient(self._channel), KVClient(self._channel)
        self._books_channel = _channel(socket_url(home, "ledger"), self._token)
        self._books = LedgerClient(self._books_channel)
        self._service = Process("resources", home, backend.variables, clock=clock, ask=self.capabilities)
        self._ledger = Process("ledger", home, {}, clock=clock, ask=self._books.capabilities)
        self.kills: Counter[str] = Counter()
        """How often what was killed."""

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
        """Start everything."""
        await asyncio.gather(self._service.start(), self._ledger.start())
        self._up.set()

    async def close(self) -> None:
        """End everything."""
        await self._channel.close()
        await self._books_channel.close()
        await asyncio.gather(self._service.end(), self._ledger.end())

    async def capabilities(self) -> tuple[QueueCapabilities, KVCapabilities]:
        """What the stores are."""
        return await self._queue.capabilities(), await self._keys.capabilities()

    async def tell_all(self, plan_id: str) -> None:
        """Let every change of a plan become an event."""
        await self._queue.begin_plan(plan_id, event_every=1)
        await self._keys.begin_plan(plan_id, event_every=1)

    async def events(self, plan_id: str) -> list[Event]:
        """What the ledger was told of a plan."""
        return [event async for page in self._books.events(plan_id) for event in page.events]

    async def kill_service(self) -> None:
        """And bring it back."""
        await self._kill_service()
        await self._start_service()

    async def kill_ledger(self) -> None:
        """And bring it back."""
        await self._ledger.kill()
        self.kills["ledger"] += 1
        await self._clock.sleep(self._chance.random())
        await self._ledger.start()

    async def kill_store(self, *, together: bool) -> None:
        """The server of the store, alone or with the service; and bring it back."""
        victim = self._backend.victim
        assert victim is not None
        await asyncio.to_thread(victim.kill)
        self.kills[victim.name] += 1
        if together:
            await self._kill_service()
        await self._clock.sleep(self._chance.random() * 0.5)
        await asyncio.to_thread(victim.restart)
        if together:
            await self._start_service()

    async def cut(self) -> None:
        """Break the connection of all clients, whatever is on its way; they have a new one at once."""
        broken, self._channel = self._channel, _channel(self._url, self._token)
        self._queue, self._keys = QueueClient(self._channel), KVClient(self._channel)
        await broken.close()

    async def freeze(self) -> None:
        """Let the service stand still for a moment."""
        await self._service.freeze(self._chance.uniform(0.1, 1.5))

    async def _kill_service(self) -> None:
        self._up.clear()
        await self._service.kill()
        self.kills["service"] += 1

    async def _start_service(self) -> None:
        await self._service.start()
        self._up.set()


def _channel(url: str, token: str) -> IdentifiedChannel:
    inner = grpc.aio.insecure_channel(Address.parse(url).target, options=tuple(_OPTIONS.items()))
    return IdentifiedChannel(inner, url=url, token=token, ids=SystemIds())
