"""Flights among executors: one makes a result, and whoever waits for it is let in behind it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.executor.adapters.state import open_state
from services.executor.domain.flights import LOOK_EVERY_S, Flights
from services.executor.domain.watch import WatchedState
from tests.records import KEY, REPLICA
from theory.core.clock import FakeClock
from theory.core.errors import Unavailable

AWAY = Unavailable("STORE_UNREACHABLE", "the store does not answer")


class _Shared(WatchedState):
    """A state in which another executor has the key for as long as the test says."""

    taken_elsewhere = False
    away = False
    left: tuple[str, ...] = ()

    async def take_flight(self, memo_key: str) -> bool:
        if self.away:
            raise AWAY
        return not self.taken_elsewhere

    async def leave_flight(self, memo_key: str) -> None:
        if self.away:
            raise AWAY
        self.left += (memo_key,)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def state(clock: FakeClock) -> AsyncIterator[_Shared]:
    opened = _Shared(await open_state("memory:", REPLICA), clock)
    yield opened
    await opened.close()


async def _entered(flights: Flights, hold: asyncio.Event, *, under_way: bool = False) -> None:
    async with flights.alone(KEY, under_way=under_way):
        await hold.wait()


async def test_whoever_comes_second_waits_for_the_first(state: _Shared, clock: FakeClock) -> None:
    state.taken_elsewhere = True
    hold = asyncio.Event()
    hold.set()
    waiting = asyncio.create_task(_entered(Flights(state, clock), hold))
    for _ in range(3):
        await clock.until_sleepers(1)
        clock.advance(LOOK_EVERY_S)
    await clock.until_sleepers(1)
    assert not waiting.done()
    state.taken_elsewhere = False
    clock.advance(LOOK_EVERY_S)
    await waiting
    assert state.left == (KEY,)


async def test_what_is_under_way_waits_for_nobody(state: _Shared, clock: FakeClock) -> None:
    state.taken_elsewhere = True
    hold = asyncio.Event()
    hold.set()
    await _entered(Flights(state, clock), hold, under_way=True)


async def test_who_gives_up_waiting_leaves(state: _Shared, clock: FakeClock) -> None:
    state.taken_elsewhere = True
    waiting = asyncio.create_task(_entered(Flights(state, clock), asyncio.Event()))
    await clock.until_sleepers(1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert state.left == (KEY,)


async def test_a_database_that_is_away_at_the_end_undoes_nothing(state: _Shared, clock: FakeClock) -> None:
    hold = asyncio.Event()
    flying = asyncio.create_task(_entered(Flights(state, clock), hold))
    await asyncio.sleep(0)
    state.away = True
    hold.set()
    await flying
    assert state.left == ()


async def test_a_database_that_is_away_at_the_start_is_waited_for(state: _Shared, clock: FakeClock) -> None:
    state.away = True
    hold = asyncio.Event()
    hold.set()
    flying = asyncio.create_task(_entered(Flights(state, clock), hold))
    await clock.until_sleepers(1)
    state.away = False
    clock.advance(1)
    await flying
    assert state.left == (KEY,)
