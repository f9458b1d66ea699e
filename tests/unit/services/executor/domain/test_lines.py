"""The tests of services/executor/domain/lines.py."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import cast

import pytest

from services.executor.domain.lines import LEASE_S, Gate, Lines
from services.executor.ports import ExecutionRecord, ExecutorState
from tests.documents import plan, policy, step
from tests.embedded import Embedded
from tests.records import EXECUTION, PLAN
from tests.scripted import Act
from theory.core.clock import FakeClock
from theory.core.errors import Unavailable
from theory.core.execution import Wait
from theory.core.ids import ExecutionId, PlanId
from theory.core.jcs import JSON
from theory.core.spec import PolicyDoc
from theory.sdk.views import ExecutionView

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_gate_lets_in_as_many_as_it_may_in_their_order() -> None:
    gate, inside, most = Gate(2), list[int](), 0

    async def passing(number: int) -> None:
        nonlocal most
        async with gate.passed():
            inside.append(number)
            most = max(most, gate._inside)
            await asyncio.sleep(0)

    await asyncio.gather(*(passing(number) for number in range(20)))
    assert (inside, most, gate.idle) == (list(range(20)), 2, True)


async def test_who_gives_up_waiting_holds_nobody_up() -> None:
    gate = Gate(1)
    async with AsyncExitStack() as first:
        await first.enter_async_context(gate.passed())
        stack = AsyncExitStack()
        waiting = [asyncio.create_task(stack.enter_async_context(gate.passed())) for _ in range(3)]
        await _settled()
        waiting[0].cancel()
        await _settled()
        assert waiting[0].cancelled()
    waiting[1].cancel()  # it was let in at this moment
    await _settled()
    assert waiting[2].done()
    await stack.aclose()
    assert gate.idle


async def test_who_may_not_wait_is_let_in_beyond_the_limit() -> None:
    gate = Gate(1)
    async with gate.passed(), gate.passed(at_once=True):
        waiting = asyncio.create_task(gate.passed().__aenter__())
        await _settled()
        assert not waiting.done()
    await waiting


async def _waiting(theory: Embedded, plan_id: PlanId, count: int) -> list[ExecutionView]:
    """The executions that say that they wait, once there are so many."""
    async for _ in theory.theory.executor.watch(plan_id):
        found = [each async for each in theory.theory.executor.executions(plan_id) if each.waits_for is not None]
        if len(found) == count:
            return found
    message = "it ended before"
    raise AssertionError(message)


@pytest.mark.slow
async def test_a_plan_runs_no_more_at_once_than_its_policy_says(theory: Embedded) -> None:
    await theory.publish(policy("lines-two@1", concurrency={"per_plan": 2}))
    hold = asyncio.Event()
    theory.runtime.scripts["a"] = Act(hold=hold)
    submitted = await theory.submit(
        plan(step("a", for_each=[{"n": n} for n in range(6)]), policy="lines-two@1", runtime="process")
    )
    await theory.runtime.until_running(2)
    waits = await _waiting(theory, submitted.plan_id, 4)
    assert {each.waits_for for each in waits} == {Wait.PLAN_LIMIT}
    assert {each.state.value for each in waits} == {"queued"}
    hold.set()
    ran = await theory.ended(submitted.plan_id)
    assert set(ran.states.values()) == {"succeeded"}
    assert (theory.runtime.most_at_once, {each.waits_for for each in ran.executions}) == (2, {None})
    assert theory.runtime.invoked == [f"a.{n}-a0" for n in range(6)]


@pytest.mark.slow
async def test_a_processor_runs_no_more_at_once_over_all_plans(theory: Embedded) -> None:
    await theory.publish(policy("lines-one@1", concurrency={"per_processor": 1}))
    hold = asyncio.Event()
    theory.runtime.scripts["a"] = Act(hold=hold)
    fields = {"policy": "lines-one@1", "runtime": "process"}
    first = await theory.submit(plan(step("a"), **fields))
    await theory.runtime.until_running(1)
    second = await theory.submit(plan(step("a"), **fields))
    [waiting] = await _waiting(theory, second.plan_id, 1)
    assert waiting.waits_for is Wait.PROCESSOR_LIMIT
    third = await theory.submit(plan(step("a"), **fields))
    await theory.theory.executor.cancel_plan(second.plan_id)
    assert (await theory.ended(second.plan_id)).plan.state.value == "cancelled"
    hold.set()
    for each in (first, third):
        assert (await theory.ended(each.plan_id)).plan.state.value == "succeeded"
    assert theory.runtime.most_at_once == 1


class _Line:
    """A line in which others stand before: as many as the test says, or nobody knows."""

    def __init__(self, before: int | None) -> None:
        self.before = before
        self.kept: list[set[ExecutionId]] = []
        self.left: list[ExecutionId] = []

    async def line_up(self, execution_id: ExecutionId, line: str, lease_s: float) -> int:
        assert (line, lease_s) == ("processor media/probe@1", LEASE_S)
        if self.before is None:
            raise Unavailable("DATABASE_DOWN", "gone")
        return self.before

    async def keep_places(self, execution_ids: set[ExecutionId], lease_s: float) -> None:
        self.kept.append(set(execution_ids))

    async def step_out(self, execution_id: ExecutionId) -> None:
        self.left.append(execution_id)
        if self.before is None:
            raise Unavailable("DATABASE_DOWN", "gone")


async def _let_in(
    line: _Line, clock: FakeClock, held: AsyncExitStack, record: ExecutionRecord
) -> list[ExecutionRecord]:
    """What an execution said while it waited, and how it was let in in the end."""
    said: list[ExecutionRecord] = []

    async def save(record: ExecutionRecord) -> ExecutionRecord:
        said.append(record)
        return record

    lines = Lines(state=cast("ExecutorState", line), clock=clock, save=save)
    keeping = asyncio.create_task(lines.run())
    document: JSON = {"id": "p@1", "budget": {"max_usd_micro": 1}, "concurrency": {"per_processor": 2}}
    letting = asyncio.create_task(lines.let_in(held, PLAN, PolicyDoc.parse(document), record))
    for _ in range(40):
        await _settled()
        if letting.done():
            break
        if clock.monotonic() > LEASE_S:
            line.before = 1
        clock.advance(1)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    return [*said, await letting]


@pytest.mark.parametrize("before", [2, None])
async def test_executions_of_other_executors_are_waited_for(before: int | None) -> None:
    line, clock = _Line(before), FakeClock()
    async with AsyncExitStack() as held:
        waited, let_in = await _let_in(line, clock, held, replace(EXECUTION, attempt=None))
        assert (waited.waits_for, let_in.waits_for) == (Wait.PROCESSOR_LIMIT, None)
        assert line.kept[0] == {EXECUTION.execution_id}
        assert line.left == []
    assert line.left == [EXECUTION.execution_id]


async def test_a_place_that_cannot_be_left_is_left_to_its_lease() -> None:
    line, clock = _Line(0), FakeClock()
    async with AsyncExitStack() as held:
        await _let_in(line, clock, held, replace(EXECUTION, attempt=None))
        line.before = None
    assert line.left == [EXECUTION.execution_id]


async def test_an_attempt_that_is_under_way_waits_for_nobody() -> None:
    line, clock = _Line(7), FakeClock()
    async with AsyncExitStack() as held:
        [let_in] = await _let_in(line, clock, held, EXECUTION)
    assert (let_in, EXECUTION.attempt is None) == (EXECUTION, False)
