"""The tests of services/executor/domain/ending.py."""

import asyncio

import pytest

from tests.documents import asks, plan, policy, predicate, step, tool
from tests.embedded import Embedded
from tests.scripted import Act, failing
from theory.core.errors import Conflict, Corrupt, Exhausted, Unavailable
from theory.core.receipt import AttemptOutcome

pytestmark = pytest.mark.asyncio(loop_scope="module")

_FENCED = Conflict("EPOCH_FENCED", "too late", epoch="1", current_epoch="2")
_TOO_LARGE = Exhausted("FOREIGN_STATUS", "the message is too large", code="RESOURCE_EXHAUSTED")


async def test_an_execution_that_may_not_begin_has_a_receipt_that_says_why(theory: Embedded) -> None:
    ran = await theory.run_plan(plan(step(reads=["/artifacts/inputs/nothing"])))
    assert ran["step"].failure is not None
    assert ran["step"].failure.reason == "READ_UNRESOLVED"
    [receipt] = await theory.receipts(ran.plan.plan_id)
    assert (receipt.receipt_id, receipt.final, receipt.outcome) == (ran["step"].receipt_id, True, "failed")
    assert receipt.document["failure"] == {
        "reason": "READ_UNRESOLVED",
        "message": ran["step"].failure.message,
        "metadata": {"selector": "/artifacts/inputs/nothing"},
    }
    assert (ran["step"].start_time, ran["step"].epoch) != (None, 0)
    await theory.check(ran.plan.plan_id)


async def test_a_refusal_that_was_overtaken_is_stated_again(theory: Embedded) -> None:
    theory.faults.refuse("ledger.settle", _FENCED)
    ran = await theory.run_plan(plan(step(reads=["/artifacts/inputs/nothing"])))
    assert (ran.states, ran["step"].epoch) == ({"step": "failed"}, 2)
    assert [each.outcome for each in await theory.receipts(ran.plan.plan_id)] == ["lost", "failed"]


async def test_a_result_that_was_overtaken_while_it_was_reused_is_claimed_anew(theory: Embedded) -> None:
    document = plan(step())
    await theory.run_plan(document)
    theory.forget()
    theory.faults.refuse("ledger.settle", _FENCED)
    ran = await theory.run_plan(document)
    assert (ran["step"].memo_hit, ran["step"].epoch) == (True, 2)
    assert theory.runtime.invoked == []


async def test_a_statement_that_the_ledger_cannot_take_is_a_failure_at_its_cost(theory: Embedded) -> None:
    await theory.publish(tool("test/paid@1", admission=[asks(100)]))
    theory.runtime.scripts["step"] = Act(files={"/artifacts/outputs/step/a": b"a"}, reported=40)
    theory.faults.refuse("ledger.settle", _TOO_LARGE)
    ran = await theory.run_plan(plan(step(processor="test/paid@1")))
    ended = ran["step"]
    assert ended.failure is not None
    assert (ended.state.value, ended.failure.reason, ended.cost_usd_micro) == ("failed", "FOREIGN_STATUS", 40)
    assert ended.outputs == ()
    [receipt] = await theory.receipts(ran.plan.plan_id)
    assert "input_cids" not in receipt.document
    assert receipt.document["image_digest"]
    assert [each async for each in theory.theory.artifacts.list(ran.plan.world)] == []
    assert (await theory.theory.ledger.get_budget(ran.plan.plan_id)).spent_usd_micro == 40
    await theory.check(ran.plan.plan_id)


async def test_an_artifact_store_that_is_away_at_the_commit_is_waited_for(theory: Embedded) -> None:
    theory.faults.refuse("world.commit", Unavailable("SERVICE_UNREACHABLE", "away"))
    ran = await theory.run_plan(plan(step()))
    [output] = ran["step"].outputs
    assert (await theory.theory.artifacts.stat(ran.plan.world, output.path)).cid == output.cid


@pytest.mark.parametrize("method", ["ledger.claim", "ledger.settle", "world.commit"])
async def test_a_full_disk_stops_nothing_half_way(theory: Embedded, method: str) -> None:
    theory.faults.refuse(method, Exhausted("DISK_FULL", "full"))
    ran = await theory.run_plan(plan(step()))
    assert ran.states == {"step": "succeeded"}
    await theory.check(ran.plan.plan_id)


async def test_a_full_disk_of_the_artifact_store_fails_the_attempt(theory: Embedded) -> None:
    theory.faults.refuse("world.put", Exhausted("DISK_FULL", "full"))
    ran = await theory.run_plan(plan(step()))
    assert ran["step"].failure is not None
    assert ran["step"].failure.reason == "DISK_FULL"


async def test_the_receipt_states_what_made_the_result(theory: Embedded) -> None:
    reads = ["/artifacts/inputs/**"]
    document = plan(step(reads=reads, inputs={"n": 1}), files=await theory.upload(a=b"a"), seed=99)
    ran = await theory.run_plan(document)
    [receipt] = await theory.receipts(ran.plan.plan_id)
    stated, given = receipt.document, theory.runtime.contexts["step-a0"]
    assert stated["snapshot_id"] == ran.plan.snapshot_id
    assert (stated["processor"], stated["runtime"], stated["seed"]) == ("test/step@1", "process", "99")
    assert (stated["memo_key"], stated["env_fingerprint"]) == (given.memo_key, given.env_fingerprint)
    assert stated["write_prefix"] == "/artifacts/outputs/step/"
    assert stated["named_outputs"] == {"path": "/artifacts/outputs/step/out.json"}
    preimage = stated["env_fingerprint_preimage"]
    assert isinstance(preimage, dict)
    assert (preimage["runtime"], preimage["isolation"]) == ("process", "none")
    inputs = stated["input_cids"]
    assert isinstance(inputs, list)
    assert [each["path"] for each in inputs if isinstance(each, dict)] == ["/artifacts/inputs/a"]
    assert [each.path.text for each in receipt.outputs] == ["/artifacts/outputs/step/out.json"]
    written = await theory.until_events(ran.plan.plan_id, "artifact.written", 2)
    assert {each.body["path"] for each in written} == {"/artifacts/inputs/a", "/artifacts/outputs/step/out.json"}


async def test_each_attempt_leaves_its_own_place_behind_clean(theory: Embedded) -> None:
    await theory.publish(policy("again@1", retry={"max_attempts": 2, "backoff_ms": [0], "on": ["failed"]}))
    theory.runtime.scripts["step"] = [failing(AttemptOutcome.FAILED), Act()]
    ran = await theory.run_plan(plan(step(), policy="again@1"))
    assert theory.runtime.released == [f"{ran.plan.plan_id}.step-a{idx}" for idx in range(2)]


async def test_a_predicate_that_said_no_ends_a_reservation_and_an_account_entry(theory: Embedded) -> None:
    never = predicate("artifact.exists@1", path="/artifacts/outputs/never")
    await theory.publish(tool("test/never@1", admission=[asks(30)], success=[never]))
    ran = await theory.run_plan(plan(step(processor="test/never@1")))
    assert ran.states == {"step": "failed"}
    budget = await theory.theory.ledger.get_budget(ran.plan.plan_id)
    assert (budget.reserved_usd_micro, budget.spent_usd_micro) == (0, 0)


async def test_an_execution_of_a_broken_plan_ends_with_its_reservation(theory: Embedded) -> None:
    await theory.publish(tool("test/paid@2", admission=[asks(30)]))
    hold = asyncio.Event()
    theory.runtime.scripts["a"] = Act(hold=hold)
    theory.faults.lose("world.commit", Corrupt("BLOB_CORRUPT", "damaged"))
    submitted = await theory.submit(plan(step("a", processor="test/paid@2"), step("b")))
    ran = await theory.ended(submitted.plan_id)
    assert ran.plan.failure is not None
    assert ran.plan.failure.reason == "BLOB_CORRUPT"
    budget = await theory.theory.ledger.get_budget(ran.plan.plan_id)
    assert budget.reserved_usd_micro == 0
    hold.set()
