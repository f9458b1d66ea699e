"""Two executors and one Postgres: who holds a plan, who may write it, and who hears of it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from services.executor.adapters.state import open_state
from services.executor.ports import ExecutionRecord, ExecutorState, PlanRecord
from tests.records import EXECUTION, KEY, MEMO, PLAN, REPLICA
from tests.servers import Servers
from theory.core.errors import Conflict, NotFound
from theory.core.execution import PlanState
from theory.core.ids import ExecutionId, PlanId

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with Servers() as started:
        yield started


def _plan(number: int, **fields: object) -> PlanRecord:
    given = {"plan_id": PlanId(f"p-{number}"), "request_id": f"r-{number}", **fields}
    return replace(PLAN, **given)  # type: ignore[arg-type]


def _execution(number: int) -> ExecutionRecord:
    return replace(EXECUTION, plan_id=PlanId(f"p-{number}"), execution_id=ExecutionId(f"p-{number}.probe.0"))


@pytest.fixture
async def both(servers: Servers) -> AsyncIterator[tuple[ExecutorState, ExecutorState]]:
    """Two executors that share a server, with leases of one second."""
    url = servers.postgres()
    opened = [await open_state(url, replace(REPLICA, name=name, lease_s=1.0)) for name in ("a", "b")]
    yield opened[0], opened[1]
    for each in opened:
        await each.close()


async def test_a_plan_is_held_by_one_at_a_time(both: tuple[ExecutorState, ExecutorState]) -> None:
    one, other = both
    await one.add_plan(PLAN, [EXECUTION])
    taken = await asyncio.gather(*(each.take_plan(PLAN.plan_id) for each in (*both, *both)))
    assert sorted(taken) == [False, False, True, True]
    holds, waits = (one, other) if taken[0] else (other, one)
    assert await holds.prolong_leases() == {PLAN.plan_id}
    assert await waits.prolong_leases() == frozenset()
    assert [each.plan_id for each in await holds.open_plans()] == [PLAN.plan_id]
    assert await waits.open_plans() == []


async def test_who_does_not_hold_a_plan_writes_nothing_of_it(both: tuple[ExecutorState, ExecutorState]) -> None:
    one, other = both
    plan = await one.add_plan(PLAN, [EXECUTION])
    await one.take_plan(PLAN.plan_id)
    for writing in (other.save_executions([EXECUTION], MEMO), other.save_plan(plan)):
        with pytest.raises(Conflict) as caught:
            await writing
        assert caught.value.reason == "LEASE_LOST"
    assert await one.memo(KEY) is None
    assert (await one.plan(PLAN.plan_id)).seq == 1
    with pytest.raises(NotFound):
        await other.save_plan(_plan(9))


async def test_a_plan_whose_holder_is_silent_is_free(both: tuple[ExecutorState, ExecutorState]) -> None:
    one, other = both
    await one.add_plan(PLAN, [EXECUTION])
    await one.take_plan(PLAN.plan_id)
    async with asyncio.timeout(30):
        while True:
            if await other.take_plan(PLAN.plan_id):
                break
            await asyncio.sleep(0.05)
    assert await one.prolong_leases() == frozenset()
    with pytest.raises(Conflict):
        await one.save_executions([EXECUTION])
    await other.save_executions([EXECUTION])


async def test_a_plan_that_has_ended_is_held_no_longer(both: tuple[ExecutorState, ExecutorState]) -> None:
    one, _ = both
    plan = await one.add_plan(PLAN, [EXECUTION])
    await one.take_plan(PLAN.plan_id)
    plan = await one.save_plan(replace(plan, state=PlanState.SUCCEEDED))
    assert await one.prolong_leases() == {PLAN.plan_id}
    await one.save_plan(replace(plan, scratch_ended=True))
    assert await one.prolong_leases() == frozenset()


async def test_a_change_is_told_to_the_other_one(both: tuple[ExecutorState, ExecutorState]) -> None:
    one, other = both
    heard = asyncio.Event()
    other.listen(lambda plan_id: heard.set() if plan_id == PLAN.plan_id else None)
    await one.add_plan(PLAN, [EXECUTION])
    async with asyncio.timeout(30):
        while not heard.is_set():  # it may not listen yet
            await one.save_executions([EXECUTION])
            await asyncio.sleep(0.05)


async def test_one_request_of_two_is_one_plan(both: tuple[ExecutorState, ExecutorState]) -> None:
    one, other = both
    turns = enumerate((one, other, one, other), start=1)
    asked = [each.add_plan(_plan(at, request_id="r"), [_execution(at)]) for at, each in turns]
    assert len({each.plan_id for each in await asyncio.gather(*asked)}) == 1


async def test_executions_of_both_stand_in_one_line(both: tuple[ExecutorState, ExecutorState]) -> None:
    one, other = both
    names = [ExecutionId(f"p-{number}.a") for number in range(6)]
    asked = [(one, other)[at % 2].line_up(name, "tool", 30) for at, name in enumerate(names)]
    assert sorted(await asyncio.gather(*asked)) == list(range(6))
    places = [await (one, other)[at % 2].line_up(name, "tool", 30) for at, name in enumerate(names)]
    first = names[places.index(0)]
    holder, stranger = (one, other) if names.index(first) % 2 == 0 else (other, one)
    await stranger.step_out(first)
    assert await holder.line_up(first, "tool", 30) == 0
    await holder.step_out(first)
    assert await holder.line_up(first, "tool", 30) == 5


async def test_whoever_takes_an_execution_over_keeps_its_place(both: tuple[ExecutorState, ExecutorState]) -> None:
    one, other = both
    moved, later = ExecutionId("p-1.a"), ExecutionId("p-2.a")
    assert await one.line_up(moved, "tool", 30) == 0
    assert await one.line_up(later, "tool", 30) == 1
    assert await other.line_up(moved, "tool", 30) == 0
    await one.step_out(moved)
    assert await one.line_up(later, "tool", 30) == 1


async def test_a_killed_executor_keeps_no_place_for_longer_than_its_lease(
    both: tuple[ExecutorState, ExecutorState],
) -> None:
    one, other = both
    assert await one.line_up(ExecutionId("p-1.a"), "tool", 0.2) == 0
    async with asyncio.timeout(30):
        while True:
            if not await other.line_up(ExecutionId("p-2.a"), "tool", 30):
                break
            await asyncio.sleep(0.05)


async def test_a_key_is_in_flight_at_one_at_a_time(both: tuple[ExecutorState, ExecutorState]) -> None:
    one, other = both
    taken = await asyncio.gather(*(each.take_flight(KEY) for each in (*both, *both)))
    assert sorted(taken) == [False, False, True, True]
    flies, waits = (one, other) if taken[0] else (other, one)
    await waits.leave_flight(KEY)
    assert not await waits.take_flight(KEY)
    await flies.leave_flight(KEY)
    assert await waits.take_flight(KEY)
    assert not await flies.take_flight(KEY)


async def test_a_key_is_kept_with_the_leases_and_free_without(both: tuple[ExecutorState, ExecutorState]) -> None:
    """A lease is one second here."""
    one, other = both
    assert await one.take_flight(KEY)
    for _ in range(6):
        await asyncio.sleep(0.25)
        await one.prolong_leases()
        assert not await other.take_flight(KEY)
    async with asyncio.timeout(30):
        while not await other.take_flight(KEY):  # noqa: ASYNC110 - time alone frees it
            await asyncio.sleep(0.05)
    await one.prolong_leases()
    assert not await one.take_flight(KEY)


async def test_keys_that_two_take_in_opposite_orders_make_nobody_wait(
    both: tuple[ExecutorState, ExecutorState],
) -> None:
    keys = [f"b3:{number:064x}" for number in range(50)]
    async with asyncio.timeout(30):
        for _ in range(5):
            asked = [both[0].take_flight(each) for each in keys] + [both[1].take_flight(each) for each in keys[::-1]]
            assert sum(await asyncio.gather(*asked)) == len(keys)
            await asyncio.gather(*(state.leave_flight(each) for state in both for each in keys))
