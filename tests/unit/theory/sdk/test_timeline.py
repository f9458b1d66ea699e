"""The tests of theory/sdk/timeline.py."""

from datetime import timedelta

from theory.core.chain import Event, NewEvent, seal
from theory.core.clock import parse_rfc3339, rfc3339
from theory.core.jcs import JSON
from theory.sdk.timeline import Timeline

START = parse_rfc3339("2026-01-02T03:04:05.000000Z")


def event(seq: int, at_s: float, kind: str, **body: JSON) -> Event:
    new = NewEvent(f"e{seq}", kind, rfc3339(START + timedelta(seconds=at_s)), body)
    return seal(new, "p-1", seq, "0" * 64)


def told(*events: Event) -> Timeline:
    timeline = Timeline("p-1")
    for each in events:
        timeline.read([each])
    return timeline


def claimed(seq: int, at_s: float, name: str, epoch: int = 1) -> Event:
    return event(seq, at_s, "execution.claimed", execution_id=f"p-1.{name}", epoch=epoch, attempt_idx=epoch - 1)


def settled(
    seq: int, at_s: float, name: str, epoch: int = 1, outcome: str = "succeeded", *, final: bool = True
) -> Event:
    body: dict[str, JSON] = {"execution_id": f"p-1.{name}", "epoch": epoch, "outcome": outcome, "final": final}
    return event(seq, at_s, "execution.settled", **body)


def test_attempts_costs_and_hits_are_told() -> None:
    timeline = told(
        event(1, 0, "plan.submitted"),
        claimed(2, 1, "a"),
        event(3, 3, "budget.settled", execution_id="p-1.a", spent_usd_micro=5, debt_usd_micro=2),
        settled(4, 3, "a", outcome="failed", final=False),
        claimed(5, 4, "a", 2),
        settled(6, 6, "a", 2),
        claimed(7, 6, "b"),
        event(8, 6, "memo.hit", execution_id="p-1.b", source_execution_id="p-0.b"),
        settled(9, 6, "b"),
        event(10, 7, "plan.succeeded"),
    )
    a, b = timeline.lanes
    assert (timeline.state, timeline.start, timeline.end) == ("succeeded", START, START + timedelta(seconds=7))
    assert [each.outcome for each in a.attempts] == ["failed", "succeeded"]
    assert (a.outcome, a.cost_usd_micro, a.memo_of, b.memo_of) == ("succeeded", 7, "", "p-0.b")
    assert timeline.cost_usd_micro == 7
    assert timeline.to_document()["executions"][1] == b.to_document()  # type: ignore[index]


def test_a_plan_that_goes_on_is_told_as_far_as_it_is() -> None:
    timeline = told(
        event(1, 0, "plan.submitted"), claimed(2, 1, "a"), claimed(3, 1, "b"), settled(4, 2, "b", final=False)
    )
    a, b = timeline.lanes
    assert (timeline.state, a.outcome, a.end, b.outcome) == ("running", "running", None, "queued")
    assert timeline.last == START + timedelta(seconds=2)


def test_what_is_lost_cancelled_or_pruned_is_no_trouble() -> None:
    pruned = event(3, 2, "execution.claimed")
    lost = event(4, 3, "execution.lost", execution_id="p-1.a", epoch=1)
    timeline = told(claimed(1, 0, "a"), pruned, lost, claimed(5, 3, "a", 2), settled(6, 4, "a", 2, "cancelled"))
    [a] = timeline.lanes
    assert [each.outcome for each in a.attempts] == ["lost", "cancelled"]
    assert (timeline.state, timeline.start) == ("unknown", START)
