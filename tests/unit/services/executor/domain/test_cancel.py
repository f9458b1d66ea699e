"""The tests of services/executor/domain/cancel.py."""

import asyncio
from pathlib import Path

import pytest

from services.executor.adapters.state import open_state
from services.executor.domain.cancel import Cancellations, Stop, Stopped
from tests.documents import plan, policy, step
from tests.embedded import Embedded, Ran, embedded
from tests.records import EXECUTION, PLAN, REPLICA
from tests.scripted import Act, ScriptedRuntime, failing
from theory.core.clock import FakeClock
from theory.core.errors import NotFound, NotReady
from theory.core.ids import ExecutionId, PlanId
from theory.core.jcs import JSON
from theory.sdk.views import PlanView

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _begun(theory: Embedded, *steps: dict[str, JSON], count: int = 1, **fields: JSON) -> PlanView:
    """A plan of which so many attempts are under way."""
    submitted = await theory.submit(plan(*steps, **fields))
    await theory.runtime.until_running(count)
    return submitted


async def _cancelled(theory: Embedded, plan_id: PlanId) -> Ran:
    await theory.theory.executor.cancel_plan(plan_id)
    return await theory.ended(plan_id)


async def test_what_runs_is_stopped_and_settled_and_what_waits_is_never_claimed(theory: Embedded) -> None:
    theory.runtime.scripts["b"] = Act(hold=asyncio.Event())
    submitted = await theory.submit(plan(step("a"), step("b", "a"), step("c", "b")))
    await theory.until(submitted.plan_id, "b", "running")
    await theory.runtime.until_running(1)
    ran = await _cancelled(theory, submitted.plan_id)
    assert ran.states == {"a": "succeeded", "b": "cancelled", "c": "cancelled"}
    assert ran.plan.state.value == "cancelled"
    assert ran.plan.failure is not None
    assert (ran.plan.failure.reason, ran.plan.failure.message) == ("CANCELLED", "2 of 3 executions did not succeed")
    assert theory.runtime.cancelled == ["b-a0"]
    assert len(theory.runtime.released) == 2
    assert [each.outcome.value for each in await theory.receipts(submitted.plan_id)] == ["succeeded", "cancelled"]
    assert (ran["c"].epoch, ran["c"].receipt_id) == (0, None)
    assert [each.kind for each in await theory.events(submitted.plan_id)][-1] == "plan.cancelled"
    await theory.check(submitted.plan_id)


async def test_one_execution_is_cancelled_and_what_needs_it_is_skipped(theory: Embedded) -> None:
    hold = asyncio.Event()
    theory.runtime.scripts |= {"a": Act(hold=asyncio.Event()), "b": Act(hold=hold)}
    submitted = await _begun(theory, step("a"), step("b"), step("c", "a"), count=2)
    execution_id = ExecutionId.parse(f"{submitted.plan_id}.a")
    await theory.theory.executor.cancel_execution(execution_id)
    await theory.until(submitted.plan_id, "c", "skipped")
    hold.set()
    ran = await theory.ended(submitted.plan_id)
    assert ran.states == {"a": "cancelled", "b": "succeeded", "c": "skipped"}
    assert (ran.plan.state.value, theory.runtime.cancelled) == ("failed", ["a-a0"])


async def test_an_execution_that_waits_is_cancelled_before_its_turn(theory: Embedded) -> None:
    hold = asyncio.Event()
    theory.runtime.scripts["a"] = Act(hold=hold)
    submitted = await _begun(theory, step("a"), step("b", "a"))
    await theory.theory.executor.cancel_execution(ExecutionId.parse(f"{submitted.plan_id}.b"))
    await theory.until(submitted.plan_id, "b", "cancelled")
    hold.set()
    assert (await theory.ended(submitted.plan_id)).states == {"a": "succeeded", "b": "cancelled"}


async def test_what_has_ended_stays(theory: Embedded) -> None:
    ran = await theory.run_plan(plan(step()))
    again = await theory.theory.executor.cancel_plan(ran.plan.plan_id)
    assert (again.state, again.finish_time) == (ran.plan.state, ran.plan.finish_time)
    assert await theory.theory.executor.cancel_execution(ran["step"].execution_id) == ran["step"]


async def test_a_second_request_changes_nothing(theory: Embedded) -> None:
    theory.runtime.scripts["step"] = Act(hold=asyncio.Event())
    submitted = await _begun(theory, step())
    for _ in range(3):
        await theory.theory.executor.cancel_plan(submitted.plan_id)
    ran = await theory.ended(submitted.plan_id)
    assert (ran.states, theory.runtime.cancelled) == ({"step": "cancelled"}, ["step-a0"])
    assert len(await theory.receipts(submitted.plan_id)) == 1


async def test_what_nobody_submitted_cannot_be_cancelled(theory: Embedded) -> None:
    with pytest.raises(NotFound, match="p-none"):
        await theory.theory.executor.cancel_plan(PlanId("p-none"))
    with pytest.raises(NotFound, match=r"p-none\.a"):
        await theory.theory.executor.cancel_execution(ExecutionId("p-none.a"))


async def test_nobody_waits_for_the_pause_before_another_attempt(theory: Embedded) -> None:
    await theory.publish(policy("patient@1", retry={"max_attempts": 3, "backoff_ms": [3_600_000], "on": ["failed"]}))
    theory.runtime.scripts["step"] = failing()
    submitted = await theory.submit(plan(step(), policy="patient@1"))
    await theory.until(submitted.plan_id, "step", "running")
    await theory.until(submitted.plan_id, "step", "queued")
    ran = await _cancelled(theory, submitted.plan_id)
    assert ran.states == {"step": "cancelled"}
    assert [each.outcome.value for each in await theory.receipts(submitted.plan_id)] == ["failed", "cancelled"]
    await theory.check(submitted.plan_id)


async def test_a_failure_that_came_first_is_not_tried_again(theory: Embedded) -> None:
    await theory.publish(policy("again@1", retry={"max_attempts": 3, "backoff_ms": [0], "on": ["failed"]}))
    hold = asyncio.Event()
    theory.runtime.scripts["step"] = lambda _: failing(hold=hold)
    submitted = await _begun(theory, step(), policy="again@1")
    ran = await _cancelled(theory, submitted.plan_id)
    assert ran.states == {"step": "cancelled"}
    assert theory.runtime.invoked == ["step-a0"]


@pytest.mark.slow
async def test_nobody_waits_for_a_free_slot_or_for_equal_work(tmp_path: Path) -> None:
    async with embedded(tmp_path, max_in_flight=2) as theory:
        hold = asyncio.Event()
        theory.runtime.scripts |= {"a": Act(hold=hold), "b": Act(hold=hold)}
        first = await _begun(theory, step("a"), seed=1)
        equal = await theory.submit(plan(step("a"), seed=1))  # waits for the first one's result, in the second slot
        await theory.until(equal.plan_id, "a", "queued")
        crowded = await theory.submit(plan(step("b")))
        await theory.until(crowded.plan_id, "b", "queued")
        assert (await _cancelled(theory, crowded.plan_id)).states == {"b": "cancelled"}
        assert (await _cancelled(theory, equal.plan_id)).states == {"a": "cancelled"}
        assert theory.runtime.invoked == ["a-a0"]
        hold.set()
        assert (await theory.ended(first.plan_id)).states == {"a": "succeeded"}


@pytest.mark.slow
async def test_a_request_outlives_the_executor(tmp_path: Path) -> None:
    runtime = ScriptedRuntime()
    runtime.stays = True
    runtime.scripts["a"] = Act(hold=asyncio.Event())
    async with embedded(tmp_path, runtime=runtime, memory=False) as theory:
        submitted = await _begun(theory, step("a"), step("b", "a"))
    state = await open_state(f"sqlite:///{tmp_path}/executor.db", REPLICA)
    await state.ask_to_cancel(submitted.plan_id, None)
    await state.close()
    async with embedded(tmp_path, runtime=runtime, memory=False) as theory:
        ran = await theory.ended(submitted.plan_id)
        assert ran.states == {"a": "cancelled", "b": "cancelled"}
        assert (runtime.invoked, runtime.cancelled) == (["a-a0"], ["a-a0"])
        await theory.check(submitted.plan_id)
    runtime.stays = False
    await runtime.end()


async def test_what_another_replica_took_down_is_found() -> None:
    state, clock = await open_state("memory:", REPLICA), FakeClock()
    await state.add_plan(PLAN, [EXECUTION])
    cancellations = Cancellations(state, clock)
    looking = asyncio.create_task(cancellations.run())
    async with cancellations.followed(PLAN.plan_id) as stops:
        stop = stops.of(EXECUTION.execution_id)
        await state.ask_to_cancel(PLAN.plan_id, EXECUTION.execution_id)
        await clock.until_sleepers(1)
        clock.advance(1.0)
        await stops.news.wait()
        assert (stops.whole, stop.event.is_set()) == (False, True)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    await state.close()


async def test_what_waits_is_given_up_once() -> None:
    stop = Stop()

    async def wait() -> None:
        async with stop.heeded():
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    stop.ask()
    with pytest.raises(Stopped):
        await waiting
    with pytest.raises(Stopped):
        async with stop.heeded():
            pytest.fail("nothing begins any more")


async def test_a_deadline_of_what_waits_is_no_request() -> None:
    with pytest.raises(TimeoutError):
        async with Stop().heeded(), asyncio.timeout(0):
            await asyncio.Event().wait()


async def test_an_end_that_cannot_be_had_is_told_and_leaves_the_attempt(caplog: pytest.LogCaptureFixture) -> None:
    stop, tried = Stop(), asyncio.Event()

    async def end() -> None:
        tried.set()
        raise NotReady("ENGINE_DOWN", "away")

    async with stop.passed_on(end, FakeClock()):
        stop.ask()
        await tried.wait()
        await asyncio.sleep(0)
    assert [each.message for each in caplog.records] == ["attempt.not_cancelled"]
