"""How far a plan got."""

from tests.unit.theory.sdk.servicer import change, execution, plan
from theory.cli.progress import Progress
from theory.core.clock import FakeClock
from theory.core.execution import ExecutionState
from theory.sdk.plan_messages import change_from_proto, execution_from_proto, plan_from_proto


def _progress(*names: str) -> Progress:
    executions = [execution_from_proto(execution(name, "waiting")) for name in names]
    return Progress(plan_from_proto(plan()), executions, FakeClock())


def test_transitions_stand_in_the_order_of_the_plan_whatever_changes_first() -> None:
    progress = _progress("probe.0", "probe.1", "report")
    progress.apply(change_from_proto(change(1, execution("report"), execution("probe.1", "succeeded"))))
    assert [each.transition_id for each in progress.tallies()] == ["probe", "report"]
    assert [each.name for each in progress.executions] == ["probe.0", "probe.1", "report"]


def test_only_news_is_news() -> None:
    progress = _progress("probe")
    first = change_from_proto(change(1, execution("probe")))
    assert [each.name for each in progress.apply(first)] == ["probe"]
    assert progress.apply(first) == []
    again = change_from_proto(change(2, execution("probe", "queued", attempt_idx=1)))
    assert [each.attempt_idx for each in progress.apply(again)] == [1]


def test_executions_are_counted_by_where_they_stand() -> None:
    progress = _progress("probe.0", "probe.1", "probe.2")
    hit = execution("probe.0", "succeeded", memo={"memo_key": "b3:", "hit": True})
    progress.apply(change_from_proto(change(1, hit, execution("probe.1", "failed", cost_usd_micro=5))))
    (tally,) = progress.tallies()
    assert (tally.ended, tally.hits, tally.cost_usd_micro) == (2, 1, 5)
    assert tally.count(ExecutionState.FAILED) == 1
    assert progress.cost_usd_micro == 5


def test_times_run_until_the_end_is_known() -> None:
    clock = FakeClock()
    progress = Progress(plan_from_proto(plan(create_time=None)), [], clock)
    progress = Progress(plan_from_proto(plan()), [execution_from_proto(execution("probe"))], clock)
    clock._now = progress.plan.create_time
    clock.advance(3)
    assert progress.elapsed_s == 3
    assert progress.running_s(progress.executions[0]) == 2
    progress.apply(change_from_proto(change(1, execution("probe", "succeeded"), state="succeeded")))
    clock.advance(100)
    assert progress.elapsed_s == 4
    assert progress.running_s(progress.executions[0]) == 2
    assert progress.running_s(execution_from_proto(execution("a", "waiting", start_time=None))) == 0
