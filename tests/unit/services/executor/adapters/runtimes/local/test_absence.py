"""Waiting for an engine that is away."""

import asyncio

import pytest

from services.executor.adapters.runtimes.local.absence import PATIENCE_S, Absence
from services.executor.adapters.runtimes.local.containers import Containers
from services.executor.adapters.runtimes.local.engine import Engine
from theory.core.clock import FakeClock
from theory.core.errors import NotReady, TheoryError

AWAY = NotReady("ENGINE_DOWN", "it is away")


class _Asked(Containers):
    """An engine that answers when the clock says so."""

    def __init__(self, clock: FakeClock, back_at: float) -> None:
        super().__init__(Engine("unix:///nowhere", calls_at_once=1))
        self._clock, self._back_at = clock, back_at
        self.asked = 0

    async def reachable(self) -> bool:
        return self._clock.monotonic() >= self._back_at

    async def ask(self) -> str:
        self.asked += 1
        if not await self.reachable():
            raise AWAY
        return "here"


async def _advanced(clock: FakeClock, waiting: asyncio.Task[str], s: float) -> None:
    for _ in range(round(s / 0.5)):
        if not waiting.done():
            await clock.until_sleepers(1)
            clock.advance(0.5)
        await asyncio.sleep(0)


async def test_what_is_asked_of_an_engine_that_comes_back_is_answered() -> None:
    clock = FakeClock()
    containers = _Asked(clock, back_at=clock.monotonic() + 7)
    waiting = asyncio.create_task(Absence(containers, clock).sat_out(containers.ask))
    await _advanced(clock, waiting, 6)
    assert not waiting.done()
    await _advanced(clock, waiting, 2)
    assert (await waiting, containers.asked) == ("here", 2)


async def test_an_engine_that_does_not_come_back_is_not_waited_for_for_ever() -> None:
    clock = FakeClock()
    containers = _Asked(clock, back_at=clock.monotonic() + 10 * PATIENCE_S)
    waiting = asyncio.create_task(Absence(containers, clock).sat_out(containers.ask))
    await _advanced(clock, waiting, PATIENCE_S + 1)
    with pytest.raises(NotReady) as caught:
        await waiting
    assert caught.value is AWAY


async def test_an_engine_that_comes_and_goes_is_given_no_more_time() -> None:
    clock = FakeClock()
    containers = _Asked(clock, back_at=clock.monotonic())

    async def refused() -> str:
        containers.asked += 1
        raise AWAY

    waiting = asyncio.create_task(Absence(containers, clock).sat_out(refused))
    await _advanced(clock, waiting, PATIENCE_S + 1)
    with pytest.raises(NotReady):
        await waiting
    assert containers.asked > 1


async def test_another_refusal_is_not_waited_for() -> None:
    clock = FakeClock()
    refusal: TheoryError = NotReady("IMAGE_UNAVAILABLE", "there is none")

    async def refused() -> str:
        raise refusal

    with pytest.raises(NotReady) as caught:
        await Absence(_Asked(clock, 0), clock).sat_out(refused)
    assert caught.value is refusal
