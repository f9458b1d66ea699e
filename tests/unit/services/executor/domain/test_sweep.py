"""The tests of services/executor/domain/sweep.py."""

from collections.abc import Mapping
from dataclasses import replace

from services.executor.adapters.places import MemoryPlaces
from services.executor.adapters.state import open_state
from services.executor.domain.sweep import Sweep
from services.executor.ports import ExecutorState, PlaceRequest, Runtime
from tests.records import ENDED, EXECUTION, PLAN, REPLICA
from tests.scripted import ScriptedRuntime
from theory.core.errors import NotReady, Unavailable
from theory.core.execution import PlanState
from theory.core.ids import ExecutionId, PlanId


async def _places(*names: str) -> MemoryPlaces:
    places = MemoryPlaces()
    for name in names:
        await places.prepare(PlaceRequest(name, (), {}, 1, 1, in_memory=True), b"")
    return places


async def _state(state: PlanState = PlanState.RUNNING, *, scratch_ended: bool = False) -> ExecutorState:
    """One plan: an attempt of its first execution is under way."""
    opened = await open_state("memory:", REPLICA)
    await opened.add_plan(replace(PLAN, state=state, scratch_ended=scratch_ended), [EXECUTION, ENDED])
    return opened


async def _sweep(state: ExecutorState, places: MemoryPlaces, runtimes: Mapping[str, Runtime]) -> None:
    await Sweep(state=state, places=places, runtimes=runtimes).run()
    await state.close()


async def test_what_an_open_execution_claims_stays_and_all_else_goes() -> None:
    runtime, places = ScriptedRuntime(), await _places("p-1.probe.0-a1", "p-1.probe.0-a0", "p-1.report-a0", "p-0.x-a0")
    await _sweep(await _state(), places, {"process": runtime})
    assert runtime.kept == [frozenset({"p-1.probe.0-a1"})]
    assert list(places._held) == ["p-1.probe.0-a1"]


async def test_an_ended_plan_claims_nothing() -> None:
    runtime, places = ScriptedRuntime(), await _places("p-1.probe.0-a1")
    await _sweep(await _state(PlanState.FAILED, scratch_ended=True), places, {"process": runtime})
    assert (runtime.kept, places._held) == ([frozenset()], {})


async def test_a_runtime_that_does_not_answer_is_left_for_the_next_start() -> None:
    working, places = ScriptedRuntime(), await _places("p-0.x-a0")
    await _sweep(await _state(), places, {"local": _Down(), "process": working})
    assert working.kept == [frozenset({"p-1.probe.0-a1"})]
    assert places._held == {}


async def test_plans_of_many_executions_are_read_to_their_end() -> None:
    state, runtime = await open_state("memory:", REPLICA), ScriptedRuntime()
    records = [
        replace(EXECUTION, plan_id=PlanId("p-2"), execution_id=ExecutionId(f"p-2.probe.{n}"), ordinal=n, index=n)
        for n in range(1_001)
    ]
    await state.add_plan(replace(PLAN, plan_id=PlanId("p-2"), execution_count=1_001), records)
    await _sweep(state, MemoryPlaces(), {"process": runtime})
    assert runtime.kept == [frozenset(f"p-2.probe.{n}-a1" for n in range(1_001))]


class _Down(ScriptedRuntime):
    async def reap(self, keep: frozenset[str]) -> tuple[str, ...]:
        raise NotReady("ENGINE_DOWN", "no engine answers")


class _Busy(MemoryPlaces):
    async def sweep(self, keep: frozenset[str]) -> tuple[str, ...]:
        raise Unavailable("STORE_UNREACHABLE", f"a mount is busy; to be kept were {sorted(keep)}")


async def test_a_place_that_cannot_be_swept_holds_up_nothing() -> None:
    runtime = ScriptedRuntime()
    await _sweep(await _state(), _Busy(), {"process": runtime})
    assert len(runtime.kept) == 1
