"""Keys and messages on Modal while one call in twenty fails, half of them with their work done: nothing is lost."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

import pytest

from services.resources.kv.adapters import open_store as open_kv
from services.resources.kv.ports import KVQuotas
from services.resources.queue.adapters import open_store as open_queue
from services.resources.queue.ports import QueueQuotas, QueueStore
from tests.fakes.modal import Chaos, FakeModal
from tests.fakes.modal.replicas import replica, url_of
from theory.core.adapters import KVIncr, KVValue, Message, Published, QueueNack, QueuePublish
from theory.core.clock import FakeClock
from theory.core.errors import Unavailable
from theory.core.ids import SystemIds

pytestmark = pytest.mark.slow

T = TypeVar("T")

_RATE = 0.05
_REPLICAS = 4


@asynccontextmanager
async def _replicas(fake: FakeModal, clock: FakeClock, open_one: Callable[..., Awaitable[T]]) -> AsyncIterator[list[T]]:
    async with AsyncExitStack() as stack:
        openings = [await stack.enter_async_context(replica(clock)) for _ in range(_REPLICAS)]
        yield [await open_one(url_of(fake), each) for each in openings]


async def _until_answered(ask: Callable[[], Awaitable[T]]) -> T:
    for _ in range(50):
        try:
            return await ask()
        except Unavailable:
            continue
    raise AssertionError("nothing was ever answered")


@pytest.mark.parametrize("dedupe", [False, True])
@pytest.mark.parametrize("seed", range(3))
async def test_every_addition_is_done_once(seed: int, dedupe: bool) -> None:
    with FakeModal() as fake:
        fake.hub.dedupe = dedupe
        opened = _replicas(fake, FakeClock(), lambda url, opening: open_kv(url, opening, KVQuotas()))
        async with opened as stores:
            fake.hub.faults.chaos = Chaos(_RATE, seed)
            ids = SystemIds()

            async def add(idx: int) -> int:
                request_id = ids.request_id().text
                repeats = iter(range(idx, 1_000))

                async def ask() -> int:
                    # A caller that heard nothing asks another replica.
                    [answer] = await stores[next(repeats) % _REPLICAS].incr_many("p", [KVIncr("n")], request_id)
                    assert isinstance(answer, int)
                    return answer

                return await _until_answered(ask)

            answers = await asyncio.gather(*(add(idx) for idx in range(40)))
            fake.hub.faults.chaos = None
            assert sorted(answers) == list(range(1, 41))
            assert [await each.get_many("p", ["n"]) for each in stores] == [[KVValue(b"40")]] * _REPLICAS
            assert fake.hub.faults.fired > 10
            assert fake.hub.missing == set()


@pytest.mark.parametrize("seed", range(3))
async def test_every_message_is_acknowledged_and_no_delivery_has_two_holders(seed: int) -> None:
    clock, chance = FakeClock(), random.Random(seed)
    with FakeModal() as fake:
        opened = _replicas(fake, clock, lambda url, opening: open_queue(url, opening, QueueQuotas()))
        async with opened as stores:
            fake.hub.faults.chaos = Chaos(_RATE, seed)
            work = _Work(stores, chance)
            await asyncio.gather(*(work.publish(idx) for idx in range(40)))
            for _ in range(200):
                await asyncio.gather(*(work.turn(each) for each in stores))
                if work.open == set():
                    break
                clock.advance(1)
            fake.hub.faults.chaos = None
            clock.advance(60)
            left = [await work.consumed(each) for each in stores]
            assert (work.open, left) == (set(), [[]] * _REPLICAS)
            assert max(work.holders.values()) == 1
            assert len(work.holders) > 40
            assert fake.hub.faults.fired > 10
            assert fake.hub.missing == set()


class _Work:
    """Consumers of whom some die and some give back."""

    def __init__(self, stores: list[QueueStore], chance: random.Random) -> None:
        self._stores = stores
        self._chance = chance
        self.open: set[bytes] = set()
        self.holders: Counter[tuple[str, int]] = Counter()
        """How often each delivery of each message was handed out."""

    async def publish(self, idx: int) -> None:
        body = f"{idx}".encode()

        async def ask() -> None:
            store = self._chance.choice(self._stores)
            [published] = await store.publish_many("p", "t", [QueuePublish(body, f"key-{idx}")], None)
            assert isinstance(published, Published)

        await _until_answered(ask)
        self.open.add(body)

    async def consumed(self, store: QueueStore) -> list[Message]:
        try:
            found = await store.consume(
                plan_id="p", topic="t", dead_letters=False, max_messages=5, visibility_timeout_s=3
            )
        except Unavailable:
            return []
        self.holders.update((each.message_id, each.receive_count) for each in found.messages)
        return found.messages

    async def turn(self, store: QueueStore) -> None:
        for message in await self.consumed(store):
            fate = self._chance.random()
            if fate < 0.25:
                continue
            other = self._chance.choice(self._stores)
            try:
                if fate < 0.35:
                    item = QueueNack(message.receipt_handle, delay_s=self._chance.choice((0, 2)))
                    await other.nack_many("p", "t", [item], dead_letters=False)
                else:
                    [answer] = await other.ack_many("p", "t", [message.receipt_handle], dead_letters=False)
                    if answer is None:
                        self.open.discard(message.body)
            except Unavailable:
                continue  # it may have been done: then nobody gets it again
