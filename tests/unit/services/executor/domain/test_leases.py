"""The heart of an executor among several: it takes what is free, and drops what it cannot say that it holds."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from services.executor.adapters.state import open_state
from services.executor.domain.leases import Leases
from services.executor.domain.watch import WatchedState
from tests.records import REPLICA
from theory.core.clock import FakeClock
from theory.core.errors import Unavailable
from theory.core.ids import PlanId

ONE, OTHER = PlanId("p-1"), PlanId("p-2")
LEASE_S = 15.0
BEAT_S = 5.0


class _Plans:
    def __init__(self) -> None:
        self.carried = frozenset({ONE, OTHER})
        self.dropped: list[PlanId] = []
        self.looked = 0

    async def drop(self, plan_ids: Iterable[PlanId]) -> None:
        self.dropped += sorted(plan_ids, key=lambda each: each.text)
        self.carried -= frozenset(plan_ids)

    async def take_free(self) -> None:
        self.looked += 1


class _Shared(WatchedState):
    """A state whose database says what the test says."""

    held: frozenset[PlanId] | None = frozenset({ONE, OTHER})
    """None: it is away."""

    async def prolong_leases(self) -> frozenset[PlanId]:
        if self.held is None:
            raise Unavailable("STORE_UNREACHABLE", "the store does not answer")
        return self.held


@asynccontextmanager
async def beating() -> AsyncIterator[tuple[_Shared, _Plans, FakeClock]]:
    clock, plans = FakeClock(), _Plans()
    state = _Shared(await open_state("memory:", REPLICA), clock)
    task = asyncio.create_task(Leases(state=state, plans=plans, clock=clock, lease_s=LEASE_S).run())
    await clock.until_sleepers(1)
    yield state, plans, clock
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await state.close()


async def beat(clock: FakeClock) -> None:
    clock.advance(BEAT_S)
    await clock.until_sleepers(1)


async def test_what_is_held_is_kept_and_what_is_free_is_looked_for() -> None:
    async with beating() as (_, plans, clock):
        for looked in (1, 2, 3):
            await beat(clock)
            assert (plans.dropped, plans.looked) == ([], looked)


async def test_what_another_one_took_is_dropped() -> None:
    async with beating() as (state, plans, clock):
        state.held = frozenset({OTHER})
        await beat(clock)
        assert plans.dropped == [ONE]


async def test_who_cannot_say_that_he_lives_drops_all_before_another_one_may_take_it() -> None:
    async with beating() as (state, plans, clock):
        state.held = None
        await beat(clock)
        assert (plans.dropped, plans.looked) == ([], 0)
        await beat(clock)
        assert plans.dropped == [ONE, OTHER]
        state.held = frozenset()
        await beat(clock)
        assert plans.looked == 1
