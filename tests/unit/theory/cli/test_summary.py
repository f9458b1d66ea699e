"""What a plan came to, in words."""

import io
from typing import Any

import pytest

from tests.unit.theory.sdk.servicer import execution, plan
from theory.cli import summary
from theory.cli.output import Output
from theory.cli.progress import Progress
from theory.core.cid import Cid
from theory.core.clock import FakeClock
from theory.sdk.plan_messages import execution_from_proto, plan_from_proto
from theory.sdk.views import ExecutionView

_HIT = {"memo_key": "b3:", "hit": True, "source_execution_id": "p-0.probe"}
_MISS = {"memo_key": "b3:", "differences": ["inputs:title", "image", "seed"]}
_DAMAGED = {"reason": "BLOB_CORRUPT", "message": "the bytes are not those", "metadata": {"cid": "b3:12"}}
_BOUND = {
    "reason": "PATH_BOUND",
    "message": "/artifacts/a is bound",
    "metadata": {"cid": "b3:12", "path": "/artifacts/a"},
}
_FAILURE = {"reason": "PROCESSOR_FAILED", "message": "exit\ncode 1", "metadata": {"exit_code": "1"}}


def _view(name: str = "probe", state: str = "succeeded", **fields: Any) -> ExecutionView:
    return execution_from_proto(execution(name, state, **fields))


def _told(*executions: ExecutionView, state: str = "succeeded") -> str:
    stdout = io.StringIO()
    output = Output(as_json=False, colour=False, stdout=stdout, stderr=io.StringIO())
    summary.tell(Progress(plan_from_proto(plan(state, max_usd_micro=1_000_000)), executions, FakeClock()), output)
    return stdout.getvalue()


@pytest.mark.parametrize(
    ("execution", "expected"),
    [
        (_view(memo=_HIT), ("memo hit", "equal to p-0.probe")),
        (_view(memo=_MISS), ("ran", "inputs:title and 2 more differed")),
        (_view(memo={"memo_key": "b3:"}, attempt_idx=2), ("ran", "no earlier result; 3 attempts")),
        (_view(state="failed", failure=_FAILURE), ("failed", "PROCESSOR_FAILED: exit code 1")),
        (_view(state="skipped", failure={"reason": "NEED_FAILED", "message": "no"}), ("skipped", "NEED_FAILED: no")),
        (_view(state="failed", failure=_DAMAGED), ("failed", "BLOB_CORRUPT: the bytes are not those (b3:12)")),
        (_view(state="failed", failure=_BOUND), ("failed", "PATH_BOUND: /artifacts/a is bound (b3:12)")),
        (_view(state="running"), ("running", "")),
    ],
)
def test_every_execution_has_its_reason(execution: ExecutionView, expected: tuple[str, str]) -> None:
    assert (summary.result(execution).text, summary.why(execution)) == expected


def test_a_plan_that_hit_everywhere_says_so() -> None:
    said = _told(_view("probe.0", memo=_HIT), _view("probe.1", memo=_HIT))
    assert said.startswith("media p-1 succeeded in 4.0 s\n")
    assert "2 executions: all memo hits, nothing had to run · cost $0.00 of at most $1.00" in said


def test_executions_are_counted_by_how_they_ended() -> None:
    executions = [_view("a", memo=_HIT), _view("b", cost_usd_micro=5000), _view("c", "failed"), _view("d", "waiting")]
    said = _told(*executions, state="running")
    assert "4 executions: 1 memo hit, 1 ran, 1 failed, 1 not yet ended · cost $0.005 of at most $1.00" in said
    assert said.startswith("media p-1 running for ")


def test_what_a_failed_processor_wrote_is_shown_and_cannot_move_the_cursor() -> None:
    said = _told(_view(state="failed", failure=_FAILURE, log_tail="reading\n\x1b[2Jboom\n"), state="failed")
    assert "  probe PROCESSOR_FAILED: exit code 1\n    | reading\n    | �[2Jboom\n" in said


def test_a_large_plan_is_told_by_transition() -> None:
    said = _told(*(_view(f"probe.{number}", memo=_HIT) for number in range(40)), _view("report", "failed"))
    assert "  probe       40 memo hits" in said
    assert "  report      1 failed" in said
    assert "probe.7" not in said


def test_many_files_are_a_folder_and_few_are_named() -> None:
    def written(name: str, *paths: str) -> ExecutionView:
        outputs = [{"world_path": each, "cid": Cid.of(b"").text, "size_bytes": 10} for each in paths]
        return _view(name, outputs=outputs)

    many = written("probe", *(f"/artifacts/outputs/probe/{number}/a.json" for number in range(5)))
    said = _told(many, written("report", "/artifacts/outputs/report/a.png"))
    assert "  outputs in the world p-1\n" in said
    assert "  probe   50 B  /artifacts/outputs/probe/ (5 files)\n" in said
    assert "  report  10 B  /artifacts/outputs/report/a.png\n" in said
