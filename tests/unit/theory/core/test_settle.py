"""The words about claiming and settling: plain values with harmless defaults."""

import dataclasses

import pytest

from theory.core.ids import ExecutionId, PlanId
from theory.core.receipt import AttemptOutcome
from theory.core.settle import Claimed, ClaimRequest, Resolution, Settled, SettleRequest

PLAN, EXECUTION = PlanId("p-1"), ExecutionId("p-1.thumb")


def test_a_claim_closes_nothing_and_records_nothing_unless_it_says_so() -> None:
    claim = ClaimRequest(PLAN, EXECUTION, attempt_idx=0, reserve_usd_micro=5)
    assert (claim.lost_cost_usd_micro, claim.events) == (0, ())


def test_a_settlement_binds_nothing_unless_it_says_so() -> None:
    request = SettleRequest(PLAN, EXECUTION, 1, 0, AttemptOutcome.FAILED, final=False, cost_usd_micro=0)
    assert (request.outputs, request.facts, request.events) == ((), {}, ())
    assert request.facts is not dataclasses.replace(request, facts={}).facts


@pytest.mark.parametrize("kind", [ClaimRequest, Claimed, SettleRequest, Settled, Resolution])
def test_they_are_frozen(kind: type) -> None:
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert not hasattr(kind, "__dict__") or "__slots__" in vars(kind)
