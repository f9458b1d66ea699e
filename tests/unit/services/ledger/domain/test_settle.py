"""The decision of the system, step by step; what crosses the wire is in the conformance cases."""

import dataclasses

import pytest

from services.ledger.adapters.memory import MemoryLedger
from services.ledger.domain.settle import (
    MAX_EPOCH,
    ClaimAnswer,
    SettleAnswer,
    Settlements,
)
from services.ledger.ports import AttemptState
from tests.unit.services.ledger.books import PLAN, STEP, Shelf, claim, end, event
from theory.core.clock import FakeClock
from theory.core.errors import Conflict, Corrupt, Invalid, NotReady, TheoryError
from theory.core.ids import ExecutionId, PlanId
from theory.core.ledger import Budget
from theory.core.receipt import AttemptOutcome, Receipt


def settlements(shelf: Shelf) -> Settlements:
    return Settlements(MemoryLedger(shelf.tables), FakeClock())


def refused(answer: object, kind: type[TheoryError]) -> TheoryError:
    assert isinstance(answer, kind)
    return answer


def test_one_batch_claims_an_execution_twice_and_the_second_wins() -> None:
    shelf = Shelf(cap=100)
    first, second = shelf.claim(claim(60), claim(60, idx=1, lost_cost=5))
    assert isinstance(first, ClaimAnswer)
    assert isinstance(second, ClaimAnswer)
    assert (first.epoch, second.epoch) == (1, 2)
    assert shelf.budget == Budget(PLAN.text, 100, reserved_usd_micro=60, spent_usd_micro=5)
    assert shelf.tables.attempts[STEP.text, 1].state is AttemptState.LOST


def test_a_refused_claim_leaves_the_open_attempt_alone() -> None:
    shelf = Shelf(cap=100)
    shelf.claim(claim(60))
    before = shelf.tables.copy()
    refused(shelf.claim(claim(101, idx=1, lost_cost=5))[0], NotReady)
    assert shelf.tables == before


def test_without_money_nothing_is_said_about_money() -> None:
    shelf = Shelf(cap=100)
    shelf.claim(claim())
    shelf.settle(end())
    assert shelf.kinds() == ["execution.claimed", "execution.settled"]


def test_a_receipt_stands_where_the_chain_first_names_it() -> None:
    shelf = Shelf(cap=10)
    shelf.claim(claim(10))
    shelf.settle(end(cost=20))
    assert shelf.kinds() == [
        "budget.reserved",
        "execution.claimed",
        "budget.settled",
        "budget.overrun",
        "execution.settled",
    ]
    assert sorted(each.position for each in shelf.tables.receipts.values()) == [1, 3]


def test_a_loss_is_stated_like_any_other_end() -> None:
    shelf = Shelf(cap=10)
    shelf.claim(claim(10), claim(idx=1, lost_cost=3))
    lost = shelf.tables.attempts[STEP.text, 1]
    assert lost.receipt_id is not None
    receipt = Receipt.parse(shelf.tables.receipts[lost.receipt_id].preimage)
    assert (receipt.outcome, receipt.final, receipt.epoch) == (AttemptOutcome.LOST, False, 1)


def test_events_of_a_long_execution_id_fit() -> None:
    name = ExecutionId("p-1." + "x" * 136)
    shelf = Shelf(cap=10)
    shelf.claim(claim(1, execution_id=name), claim(1, execution_id=name, idx=1))
    answers = shelf.settle(end(2, 20, execution_id=name))
    assert refused(answers[0], Invalid).metadata["field"] == "attempt_idx"
    request = dataclasses.replace(end(2, 20, execution_id=name), attempt_idx=1)
    assert isinstance(shelf.settle(request)[0], SettleAnswer)
    ids = [each.event_id for each in shelf.tables.events[PLAN.text]]
    assert len(set(ids)) == len(ids)
    assert max(map(len, ids)) <= 128


def test_an_execution_belongs_to_one_plan() -> None:
    shelf = Shelf()
    shelf.claim(claim())
    other = dataclasses.replace(claim(), plan_id=PlanId("p-2"))
    assert refused(shelf.claim(other)[0], Invalid).reason == "ID_INVALID"
    stranger = dataclasses.replace(end(), plan_id=PlanId("p-2"))
    assert refused(shelf.settle(stranger)[0], Invalid).reason == "SETTLEMENT_INVALID"


def test_a_bad_given_event_refuses_the_settlement() -> None:
    shelf = Shelf()
    shelf.claim(claim())
    bad = dataclasses.replace(end(), events=(event("a"), event("b", "scratch.kv.changed")))
    assert refused(shelf.settle(bad)[0], TheoryError).reason == "EVENT_KIND_DENIED"
    assert shelf.kinds() == ["execution.claimed"]
    assert isinstance(shelf.settle(end())[0], SettleAnswer)


async def test_a_fence_outlives_later_claims() -> None:
    shelf = Shelf()
    assert await settlements(shelf).resolve(STEP, 2) is None
    [claimed] = shelf.claim(claim())
    assert isinstance(claimed, ClaimAnswer)
    assert claimed.epoch == 3
    assert await settlements(shelf).resolve(STEP, 1) is None
    assert isinstance(shelf.settle(end(3))[0], SettleAnswer)


async def test_a_fence_does_not_go_back() -> None:
    shelf = Shelf()
    await settlements(shelf).resolve(STEP, 5)
    await settlements(shelf).resolve(STEP, 2)
    assert shelf.tables.executions[STEP.text].fenced_epoch == 5


async def test_a_fenced_attempt_cannot_settle() -> None:
    shelf = Shelf(cap=10)
    shelf.claim(claim(10))
    await settlements(shelf).resolve(STEP, 1)
    error = refused(shelf.settle(end())[0], Conflict)
    assert error.metadata == {"epoch": "1", "current_epoch": "1"}
    assert shelf.budget.reserved_usd_micro == 0


@pytest.mark.parametrize("epoch", [0, -1, MAX_EPOCH + 1])
async def test_an_epoch_that_nobody_was_given_cannot_be_resolved(epoch: int) -> None:
    with pytest.raises(Invalid):
        await settlements(Shelf()).resolve(STEP, epoch)


def test_a_receipt_that_is_gone_is_not_made_up() -> None:
    shelf = Shelf()
    shelf.claim(claim())
    shelf.settle(end())
    shelf.tables.receipts.clear()
    refused(shelf.claim(claim(idx=1))[0], Corrupt)
    refused(shelf.settle(end())[0], Corrupt)
