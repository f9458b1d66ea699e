"""Waiting with a limit."""

import asyncio

from services.executor.adapters.runtimes.wait import until_set
from theory.core.clock import FakeClock


async def test_an_event_that_is_set_is_not_waited_for() -> None:
    event = asyncio.Event()
    event.set()
    assert await until_set(event, FakeClock(), 10)


async def test_the_event_ends_the_wait() -> None:
    event, clock = asyncio.Event(), FakeClock()
    waiting = asyncio.create_task(until_set(event, clock, 10))
    await clock.until_sleepers(1)
    event.set()
    assert await waiting
    assert clock.sleepers == 0


async def test_the_limit_ends_the_wait() -> None:
    clock = FakeClock()
    waiting = asyncio.create_task(until_set(asyncio.Event(), clock, 10))
    await clock.until_sleepers(1)
    clock.advance(10)
    assert not await waiting
