"""Views of plans and executions."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from theory.core import jcs
from theory.core.artifact import Output
from theory.core.cid import Cid
from theory.core.execution import ExecutionState, Failure, MemoVerdict, PlanState
from theory.core.ids import ExecutionId, PlanId, TransitionId
from theory.core.receipt import AttemptOutcome
from theory.core.refs import Ref
from theory.core.world_path import WorldName, WorldPath
from theory.sdk.views import ExecutionView, PlanView

_START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_EXECUTION = ExecutionView(
    plan_id=PlanId("p-1"),
    execution_id=ExecutionId("p-1.render.3"),
    transition_id=TransitionId("render"),
    index=3,
    processor=Ref("media/render@1"),
    runtime="mock",
    state=ExecutionState.SUCCEEDED,
    seq=7,
    attempt_idx=0,
    epoch=1,
    outcome=AttemptOutcome.SUCCEEDED,
    failure=None,
    memo=MemoVerdict("b3:00", hit=False, differences=("inputs:width",)),
    outputs=(Output(WorldPath("/artifacts/a.png"), Cid.of(b"a"), 1, "image/png"),),
    named_outputs={"tile_path": "/artifacts/a.png"},
    cost_usd_micro=2000,
    receipt_id="b3:11",
    start_time=_START,
    finish_time=None,
    log_tail="",
)


@pytest.mark.parametrize(("index", "name"), [(3, "render.3"), (0, "render.0"), (None, "render")])
def test_an_execution_is_named_within_its_plan(index: int | None, name: str) -> None:
    assert replace(_EXECUTION, index=index).name == name


def test_a_hit_is_a_hit_only_where_the_memo_said_so() -> None:
    assert not _EXECUTION.memo_hit
    assert not replace(_EXECUTION, memo=None).memo_hit
    assert replace(_EXECUTION, memo=MemoVerdict("b3:00", hit=True)).memo_hit


def test_terminal_states_are_those_that_never_change() -> None:
    assert [each.value for each in PlanState if each.terminal] == ["succeeded", "failed", "cancelled"]
    assert [each.value for each in ExecutionState if each.terminal] == ["succeeded", "failed", "skipped", "cancelled"]


def test_a_view_as_json_has_times_as_text_and_null_for_what_is_not_known() -> None:
    document = jcs.parse_object(jcs.canonical(_EXECUTION.to_document()))
    assert document["start_time"] == "2026-01-02T03:04:05.000000Z"
    assert document["finish_time"] is None
    assert document["memo"] == {
        "memo_key": "b3:00",
        "hit": False,
        "source_execution_id": None,
        "differences": ["inputs:width"],
    }


def test_a_plan_as_json_tells_why_it_failed() -> None:
    plan = PlanView(
        plan_id=PlanId("p-1"),
        name="media",
        world=WorldName("p-1"),
        snapshot_id=None,
        state=PlanState.FAILED,
        seq=9,
        create_time=_START,
        finish_time=_START,
        failure=Failure("NEED_FAILED", "no", {"needs": "probe"}),
        execution_count=1,
        max_usd_micro=5,
    )
    assert plan.to_document()["failure"] == {
        "reason": "NEED_FAILED",
        "message": "no",
        "metadata": {"needs": "probe"},
    }
