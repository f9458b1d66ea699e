"""The tests of services/executor/domain/plan.py."""

import asyncio
from pathlib import Path

import grpc
import pytest

from tests.clocks import AskedClock
from tests.documents import ONCE, asks, plan, policy, step, tool
from tests.embedded import Embedded, embedded
from tests.scripted import Act, ScriptedRuntime, failing
from theory.api.executor.v1 import executor_pb2
from theory.api.executor.v1.executor_pb2_grpc import ExecutorServiceStub
from theory.core.adapters import QueuePublish
from theory.core.errors import Corrupt, NotFound, NotReady, TheoryError, Unavailable
from theory.core.ids import PlanId
from theory.core.plan import PlanSpec
from theory.sdk.plan_messages import spec_to_proto
from theory.sdk.rpc import unwrapped
from theory.sdk.volumes import VolumesClient

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_what_needs_a_failure_is_skipped_and_the_plan_fails(theory: Embedded) -> None:
    theory.runtime.scripts["b"] = failing()
    ran = await theory.run_plan(plan(step("a"), step("b", "a"), step("c", "b"), step("d", "c")))
    assert ran.states == {"a": "succeeded", "b": "failed", "c": "skipped", "d": "skipped"}
    assert ran.plan.state.value == "failed"
    assert ran.plan.failure is not None
    assert ran.plan.failure.reason == "EXECUTIONS_FAILED"
    assert ran.plan.failure.message == "3 of 4 executions did not succeed"
    skipped = ran["d"]
    assert skipped.failure is not None
    assert (skipped.failure.reason, skipped.failure.metadata) == ("NEED_FAILED", {"needs": "c"})
    assert (skipped.epoch, skipped.receipt_id, skipped.start_time) == (0, None, None)
    assert skipped.finish_time is not None
    await theory.check(ran.plan.plan_id)


async def test_branches_that_need_nothing_of_a_failure_go_on(theory: Embedded) -> None:
    theory.runtime.scripts["a"] = failing()
    ran = await theory.run_plan(plan(step("a"), step("b", "a"), step("c"), step("d", "c")))
    assert ran.states == {"a": "failed", "b": "skipped", "c": "succeeded", "d": "succeeded"}


async def test_the_first_failure_of_a_fan_out_skips_what_needs_it_and_the_others_end(theory: Embedded) -> None:
    hold = asyncio.Event()
    theory.runtime.scripts |= {"each.1": failing(), "each.0": Act(hold=hold), "each.2": Act(hold=hold)}
    submitted = await theory.submit(plan(step("each", for_each=[{"n": n} for n in range(3)]), step("sum", "each")))
    await theory.until(submitted.plan_id, "sum", "skipped")
    hold.set()
    ran = await theory.ended(submitted.plan_id)
    assert ran.states == {"each.0": "succeeded", "each.1": "failed", "each.2": "succeeded", "sum": "skipped"}


async def test_a_fan_out_runs_once_per_item_each_in_a_folder_of_its_own(theory: Embedded) -> None:
    items = [{"n": n} for n in range(3)]
    summing = step("sum", "each", reads=["/artifacts/outputs/each/**"])
    ran = await theory.run_plan(plan(step("each", for_each=items, inputs={"n": "${item.n}"}), summing))
    assert ran.states == {"each.0": "succeeded", "each.1": "succeeded", "each.2": "succeeded", "sum": "succeeded"}
    assert [theory.runtime.contexts[f"each.{n}-a0"].inputs for n in range(3)] == items
    paths = [each.outputs[0].path.text for each in ran.executions[:3]]
    assert paths == [f"/artifacts/outputs/each/{n}/out.json" for n in range(3)]
    [receipt] = [each for each in await theory.receipts(ran.plan.plan_id) if each.execution_id.endswith(".sum")]
    read = receipt.document["input_cids"]
    assert isinstance(read, list)
    assert [each["path"] for each in read if isinstance(each, dict)] == paths


async def test_a_need_is_released_by_the_commit_and_not_before(theory: Embedded) -> None:
    async with theory.faults.holding("world.commit") as held:
        submitted = await theory.submit(plan(step("a"), step("b", "a")))
        await held.arrived.wait()
        assert theory.reached[-1] == "settled"
        assert theory.runtime.invoked == ["a-a0"]
        assert (await theory.execution(submitted.plan_id, "b")).state.value == "waiting"
    assert (await theory.ended(submitted.plan_id)).states == {"a": "succeeded", "b": "succeeded"}


async def test_files_are_bound_before_the_first_transition(theory: Embedded) -> None:
    ran = await theory.run_plan(plan(step(reads=["/artifacts/inputs/**"]), files=await theory.upload(a=b"a", b=b"b")))
    assert theory.faults.calls.index("world.bind_files") < theory.faults.calls.index("ledger.claim")
    await theory.until_events(ran.plan.plan_id, "artifact.written", 3)
    assert [event.kind for event in await theory.events(ran.plan.plan_id)][:2] == ["budget.opened", "plan.submitted"]
    bound = [each.path.text async for each in theory.theory.artifacts.list(ran.plan.world)]
    assert bound[:2] == ["/artifacts/inputs/a", "/artifacts/inputs/b"]


async def test_a_plan_that_cannot_begin_fails_and_leaves_nothing_open(theory: Embedded) -> None:
    """I-93: an ended plan has no open execution."""
    world = "shared-inputs"
    await theory.run_plan(plan(step(), world=world, files=await theory.upload(a=b"one")))
    theory.forget()
    document = plan(step("x"), step("y", "x"), world=world, files=await theory.upload(a=b"two"))
    ran = await theory.run_plan(document)
    assert (ran.plan.state.value, ran.states) == ("failed", {"x": "skipped", "y": "skipped"})
    assert ran.plan.failure is not None
    assert (ran.plan.failure.reason, ran.plan.failure.metadata["path"]) == ("PATH_BOUND", "/artifacts/inputs/a")
    assert theory.runtime.invoked == []
    assert [event.kind for event in await theory.events(ran.plan.plan_id)][-1] == "plan.failed"
    await theory.check(ran.plan.plan_id)


async def test_a_plan_whose_snapshot_is_gone_ends_with_its_scratch(theory: Embedded) -> None:
    gone = [NotFound("SNAPSHOT_UNKNOWN", "gone", snapshot_id="sha256:0") for _ in range(2)]
    theory.faults.refuse("registry.snapshot", *gone)
    async with theory.faults.holding("scratch.end_plan") as held:
        ran = await theory.run_plan(plan(step("a"), step("b", "a")))
        async with asyncio.timeout(5):
            await held.arrived.wait()
    assert ran.plan.failure is not None
    assert (ran.plan.failure.reason, ran.states) == ("SNAPSHOT_UNKNOWN", {"a": "skipped", "b": "skipped"})


async def test_two_plans_share_a_world_that_both_name(theory: Embedded) -> None:
    await theory.run_plan(plan(step("a"), world="shared-both"))
    ran = await theory.run_plan(plan(step("b", reads=["/artifacts/outputs/a/**"]), world="shared-both"))
    assert ran.states == {"b": "succeeded"}


@pytest.mark.slow
async def test_a_plan_outlives_the_call_that_submitted_it(theory: Embedded) -> None:
    hold = asyncio.Event()
    theory.runtime.scripts["step"] = Act(hold=hold)
    request = executor_pb2.SubmitPlanRequest(request_id="brief", spec=spec_to_proto(PlanSpec.parse(plan(step()))))
    deadline_s = 0.2
    submitted = await ExecutorServiceStub(theory.channel()).SubmitPlan(request, timeout=deadline_s)
    await theory.runtime.until_running(1)
    async with theory.faults.holding("registry.create_snapshot"):  # nobody answers this one: so passes the time
        again = executor_pb2.SubmitPlanRequest(request_id="late", spec=request.spec)
        with pytest.raises(grpc.aio.AioRpcError):
            await ExecutorServiceStub(theory.channel()).SubmitPlan(again, timeout=deadline_s)
    hold.set()
    async with asyncio.timeout(5):
        ran = await theory.ended(PlanId.parse(submitted.plan.plan_id))
    assert ran.states == {"step": "succeeded"}


async def test_a_watch_that_is_left_leaves_the_plan_alone(theory: Embedded) -> None:
    hold = asyncio.Event()
    theory.runtime.scripts["step"] = Act(hold=hold)
    submitted = await theory.submit(plan(step()))
    watching = asyncio.create_task(theory.follow(submitted.plan_id))
    await theory.runtime.until_running(1)
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
    hold.set()
    assert (await theory.ended(submitted.plan_id)).states == {"step": "succeeded"}


async def test_the_scratch_of_a_plan_ends_with_it(theory: Embedded) -> None:
    hold = asyncio.Event()
    theory.runtime.scripts["step"] = Act(hold=hold)
    submitted = await theory.submit(plan(step()))
    plan_id = submitted.plan_id.text
    await theory.theory.kv.put(plan_id=plan_id, key="k", value=b"v")
    unwrapped(await theory.theory.queue.publish_many(plan_id, "t", [QueuePublish(b"m")]))
    async with theory.faults.holding("scratch.end_plan") as held:
        hold.set()
        await theory.ended(submitted.plan_id)
        await held.arrived.wait()
        assert await theory.theory.kv.get(plan_id=plan_id, key="k") == b"v"
        seq = (await theory.theory.executor.get_plan(submitted.plan_id)).seq
    async with asyncio.timeout(5):
        while (await theory.theory.executor.get_plan(submitted.plan_id)).seq == seq:
            continue
    assert await theory.theory.kv.get(plan_id=plan_id, key="k") is None
    assert await theory.theory.queue.consume(plan_id=plan_id, topic="t") == []


@pytest.mark.slow
async def test_scratch_begins_before_the_first_execution_and_makes_the_events_of_the_policy(theory: Embedded) -> None:
    await theory.publish(policy("told@1", scratch={"events": "all"}), policy("half@1", scratch={"events": 2}))
    for ref, every in (("told@1", 1), ("half@1", 2), (ONCE, 0)):
        theory.forget()
        hold = asyncio.Event()
        theory.runtime.scripts["step"] = Act(hold=hold)
        submitted = await theory.submit(plan(step(), policy=ref))
        await theory.runtime.until_running(1)
        assert theory.faults.calls.index("scratch.begin_plan") < theory.faults.calls.index("ledger.claim")
        plan_id = submitted.plan_id.text
        for name in ("a", "b"):
            await theory.theory.kv.put(plan_id=plan_id, key=name, value=b"v")
            await theory.theory.queue.publish(plan_id=plan_id, topic=name, body=b"m")
        hold.set()
        await theory.ended(submitted.plan_id)
        count = 2 // every if every else 0
        changed = await theory.until_events(submitted.plan_id, "scratch.kv.changed", count)
        published = await theory.until_events(submitted.plan_id, "scratch.queue.published", count)
        assert [each.body["key"] for each in changed] == ["a", "b"][2 - count :]
        assert [each.body["topic"] for each in published] == ["a", "b"][2 - count :]


async def test_volumes_end_with_their_plan(theory: Embedded) -> None:
    hold = asyncio.Event()
    theory.runtime.scripts["step"] = Act(hold=hold)
    submitted = await theory.submit(plan(step(), policy=ONCE))
    volumes = VolumesClient(theory.channel())
    await volumes.create(plan_id=submitted.plan_id.text, name="shared")
    hold.set()
    await theory.ended(submitted.plan_id)
    async with asyncio.timeout(5):
        while await volumes.list(plan_id=submitted.plan_id.text):
            continue
    with pytest.raises(NotReady):
        await volumes.create(plan_id=submitted.plan_id.text, name="shared")


@pytest.mark.slow
async def test_scratch_stays_as_long_as_the_policy_says(tmp_path: Path) -> None:
    clock = AskedClock()
    async with embedded(tmp_path, clock=clock, publish=[tool(), policy("kept@1", scratch={"keep_s": 90})]) as theory:
        ran = await theory.run_plan(plan(step(), policy="kept@1"))
        await clock.until_asked(90)
        clock.advance(89)
        assert "scratch.end_plan" not in theory.faults.calls
        async with theory.faults.holding("scratch.end_plan") as held:
            clock.advance(1)
            await held.arrived.wait()
        assert ran.plan.state.value == "succeeded"


async def test_a_plan_that_breaks_ends_and_so_does_all_of_it(theory: Embedded) -> None:
    """I-93: an ended plan has no open execution."""
    await theory.publish(tool("test/paid@1", admission=[asks(5)]))
    hold = asyncio.Event()
    theory.runtime.scripts["b"] = Act(hold=hold)
    theory.faults.refuse("world.commit", Corrupt("STORE_CORRUPT", "the store is damaged"))
    theory.faults.lose("world.commit", Corrupt("STORE_CORRUPT", "the store is damaged"))
    first, second = step("a", processor="test/paid@1"), step("b", processor="test/paid@1")
    ran = await theory.run_plan(plan(first, second, step("c", "b")))
    assert ran.plan.failure is not None
    assert ran.plan.failure.reason == "STORE_CORRUPT"
    assert ran.states == {"a": "failed", "b": "failed", "c": "skipped"}
    outcomes = {each.execution_id.rpartition(".")[2]: each.outcome for each in await theory.receipts(ran.plan.plan_id)}
    assert outcomes == {"a": "succeeded", "b": "failed"}
    budget = await theory.theory.ledger.get_budget(ran.plan.plan_id)
    assert budget.reserved_usd_micro == 0
    await theory.check(ran.plan.plan_id)
    await theory.runtime.end()


@pytest.mark.slow
async def test_a_plan_goes_on_where_an_earlier_process_left_it(tmp_path: Path) -> None:
    """I-94: what was recorded is carried out."""
    runtime, hold = ScriptedRuntime(), asyncio.Event()
    runtime.scripts["b"] = Act(hold=hold, files={"/artifacts/outputs/b/f": b"b"})
    async with embedded(tmp_path, runtime=runtime, memory=False) as theory:
        submitted = await theory.submit(plan(step("a"), step("b", "a"), step("c", "b")))
        await runtime.until_running(1)
        await theory.until(submitted.plan_id, "b", "running")
        runtime.stays = True
    runtime.stays = False
    async with embedded(tmp_path, runtime=runtime, memory=False) as theory:
        name = f"{submitted.plan_id}.b-a0"
        assert runtime.kept[-1] == frozenset({name})
        hold.set()
        ran = await theory.ended(submitted.plan_id)
        assert ran.states == {"a": "succeeded", "b": "succeeded", "c": "succeeded"}
        assert runtime.invoked == ["a-a0", "b-a0", "c-a0"]
        assert [each.epoch for each in ran.executions] == [1, 1, 1]
        await theory.check(submitted.plan_id)


@pytest.mark.slow
async def test_what_is_submitted_during_the_sweep_begins_after_it(tmp_path: Path) -> None:
    runtime = _SlowSweep()

    async with embedded(tmp_path, memory=False) as theory:
        await theory.publish(tool())
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:

        async def submit() -> None:
            await runtime.sweeping.wait()
            stub = ExecutorServiceStub(grpc.aio.insecure_channel(f"unix://{tmp_path}/theory.sock"))
            request = executor_pb2.SubmitPlanRequest(
                request_id="early", spec=spec_to_proto(PlanSpec.parse(plan(step())))
            )
            await stub.SubmitPlan(request, timeout=10, wait_for_ready=True)
            assert runtime.invoked == []
            runtime.swept.set()

        tasks.create_task(submit())
        async with embedded(tmp_path, runtime=runtime, memory=False) as theory:
            known = [each async for each in theory.theory.executor.list_plans()]
            assert (await theory.ended(known[0].plan_id)).states == {"step": "succeeded"}


class _SlowSweep(ScriptedRuntime):
    def __init__(self) -> None:
        super().__init__()
        self.sweeping, self.swept = asyncio.Event(), asyncio.Event()

    async def reap(self, keep: frozenset[str]) -> tuple[str, ...]:
        self.sweeping.set()
        await self.swept.wait()
        return await super().reap(keep)


@pytest.mark.slow
async def test_a_ledger_that_is_away_for_long_does_not_fail_a_plan(theory: Embedded) -> None:
    away: list[TheoryError] = [Unavailable("SERVICE_UNREACHABLE", "away") for _ in range(4)]
    theory.faults.refuse("ledger.settle", *away)
    assert (await theory.run_plan(plan(step()))).states == {"step": "succeeded"}


@pytest.mark.slow
async def test_a_plan_that_fits_into_no_message_is_watched_and_listed(theory: Embedded) -> None:
    theory.runtime.scripts["step"] = Act(log="x" * 16_384)
    submitted = await theory.submit(plan(step(for_each=[{"n": n} for n in range(600)])))
    ran = await theory.ended(submitted.plan_id)
    assert len(ran.executions) == 600
    told = await theory.follow(submitted.plan_id)
    assert len(told) > 1
    assert {each.execution_id for change in told for each in change.executions} == {
        each.execution_id for each in ran.executions
    }
