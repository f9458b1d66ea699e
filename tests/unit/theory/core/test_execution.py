"""The tests of theory/core/execution.py."""

import pytest

from theory.core.errors import NotFound
from theory.core.execution import ExecutionState, Failure, PlanState


def test_a_failure_is_what_the_error_was() -> None:
    failure = Failure.of(NotFound("BLOB_UNKNOWN", "no such blob", cid="b3:0"))
    assert failure == Failure("BLOB_UNKNOWN", "no such blob", {"cid": "b3:0"})
    assert failure.to_document() == {"reason": "BLOB_UNKNOWN", "message": "no such blob", "metadata": {"cid": "b3:0"}}


@pytest.mark.parametrize("state", list(PlanState))
def test_a_plan_ends_in_one_of_three_states(state: PlanState) -> None:
    assert state.terminal is (state.value in {"succeeded", "failed", "cancelled"})


@pytest.mark.parametrize("state", list(ExecutionState))
def test_an_execution_ends_in_one_of_four_states(state: ExecutionState) -> None:
    assert state.terminal is (state.value in {"succeeded", "failed", "skipped", "cancelled"})
