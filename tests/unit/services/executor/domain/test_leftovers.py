"""The tests of services/executor/domain/leftovers.py."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.executor.adapters.places import MemoryPlaces
from services.executor.domain.leftovers import HELD_S, TRIED_EVERY_S, Leftovers
from services.executor.ports import PlaceRequest
from tests.scripted import ScriptedRuntime
from theory.core.clock import FakeClock
from theory.core.errors import NotReady

_NAME = "p-1.probe-a0"


class _Stuck(ScriptedRuntime):
    """Gives back what an attempt left at the `tries`-th time."""

    tries = 2

    async def release(self, name: str) -> None:
        self.tries -= 1
        if self.tries:
            raise NotReady("ENGINE_DOWN", f"nothing can be done about {name}")


async def _places() -> MemoryPlaces:
    places = MemoryPlaces()
    await places.prepare(PlaceRequest(_NAME, (), {}, 1, 1, in_memory=True), b"")
    return places


@asynccontextmanager
async def _running(leftovers: Leftovers) -> AsyncIterator[None]:
    task = asyncio.create_task(leftovers.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_an_attempt_left_is_removed() -> None:
    places, runtime = await _places(), ScriptedRuntime()
    await Leftovers(places=places, runtime=lambda _: runtime, clock=FakeClock()).remove(_NAME, "process")
    assert not places.holds(_NAME)


async def test_what_cannot_be_removed_is_tried_again() -> None:
    places, runtime, clock = await _places(), _Stuck(), FakeClock()
    leftovers = Leftovers(places=places, runtime=lambda _: runtime, clock=clock)
    async with _running(leftovers):
        await leftovers.remove(_NAME, "process")
        assert places.holds(_NAME)
        await clock.until_sleepers(1)
        clock.advance(TRIED_EVERY_S)
        await clock.until_sleepers(1)
    assert not places.holds(_NAME)


async def test_what_is_gone_is_not_tried_again() -> None:
    places, runtime, clock = await _places(), _Stuck(), FakeClock()
    leftovers = Leftovers(places=places, runtime=lambda _: runtime, clock=clock)
    async with _running(leftovers):
        await leftovers.remove(_NAME, "process")
        for _ in range(3):
            await clock.until_sleepers(1)
            clock.advance(TRIED_EVERY_S)
        await clock.until_sleepers(1)
    assert runtime.tries == 0


async def test_what_somebody_reads_is_removed_once_nobody_does() -> None:
    places, runtime, clock = await _places(), ScriptedRuntime(), FakeClock()
    leftovers = Leftovers(places=places, runtime=lambda _: runtime, clock=clock)
    async with _running(leftovers):
        with leftovers.held(_NAME):
            with leftovers.held(_NAME):
                await leftovers.remove(_NAME, "process")
            await clock.until_sleepers(1)
            assert places.holds(_NAME)
        await runtime.until_released()
        await clock.until_sleepers(1)
    assert runtime.released == [_NAME]


async def test_who_reads_too_long_holds_nothing_up() -> None:
    places, runtime, clock = await _places(), ScriptedRuntime(), FakeClock()
    leftovers = Leftovers(places=places, runtime=lambda _: runtime, clock=clock)
    async with _running(leftovers):
        with leftovers.held(_NAME):
            await leftovers.remove(_NAME, "process")
            for _ in range(3):
                await asyncio.sleep(0)
                await clock.until_sleepers(1)
            clock.advance(HELD_S)
            await clock.until_sleepers(1)
            assert not places.holds(_NAME)
