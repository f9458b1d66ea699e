"""Waiting for a message: who is woken, by what, and when nobody is."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime

from services.resources.queue.domain.waiting import Waiters
from services.resources.queue.ports import Consumed
from theory.core import waiting
from theory.core.adapters import Message
from theory.core.clock import FakeClock

MESSAGE = Message("id", b"", "id:1", 1, datetime(2026, 1, 1, tzinfo=UTC))


class Topic:
    """A topic with so many messages, and a note of each look."""

    def __init__(self, next_visible_s: float | None = None) -> None:
        self.count = 0
        self.looks = 0
        self.next_visible_s = next_visible_s

    async def look(self) -> Consumed:
        self.looks += 1
        if not self.count:
            return Consumed([], self.next_visible_s)
        self.count -= 1
        return Consumed([MESSAGE])


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def begin(waiters: Waiters, topic: Topic, wait_s: float = 10) -> "asyncio.Task[Consumed]":
    asked: Awaitable[Consumed] = waiters.consume("p", "t", wait_s, topic.look)
    return asyncio.ensure_future(asked)


async def test_what_is_there_is_given_at_once() -> None:
    topic = Topic()
    topic.count = 1
    assert (await Waiters(FakeClock()).consume("p", "t", 10, topic.look)).messages == [MESSAGE]


async def test_without_a_wait_one_look_is_all() -> None:
    topic = Topic()
    assert await Waiters(FakeClock()).consume("p", "t", 0, topic.look) == Consumed([])
    assert topic.looks == 1


async def test_a_poke_wakes_as_many_as_it_says_in_their_order() -> None:
    waiters, topic = Waiters(FakeClock()), Topic()
    tasks = [begin(waiters, topic) for _ in range(3)]
    await settle()
    topic.count = 2
    waiters.poke("p", "other")
    waiters.poke("p", "t", 2)
    await settle()
    assert [task.done() for task in tasks] == [True, True, False]
    assert topic.looks == 5
    topic.count = 1
    waiters.poke("p", "t")
    await settle()
    assert tasks[2].done()


async def test_it_looks_again_when_the_store_said_something_would_come() -> None:
    clock, topic = FakeClock(), Topic(next_visible_s=0.5)
    task = begin(Waiters(clock), topic)
    await settle()
    topic.count = 1
    clock.advance(0.4)
    await settle()
    assert not task.done()
    clock.advance(0.1)
    await settle()
    assert task.done()


async def test_it_looks_every_second_for_what_nobody_tells() -> None:
    clock, topic = FakeClock(), Topic()
    task = begin(Waiters(clock), topic, 3)
    for _ in range(3):
        await settle()
        clock.advance(1)
    await settle()
    assert task.result() == Consumed([])
    assert topic.looks == 4


async def test_whoever_leaves_is_forgotten() -> None:
    waiters = Waiters(FakeClock())
    task = begin(waiters, Topic())
    await settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert waiters._waiting == {}
    assert waiters._count == 0


async def test_too_many_do_not_wait() -> None:
    waiters, topic = Waiters(FakeClock()), Topic()
    tasks = [begin(waiters, topic) for _ in range(waiting.MAX_WAITING)]
    await settle()
    assert await waiters.consume("p", "t", 10, topic.look) == Consumed([])
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
