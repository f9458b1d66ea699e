"""Waiting for something to come: who is woken, by what, and when nobody is."""

import asyncio
from math import inf

from theory.core import waiting
from theory.core.clock import FakeClock
from theory.core.waiting import Waiting

HERE, THERE = "here", "there"


class Counter:
    """So many things, and a note of each look."""

    def __init__(self) -> None:
        self.count = 0
        self.looks = 0

    async def look(self) -> int:
        self.looks += 1
        return self.count


def _again_s(count: int) -> float | None:
    return None if count else inf


def _waiting(clock: FakeClock) -> Waiting[str]:
    return Waiting(clock)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def begin(waiters: Waiting[str], counter: Counter, wait_s: float = 10) -> "asyncio.Task[int]":
    return asyncio.create_task(waiters.until(HERE, wait_s, counter.look, _again_s))


async def test_what_is_there_is_given_at_once() -> None:
    counter = Counter()
    counter.count = 1
    assert await _waiting(FakeClock()).until(HERE, 10, counter.look, _again_s) == 1


async def test_without_a_wait_one_look_is_all() -> None:
    counter = Counter()
    assert await _waiting(FakeClock()).until(HERE, 0, counter.look, _again_s) == 0
    assert counter.looks == 1


async def test_a_call_wakes_everybody_at_its_place() -> None:
    waiters, counter = _waiting(FakeClock()), Counter()
    tasks = [begin(waiters, counter) for _ in range(3)]
    await settle()
    counter.count = 2
    waiters.wake(THERE)
    await settle()
    assert [task.done() for task in tasks] == [False] * 3
    waiters.wake(HERE)
    await settle()
    assert [task.result() for task in tasks] == [2] * 3


async def test_it_looks_every_second_for_what_nobody_tells() -> None:
    clock, counter = FakeClock(), Counter()
    task = begin(_waiting(clock), counter, 3)
    for _ in range(3):
        await settle()
        clock.advance(1)
    await settle()
    assert task.result() == 0
    assert counter.looks == 4


async def test_whoever_leaves_is_forgotten() -> None:
    waiters = _waiting(FakeClock())
    task = begin(waiters, Counter())
    await settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert waiters._waiting == {}
    assert waiters._count == 0


async def test_too_many_do_not_wait() -> None:
    waiters, counter = _waiting(FakeClock()), Counter()
    tasks = [begin(waiters, counter) for _ in range(waiting.MAX_WAITING)]
    await settle()
    assert await waiters.until(HERE, 10, counter.look, _again_s) == 0
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
