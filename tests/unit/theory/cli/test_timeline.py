"""The picture of a timeline."""

import pytest

from tests.unit.theory.sdk.test_timeline import claimed, event, settled, told
from theory.cli.output import Cell
from theory.cli.text import width
from theory.cli.timeline import MAX_LANES, Row, picture
from theory.sdk.timeline import Timeline


def _lines(rows: list[Row]) -> list[str]:
    return ["".join(each.text if isinstance(each, Cell) else each for each in row).rstrip() for row in rows]


def _many(count: int, transitions: int = 1) -> Timeline:
    events = [event(1, 0, "plan.submitted")]
    for at in range(count):
        name = f"t{at % transitions}.{at}"
        events += [claimed(2 * at + 2, at / 10, name), settled(2 * at + 3, at / 10 + 1, name)]
    return told(*events)


def test_bars_stand_over_one_axis() -> None:
    timeline = told(
        event(1, 0, "plan.submitted"),
        claimed(2, 0, "a"),
        settled(3, 5, "a", outcome="failed", final=False),
        claimed(4, 7.5, "a", 2),
        settled(5, 10, "a", 2),
        claimed(6, 9, "b"),
        event(7, 9, "memo.hit", execution_id="p-1.b", source_execution_id="p-0.b"),
        settled(8, 9, "b"),
        event(9, 10, "plan.succeeded"),
    )
    assert _lines(picture(timeline, 53)) == [
        "   0    5.0 s    10.0 s",
        "a  ██████████✗    █████  ✓ 10.0 s, 2 attempts",
        "b                    ◆   ✓ memo hit",
    ]


@pytest.mark.parametrize("columns", [20, 60, 100, 200])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    for timeline in (_many(5), _many(200, 7)):
        widest = max(width(each) for each in _lines(picture(timeline, columns)))
        assert widest <= max(columns, 60)


def test_many_executions_are_drawn_by_transition_unless_each_is_asked_for() -> None:
    timeline = _many(MAX_LANES + 1, 2)
    lines = _lines(picture(timeline, 100))
    assert [each[:2] for each in lines[1:3]] == ["t0", "t1"]
    assert lines[1].endswith("21 succeeded")
    assert lines[-1] == "41 executions in 2 transitions; --all draws each"
    assert len(picture(timeline, 100, every=True)) == MAX_LANES + 2


def test_of_many_transitions_the_longest_are_drawn_and_the_rest_is_told() -> None:
    lines = _lines(picture(_many(120, 60), 100))
    assert len(lines) == MAX_LANES + 2
    assert lines[-1] == "120 executions in 60 transitions, of which the 40 longest are drawn; --all draws each"


def test_a_plan_without_executions_or_of_no_length_has_a_picture() -> None:
    assert picture(told(event(1, 0, "plan.submitted")), 80) == []
    assert len(picture(told(claimed(1, 0, "a"), settled(2, 0, "a")), 80)) == 2
