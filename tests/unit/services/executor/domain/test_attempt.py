"""The tests of services/executor/domain/attempt.py."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest

from services.resources.secrets.adapters import MODULE_BY_SCHEME
from tests import references
from tests.clocks import AskedClock
from tests.documents import asks, plan, policy, predicate, step, tool
from tests.embedded import Embedded, embedded
from tests.scripted import Act, ScriptedRuntime, failing
from theory.core.errors import Conflict, NotFound, Unavailable
from theory.core.ids import ExecutionId
from theory.core.receipt import AttemptOutcome
from theory.core.settle import ClaimRequest, SettleRequest
from theory.core.spec import MOST_LOSSES
from theory.core.world_path import WorldName, WorldPath
from theory.sdk.ledger import LedgerClient
from theory.sdk.views import PlanView
from theory.wire.identity import Role

pytestmark = pytest.mark.asyncio(loop_scope="module")

_AWAY = Unavailable("SERVICE_UNREACHABLE", "away")
_STEPS = ["claimed", "recorded", "placed", "exited", "collected", "prepared", "settled", "committed", "saved"]


def _ledger(theory: Embedded) -> LedgerClient:
    """The ledger as another executor would see it."""
    return LedgerClient(theory.channel(Role.EXECUTOR))


def _execution_of(submitted: PlanView) -> ExecutionId:
    return ExecutionId.parse(f"{submitted.plan_id}.step")


async def _settle_failed(theory: Embedded, submitted: PlanView, epoch: int) -> str:
    """Settle the first attempt of `step` for good; the receipt's id."""
    request = SettleRequest(
        submitted.plan_id, _execution_of(submitted), epoch, 0, AttemptOutcome.FAILED, final=True, cost_usd_micro=0
    )
    return (await _ledger(theory).settle(request)).receipt.receipt_id


async def test_the_steps_of_an_attempt_follow_each_other(theory: Embedded) -> None:
    await theory.run_plan(plan(step(reads=["/artifacts/inputs/**"]), files=await theory.upload(a=b"a")))
    assert theory.reached == ["opened", *_STEPS, "finishing"]
    effects = ["world.listing", "ledger.claim", "world.put", "world.prepare", "ledger.settle", "world.commit"]
    assert [each for each in theory.faults.calls if each in effects] == effects


async def test_an_attempt_gets_what_its_transition_says(theory: Embedded) -> None:
    ran = await theory.run_plan(plan(step(inputs={"title": "x"}), seed=77))
    given = theory.runtime.contexts["step-a0"]
    assert (given.plan_id, given.execution_id) == (ran.plan.plan_id.text, f"{ran.plan.plan_id}.step")
    assert (given.attempt_idx, given.seed, given.inputs) == (0, 77, {"title": "x"})
    assert [each.text for each in given.write_set_resolved] == ["/artifacts/outputs/step/**"]
    assert given.write_prefix == "/artifacts/outputs/step/"
    assert given.registry_snapshot.snapshot_id == ran.plan.snapshot_id
    assert given.memo_key == ran["step"].memo.memo_key if ran["step"].memo else None


async def test_a_reservation_is_part_of_what_an_attempt_is_given(theory: Embedded) -> None:
    await theory.publish(tool("test/paid@1", admission=[asks(70)]))
    ran = await theory.run_plan(plan(step(processor="test/paid@1")))
    receipt = theory.runtime.contexts["step-a0"].budget_reserved
    assert receipt is not None
    assert receipt.document["usd_micro"] == 70
    assert [each.receipt_id for each in await theory.receipts(ran.plan.plan_id, "reserve")] == [receipt.receipt_id]
    await theory.check(ran.plan.plan_id)


async def test_a_tool_that_only_reads_reserves_nothing(theory: Embedded) -> None:
    await theory.publish(tool("test/look@1", admission=[asks(70)], runtime={"read_only_tool": True}))
    ran = await theory.run_plan(plan(step(processor="test/look@1"), budget={"max_usd_micro": 0}))
    assert ran.states == {"step": "succeeded"}
    assert await theory.receipts(ran.plan.plan_id, "reserve") == []


async def test_what_a_processor_does_not_ask_for_is_the_policys(theory: Embedded) -> None:
    await theory.publish(policy("careful@1", budget={"default_required_usd_micro": 30}))
    ran = await theory.run_plan(plan(step(), policy="careful@1"))
    [receipt] = await theory.receipts(ran.plan.plan_id, "reserve")
    assert receipt.document["usd_micro"] == 30


async def test_a_result_is_used_again(theory: Embedded) -> None:
    first = (await theory.run_plan(plan(step(), seed=0)))["step"]
    theory.forget()
    ran = await theory.run_plan(plan(step(), seed=0))
    again = ran["step"]
    assert theory.runtime.invoked == []
    assert theory.reached == ["opened", "reuse_prepared", "reuse_settled", "committed", "saved", "finishing"]
    assert (again.outputs, again.named_outputs, again.cost_usd_micro) == (first.outputs, first.named_outputs, 0)
    assert again.memo is not None
    assert (again.memo.hit, again.memo.source_execution_id) == (True, first.execution_id)
    [receipt] = await theory.receipts(ran.plan.plan_id)
    assert receipt.document["memo_of"] == {
        "plan_id": first.plan_id.text,
        "execution_id": first.execution_id.text,
        "receipt_id": first.receipt_id,
    }
    [hit] = [event for event in await theory.events(ran.plan.plan_id) if event.kind == "memo.hit"]
    assert hit.body["source_receipt_id"] == first.receipt_id
    assert await theory.theory.artifacts.get_bytes(ran.plan.world, again.outputs[0].path)


async def test_a_miss_names_what_is_new(theory: Embedded) -> None:
    await theory.publish(tool("test/named@1"))

    async def differences(value: int, data: bytes, seed: int = 0) -> tuple[str, ...]:
        transition = step(processor="test/named@1", inputs={"n": value}, reads=["/artifacts/inputs/a"])
        ran = await theory.run_plan(plan(transition, seed=seed, files=await theory.upload(a=data)))
        memo = ran["step"].memo
        assert memo is not None
        assert not memo.hit
        return memo.differences

    assert await differences(1, b"one") == ()
    assert await differences(2, b"one") == ("inputs:n",)
    assert await differences(1, b"two") == ("input_cids:/artifacts/inputs/a",)
    assert await differences(1, b"one", seed=1) == ("seed",)


async def test_a_failure_is_not_remembered(theory: Embedded) -> None:
    theory.runtime.scripts["step"] = failing(AttemptOutcome.OOM)
    first = await theory.run_plan(plan(step(), seed=1_000_001))
    theory.runtime.scripts.clear()
    again = await theory.run_plan(plan(step(), seed=1_000_001))
    assert (first.states, again.states) == ({"step": "failed"}, {"step": "succeeded"})
    assert again["step"].memo is not None
    assert not again["step"].memo_hit


async def test_of_identical_executions_one_runs(theory: Embedded) -> None:
    hold = asyncio.Event()
    theory.runtime.scripts["step"] = Act(hold=hold)
    document = plan(step())
    submitted = [await theory.submit(document) for _ in range(4)]
    await theory.runtime.until_running(1)
    hold.set()
    ran = [await theory.ended(each.plan_id) for each in submitted]
    assert theory.runtime.invoked == ["step-a0"]
    assert sorted(each["step"].memo_hit for each in ran) == [False, True, True, True]


async def test_what_shares_a_volume_is_not_remembered_and_waits_for_nobody(theory: Embedded) -> None:
    hold = asyncio.Event()
    theory.runtime.scripts["step"] = Act(hold=hold)
    document = plan(step(volumes=["shared"]))
    both = [await theory.submit(document) for _ in range(2)]
    await theory.runtime.until_running(2)
    hold.set()
    for submitted in both:
        ran = await theory.ended(submitted.plan_id)
        assert (ran.states, ran["step"].memo) == ({"step": "succeeded"}, None)
    alone = await theory.run_plan({**document, "transitions": [step()]})
    assert alone["step"].memo is not None
    assert alone["step"].memo.hit is False
    assert await theory.run_plan(document) is not None
    assert len(theory.runtime.invoked) == 4


@pytest.mark.slow
async def test_what_uses_a_secret_whose_change_nobody_can_tell_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I-104: with an empty tag a rotation cannot be seen."""
    monkeypatch.setitem(cast("dict[str, str]", MODULE_BY_SCHEME), references.SCHEME, references.__name__)
    publish = [tool(required=["TOKEN"]), tool("test/open@1")]
    async with embedded(tmp_path, publish=publish, secrets_url=f"{references.SCHEME}:") as theory:
        for _ in range(2):
            ran = await theory.run_plan(plan(step("a"), step("b", processor="test/open@1"), seed=5))
            assert ran.states == {"a": "succeeded", "b": "succeeded"}
            assert ran["a"].memo is None
        assert sorted(theory.runtime.invoked) == ["a-a0", "a-a0", "b-a0"]
        assert ran["b"].memo_hit
        [receipt] = [each for each in await theory.receipts(ran.plan.plan_id) if each.execution_id.endswith(".a")]
        assert receipt.document["secret_names"] == ["TOKEN"]
        await theory.check(ran.plan.plan_id)


async def test_if_the_one_fails_the_next_tries(theory: Embedded) -> None:
    hold = asyncio.Event()
    acts = iter([failing(AttemptOutcome.OOM, hold=hold), Act()])
    theory.runtime.scripts["step"] = lambda _: next(acts)
    document = plan(step())
    submitted = [await theory.submit(document) for _ in range(2)]
    await theory.runtime.until_running(1)
    hold.set()
    states = [(await theory.ended(each.plan_id)).states["step"] for each in submitted]
    assert sorted(states) == ["failed", "succeeded"]


async def test_a_result_whose_bytes_are_gone_is_made_again(theory: Embedded) -> None:
    document = plan(step())
    await theory.run_plan(document)
    theory.forget()
    theory.faults.refuse("world.prepare", NotFound("BLOB_UNKNOWN", "gone"))
    ran = await theory.run_plan(document)
    assert (ran.states, theory.runtime.invoked) == ({"step": "succeeded"}, ["step-a0"])
    assert not ran["step"].memo_hit
    await theory.check(ran.plan.plan_id)


async def test_a_result_that_cannot_be_bound_fails_its_execution(theory: Embedded) -> None:
    world = WorldName.parse("shared-taken")
    await theory.theory.artifacts.put_bytes(world, WorldPath.parse("/artifacts/outputs/step/out.json"), b"other")
    document = plan(step())
    await theory.run_plan(document)
    ran = await theory.run_plan({**document, "world": world.text})
    assert ran["step"].failure is not None
    assert (ran["step"].failure.reason, ran["step"].outcome) == ("PATH_BOUND", AttemptOutcome.INVALID_OUTPUT)
    assert theory.runtime.invoked == ["step-a0"]
    await theory.check(ran.plan.plan_id)


async def test_a_fence_while_a_result_is_reused_is_no_failure(theory: Embedded) -> None:
    document = plan(step())
    await theory.run_plan(document)
    theory.faults.refuse("world.prepare", Conflict("EPOCH_FENCED", "too late", epoch="1", current_epoch="2"))
    ran = await theory.run_plan(document)
    assert (ran["step"].memo_hit, ran["step"].epoch, ran.states) == (True, 2, {"step": "succeeded"})


@pytest.mark.slow
async def test_of_identical_executions_one_runs_after_a_restart_too(tmp_path: Path) -> None:
    runtime, hold, document = ScriptedRuntime(), asyncio.Event(), plan(step())
    runtime.scripts["step"] = Act(hold=hold)
    async with embedded(tmp_path, runtime=runtime, memory=False) as theory:
        first = await theory.submit(document)
        await theory.until(first.plan_id, "step", "running")
        second = await theory.submit(document)
        runtime.stays = True
    async with embedded(tmp_path, runtime=runtime, memory=False) as theory:
        await runtime.until_running(1)
        hold.set()
        hits = [(await theory.ended(each.plan_id))["step"].memo_hit for each in (first, second)]
        assert (hits, runtime.invoked) == ([False, True], ["step-a0"])


@pytest.mark.slow
async def test_those_that_wait_for_what_ran_before_a_restart_take_no_slot_from_it(tmp_path: Path) -> None:
    runtime, hold, document = ScriptedRuntime(), asyncio.Event(), plan(step())
    runtime.scripts["step"] = Act(hold=hold)
    async with embedded(tmp_path, runtime=runtime, memory=False, max_in_flight=1) as theory:
        plans = [await theory.submit(document) for _ in range(5)]
        await runtime.until_running(1)
        runtime.stays = True
    async with embedded(tmp_path, runtime=runtime, memory=False, max_in_flight=1) as theory:
        hold.set()
        hits = [(await theory.ended(each.plan_id))["step"].memo_hit for each in plans]
        assert (sorted(hits), runtime.invoked) == ([False, True, True, True, True], ["step-a0"])


async def test_admission_comes_before_the_claim(theory: Embedded) -> None:
    await theory.publish(tool("test/gated@1", admission=[predicate("artifact.exists@1", path="/artifacts/inputs/key")]))
    ran = await theory.run_plan(plan(step(processor="test/gated@1")))
    refused = ran["step"]
    assert refused.failure is not None
    assert (refused.outcome, refused.failure.reason) == (AttemptOutcome.PREDICATE_REFUSED, "PREDICATE_REFUSED")
    assert refused.failure.metadata == {"predicate": "artifact.exists@1", "path": "/artifacts/inputs/key"}
    assert theory.runtime.invoked == []
    assert "claimed" not in theory.reached
    [receipt] = await theory.receipts(ran.plan.plan_id)
    assert (receipt.final, receipt.receipt_id) == (True, refused.receipt_id)


async def test_a_budget_that_is_spent_refuses_the_next_claim(theory: Embedded) -> None:
    await theory.publish(tool("test/dear@1", admission=[asks(60)]))
    theory.runtime.scripts["a"] = Act(reported=50)
    first, second = step("a", processor="test/dear@1"), step("b", "a", processor="test/dear@1")
    ran = await theory.run_plan(plan(first, second, budget={"max_usd_micro": 100}))
    refused = ran["b"]
    assert ran.states == {"a": "succeeded", "b": "failed"}
    assert refused.failure is not None
    assert refused.failure.reason == "BUDGET_INSUFFICIENT"
    assert refused.failure.metadata == {"available_usd_micro": "50", "required_usd_micro": "60"}
    budget = await theory.theory.ledger.get_budget(ran.plan.plan_id)
    assert (budget.spent_usd_micro, budget.reserved_usd_micro) == (50, 0)
    assert theory.runtime.invoked == ["a-a0"]
    await theory.check(ran.plan.plan_id)


async def test_a_fenced_attempt_is_claimed_anew(theory: Embedded) -> None:
    await theory.publish(tool("test/slow@1", admission=[asks(10)]), policy("swift@1"))
    hold = asyncio.Event()
    theory.runtime.scripts["step"] = Act(hold=hold, files={"/artifacts/outputs/step/a": b"a"})
    submitted = await theory.submit(plan(step(processor="test/slow@1"), policy="swift@1"))
    await theory.runtime.until_running(1)
    resolution = await _ledger(theory).resolve(_execution_of(submitted), 1)
    assert resolution.fenced
    hold.set()
    ran = await theory.ended(submitted.plan_id)
    ended = ran["step"]
    assert (ended.state.value, ended.attempt_idx, ended.epoch) == ("succeeded", 1, 2)
    assert theory.runtime.invoked == ["step-a0", "step-a1"]
    assert [each.outcome for each in await theory.receipts(submitted.plan_id)] == ["lost", "succeeded"]
    await theory.check(submitted.plan_id)


async def test_the_receipt_of_an_earlier_settlement_wins(theory: Embedded) -> None:
    hold = asyncio.Event()
    theory.runtime.scripts["step"] = Act(hold=hold, files={"/artifacts/outputs/step/a": b"a"})
    submitted = await theory.submit(plan(step()))
    await theory.runtime.until_running(1)
    earlier = await _settle_failed(theory, submitted, epoch=1)
    hold.set()
    ran = await theory.ended(submitted.plan_id)
    assert (ran.states, ran["step"].receipt_id) == ({"step": "failed"}, earlier)
    assert ran["step"].outputs == ()
    assert "world.abort" in theory.faults.calls
    assert [each async for each in theory.theory.artifacts.list(ran.plan.world)] == []


async def test_a_claim_of_a_settled_execution_runs_nothing(theory: Embedded) -> None:
    async with theory.faults.holding("ledger.claim") as held:
        submitted = await theory.submit(plan(step()))
        await held.arrived.wait()
        claimed = await _ledger(theory).claim(ClaimRequest(submitted.plan_id, _execution_of(submitted), 0, 0))
        earlier = await _settle_failed(theory, submitted, claimed.epoch)
    ran = await theory.ended(submitted.plan_id)
    assert (ran.states, ran["step"].receipt_id) == ({"step": "failed"}, earlier)
    assert theory.runtime.invoked == []


@pytest.mark.parametrize("method", ["ledger.claim", "world.prepare", "ledger.settle", "world.commit"])
async def test_an_answer_that_is_lost_is_asked_for_again(theory: Embedded, method: str) -> None:
    await theory.publish(tool("test/paid@2", admission=[asks(70)]))
    theory.faults.lose(method, _AWAY)
    ran = await theory.run_plan(plan(step(processor="test/paid@2")))
    assert ran.states == {"step": "succeeded"}
    assert theory.faults.calls.count(method) == 2
    assert theory.runtime.invoked == ["step-a0"]
    assert (await theory.theory.ledger.get_budget(ran.plan.plan_id)).reserved_usd_micro == 0
    await theory.check(ran.plan.plan_id)


@pytest.mark.parametrize(
    "method",
    ["registry.snapshot", "ledger.open_budget", "ledger.append", "world.bind_files", "world.listing", "world.stat",
     "ledger.claim", "world.put", "world.prepare", "ledger.settle", "world.commit", "scratch.end_plan"],
)  # fmt: skip
async def test_a_peer_that_was_away_costs_an_execution_nothing_but_time(theory: Embedded, method: str) -> None:
    theory.faults.refuse(method, _AWAY)
    reads = ["/artifacts/inputs/a", "/artifacts/inputs/**"]
    ran = await theory.run_plan(plan(step(reads=reads), files=await theory.upload(a=b"a")))
    assert ran.states == {"step": "succeeded"}
    assert theory.runtime.invoked == ["step-a0"]


@pytest.mark.slow
async def test_failures_are_tried_again_as_the_policy_says(tmp_path: Path) -> None:
    clock = AskedClock()
    retry = {"max_attempts": 3, "backoff_ms": [1100, 7000], "on": ["failed", "timed_out"]}
    async with embedded(tmp_path, clock=clock, publish=[tool(), policy("again@1", retry=retry)]) as theory:
        theory.runtime.scripts["step"] = [failing(), failing(AttemptOutcome.TIMED_OUT), Act()]
        submitted = await theory.submit(plan(step(), policy="again@1"))
        for attempts, pause_s in ((1, 1.1), (2, 7.0)):
            await clock.until_asked(pause_s)
            waiting = await theory.execution(submitted.plan_id, "step")
            assert (waiting.state.value, waiting.attempt_idx) == ("queued", attempts)
            assert waiting.failure is not None
            clock.advance(pause_s - 0.001)
            assert len(theory.runtime.invoked) == attempts
            clock.advance(0.001)
        ran = await theory.ended(submitted.plan_id)
        assert theory.runtime.invoked == ["step-a0", "step-a1", "step-a2"]
        assert (ran.states, ran["step"].attempt_idx, ran["step"].failure) == ({"step": "succeeded"}, 2, None)
        receipts = [(each.outcome, each.final) for each in await theory.receipts(submitted.plan_id)]
        assert receipts == [("failed", False), ("timed_out", False), ("succeeded", True)]
        await theory.check(submitted.plan_id)


async def test_a_failure_that_the_policy_does_not_name_is_final(theory: Embedded) -> None:
    await theory.publish(policy("again@2", retry={"max_attempts": 3, "on": ["timed_out"]}))
    theory.runtime.scripts["step"] = failing()
    ran = await theory.run_plan(plan(step(), policy="again@2"))
    assert (ran.states, theory.runtime.invoked) == ({"step": "failed"}, ["step-a0"])


async def test_the_last_attempt_is_final(theory: Embedded) -> None:
    await theory.publish(policy("again@3", retry={"max_attempts": 2, "backoff_ms": [0]}))
    theory.runtime.scripts["step"] = failing(reported=1)
    ran = await theory.run_plan(plan(step(), policy="again@3"))
    assert theory.runtime.invoked == ["step-a0", "step-a1"]
    assert ran["step"].failure is not None
    assert ran["step"].failure.reason == "PROCESSOR_FAILED"
    assert [each.final for each in await theory.receipts(ran.plan.plan_id)] == [False, True]


@pytest.mark.slow
async def test_who_pauses_lets_others_run(tmp_path: Path) -> None:
    clock = AskedClock()
    slow = policy("slow@1", retry={"max_attempts": 2, "backoff_ms": [3_600_000], "on": ["failed"]})
    async with embedded(tmp_path, clock=clock, max_in_flight=1, publish=[tool(), slow]) as theory:
        theory.runtime.scripts["a"] = [failing(), Act()]
        submitted = await theory.submit(plan(step("a"), step("b"), policy="slow@1"))
        await clock.until_asked(3600.0)
        await theory.until(submitted.plan_id, "b", "succeeded")
        assert theory.runtime.invoked == ["a-a0", "b-a0"]
        clock.advance(3600)
        assert (await theory.ended(submitted.plan_id)).states == {"a": "succeeded", "b": "succeeded"}


@pytest.mark.slow
async def test_no_more_run_at_once_than_the_executor_may(tmp_path: Path) -> None:
    async with embedded(tmp_path, max_in_flight=2) as theory:
        hold = asyncio.Event()
        theory.runtime.scripts["step"] = Act(hold=hold)
        submitted = await theory.submit(plan(step(for_each=[{"n": n} for n in range(5)])))
        await theory.runtime.until_running(2)
        hold.set()
        ran = await theory.ended(submitted.plan_id)
        assert set(ran.states.values()) == {"succeeded"}
        assert theory.runtime.most_at_once == 2


async def test_rates_and_what_was_reported_are_the_cost(theory: Embedded) -> None:
    rates = {"usd_micro_per_cpu_s": 10, "usd_micro_per_gb_s": 1}
    await theory.publish(policy("rated@1", rates=rates, retry={"max_attempts": 2, "backoff_ms": [0], "on": ["lost"]}))
    theory.runtime.scripts["step"] = [failing(AttemptOutcome.LOST, took_s=2), Act(took_s=3, reported=7)]
    ran = await theory.run_plan(plan(step(), policy="rated@1"))
    budgets = [each.document["budget"] for each in await theory.receipts(ran.plan.plan_id)]
    assert [each["spent_usd_micro"] for each in budgets if isinstance(each, Mapping)] == [22, 40]
    assert ran["step"].cost_usd_micro == 62
    assert (await theory.theory.ledger.get_budget(ran.plan.plan_id)).spent_usd_micro == 62


async def test_what_the_cap_does_not_admit_is_part_of_the_cost(theory: Embedded) -> None:
    theory.runtime.scripts["step"] = Act(reported=500)
    ran = await theory.run_plan(plan(step(), budget={"max_usd_micro": 100}))
    budget = await theory.theory.ledger.get_budget(ran.plan.plan_id)
    assert (budget.spent_usd_micro, budget.debt_usd_micro, ran["step"].cost_usd_micro) == (100, 400, 500)
    await theory.check(ran.plan.plan_id)


async def test_what_a_machine_lost_is_not_counted(theory: Embedded) -> None:
    """I-175."""
    await theory.publish(policy("again@4", retry={"max_attempts": 2, "backoff_ms": [0]}))
    lost = failing(AttemptOutcome.LOST)
    theory.runtime.scripts["step"] = [lost, lost, failing(), lost, failing()]
    ran = await theory.run_plan(plan(step(), policy="again@4"))
    receipts = [(each.outcome, each.final) for each in await theory.receipts(ran.plan.plan_id)]
    assert receipts == [("lost", False), ("lost", False), ("failed", False), ("lost", False), ("failed", True)]


async def test_what_loses_every_machine_ends(theory: Embedded) -> None:
    await theory.publish(policy("again@5", retry={"max_attempts": 2, "backoff_ms": [0]}))
    theory.runtime.scripts["step"] = failing(AttemptOutcome.LOST)
    ran = await theory.run_plan(plan(step(), policy="again@5"))
    assert [each.final for each in await theory.receipts(ran.plan.plan_id)] == [False] * MOST_LOSSES + [True]
    assert ran.states == {"step": "failed"}
