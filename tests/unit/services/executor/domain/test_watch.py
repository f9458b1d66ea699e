"""The tests of services/executor/domain/watch.py."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import pytest

from services.executor.adapters.state import open_state
from services.executor.domain.watch import LONGEST_WATCH_S, WatchedState
from services.executor.ports import ExecutionRecord, ExecutorState, PlanRecord
from tests.records import ENDED, EXECUTION, MEMO, PLAN, REPLICA
from theory.core.clock import FakeClock
from theory.core.errors import NotFound
from theory.core.execution import ExecutionState, PlanState
from theory.core.ids import ExecutionId, PlanId


@pytest.fixture
async def inner() -> AsyncIterator[ExecutorState]:
    state = await open_state("memory:", REPLICA)
    await state.add_plan(PLAN, [EXECUTION, ENDED])
    yield state
    await state.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def state(inner: ExecutorState, clock: FakeClock) -> WatchedState:
    return WatchedState(inner, clock)


def _seen(plan: PlanRecord, changed: list[ExecutionRecord]) -> tuple[int, list[str]]:
    return plan.seq, [each.execution_id.text for each in changed]


async def test_a_watch_begins_with_everything_and_goes_on_with_what_changes(state: WatchedState) -> None:
    async with aclosing(state.follow(PLAN.plan_id, after_seq=0)) as changes:
        assert _seen(*await anext(changes)) == (1, ["p-1.probe.0", "p-1.report"])
        following = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)
        await state.save_executions([replace(EXECUTION, state=ExecutionState.FAILED)])
        assert _seen(*await following) == (2, ["p-1.probe.0"])
        await state.save_plan(replace(PLAN, state=PlanState.FAILED))
        assert _seen(*await anext(changes)) == (3, [])
        with pytest.raises(StopAsyncIteration):
            await anext(changes)
    assert state._watchers == {}


async def test_a_watch_goes_on_behind_what_was_seen(state: WatchedState) -> None:
    await state.save_executions([replace(ENDED, log_tail="more")])
    await state.save_plan(replace(PLAN, state=PlanState.SUCCEEDED))
    assert [_seen(*each) async for each in state.follow(PLAN.plan_id, after_seq=1)] == [(3, ["p-1.report"])]
    assert [_seen(*each) async for each in state.follow(PLAN.plan_id, after_seq=3)] == []
    assert [_seen(*each) async for each in state.follow(PLAN.plan_id, after_seq=99)] == []


async def test_a_watch_ends_cleanly_after_its_longest_time(state: WatchedState, clock: FakeClock) -> None:
    async with aclosing(state.follow(PLAN.plan_id, after_seq=1)) as changes:
        following = asyncio.ensure_future(anext(changes))
        await clock.until_sleepers(1)
        clock.advance(LONGEST_WATCH_S + 1)
        with pytest.raises(StopAsyncIteration):
            await following


async def test_what_another_process_wrote_is_seen_a_little_later(
    state: WatchedState, inner: ExecutorState, clock: FakeClock
) -> None:
    async with aclosing(state.follow(PLAN.plan_id, after_seq=1)) as changes:
        following = asyncio.ensure_future(anext(changes))
        await clock.until_sleepers(1)
        await inner.save_plan(replace(PLAN, state=PlanState.FAILED))
        assert not following.done()
        clock.advance(5)
        assert _seen(*await following) == (2, [])


async def test_a_plan_that_nobody_knows_cannot_be_watched(state: WatchedState) -> None:
    with pytest.raises(NotFound) as caught:
        await anext(state.follow(PlanId("p-9"), after_seq=0))
    assert caught.value.reason == "PLAN_UNKNOWN"
    assert state._watchers == {}


async def test_a_watch_of_one_plan_is_not_woken_by_another(state: WatchedState, clock: FakeClock) -> None:
    other = replace(EXECUTION, plan_id=PlanId("p-2"), execution_id=ExecutionId("p-2.probe.0"))
    await state.add_plan(replace(PLAN, plan_id=PlanId("p-2"), request_id="r-2"), [other])
    async with aclosing(state.follow(PLAN.plan_id, after_seq=1)) as changes:
        following = asyncio.ensure_future(anext(changes))
        await clock.until_sleepers(1)
        await state.save_executions([other])
        await asyncio.sleep(0)
        assert not following.done()
        following.cancel()
        await asyncio.wait([following])


async def test_all_else_is_what_the_state_within_says(state: WatchedState) -> None:
    await state.save_executions([replace(EXECUTION, attempt=None)], MEMO)
    assert await state.save_executions([]) == []
    assert await state.memo(MEMO.memo_key) == MEMO
    assert await state.recent_components(MEMO.processor, write_prefix=None, limit=1) == [MEMO.components]
    assert (await state.plan(PLAN.plan_id)).seq == 2
    assert await state.plan_of_request(PLAN.request_id) == await state.plan(PLAN.plan_id)
    assert [each.plan_id for each in await state.plans(before=None, limit=5)] == [PLAN.plan_id]
    assert [each.plan_id for each in await state.open_plans()] == [PLAN.plan_id]
    assert await state.execution(ExecutionId("p-1.report")) == ENDED
    assert len(await state.executions(PLAN.plan_id, from_ordinal=1, limit=5)) == 1
    assert _seen(*await state.changes(PLAN.plan_id, after_seq=1)) == (2, ["p-1.probe.0"])


async def test_an_execution_is_followed_to_its_end(state: WatchedState) -> None:
    async with aclosing(state.follow_execution(EXECUTION.execution_id, after_seq=0)) as changes:
        assert (await anext(changes)).state is EXECUTION.state
        following = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)
        await state.save_plan(PLAN)  # nothing of this execution
        await state.save_executions([replace(EXECUTION, state=ExecutionState.FAILED)])
        last = await following
        assert (last.state, last.seq) == (ExecutionState.FAILED, 3)
        with pytest.raises(StopAsyncIteration):
            await anext(changes)
    resumed = [each.seq async for each in state.follow_execution(EXECUTION.execution_id, after_seq=3)]
    assert resumed == []
    with pytest.raises(NotFound):
        await anext(state.follow_execution(ExecutionId("p-none.a"), after_seq=0))
