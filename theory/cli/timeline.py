"""The picture of a timeline: one line per execution over a common axis, or per transition where there are many."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby

from theory.cli.output import Cell
from theory.cli.text import counted, cut, duration, usd
from theory.sdk.timeline import Lane, Timeline

MAX_LANES = 40
"""Of more executions each transition is one line."""
_NAME_COLUMNS = 28
_TAIL_COLUMNS = 30
_LEAST_COLUMNS = 10
_LEVELS = " ▁▂▃▄▅▆▇█"
_GLYPH = {"succeeded": "✓", "running": "…", "queued": "…", "cancelled": "-", "lost": "?"}
_STYLE = {"unknown": "", "succeeded": "green", "running": "cyan", "queued": "cyan", "cancelled": "yellow"}
_HIT = "◆"

Row = list[str | Cell]


def style_of(outcome: str) -> str:
    """The colour of how an execution, or a plan, ended or stands."""
    return _STYLE.get(outcome, "red")


def picture(timeline: Timeline, columns: int, *, every: bool = False) -> list[Row]:
    """The lines of the picture, each no wider than `columns`; with `every` one per execution, however many.

    A bar is `█` while an attempt runs, and ends in `✗` where it failed; `◆` is a result that was taken and not made.
    """
    lanes = timeline.lanes
    if not lanes or timeline.start is None:
        return []
    end = max([timeline.end or timeline.last or timeline.start, *(each.end or each.start for each in lanes)])
    every = every or len(lanes) <= MAX_LANES
    names = [each.name if every else each.transition for each in lanes]
    name_columns = min(_NAME_COLUMNS, max(map(len, names)))
    axis = _Axis(timeline.start, end, max(_LEAST_COLUMNS, columns - name_columns - 2 - _TAIL_COLUMNS))
    rows: list[Row] = [[" " * (name_columns + 2), Cell(axis.scale(), "dim")]]
    if every:
        rows += (
            [f"{cut(each.name, name_columns):<{name_columns}}  ", *axis.bar(each), "  ", *_tail(each, end)]
            for each in lanes
        )
        return rows
    groups = _by_transition(lanes)
    longest = sorted(groups, key=lambda each: -_span_s(each, end))[:MAX_LANES]
    shown = {group[0].transition for group in longest}
    for group in (each for each in groups if each[0].transition in shown):
        name = cut(group[0].transition, name_columns)
        rows.append([f"{name:<{name_columns}}  ", Cell(axis.density(group), "cyan"), "  ", _counts(group)])
    left_out = f", of which the {MAX_LANES} longest are drawn" if len(groups) > len(shown) else ""
    told = f"{counted(len(lanes), 'execution')} in {counted(len(groups), 'transition')}{left_out}; --all draws each"
    rows.append([Cell(told, "dim")])
    return rows


class _Axis:
    """Time as columns."""

    def __init__(self, start: datetime, end: datetime, columns: int) -> None:
        self._start = start
        self._end = end
        self._length = max(end - start, timedelta(microseconds=1))
        self._columns = columns

    def scale(self) -> str:
        """The two ends of the axis, and its middle where there is room."""
        total = self._length.total_seconds()
        left, middle, right = "0", duration(total / 2), duration(total)
        gap = self._columns - len(left) - len(right)
        if gap < len(middle) + 4:
            return left + " " * max(gap, 1) + right
        return f"{left}{middle:^{gap}}{right}"

    def at(self, moment: datetime) -> int:
        """The column of a moment; times of several clocks may lie outside."""
        share = (moment - self._start) / self._length
        return min(max(int(share * self._columns), 0), self._columns - 1)

    def bar(self, lane: Lane) -> Row:
        """The attempts of an execution."""
        cells: list[tuple[str, str]] = [(" ", "")] * self._columns
        for attempt in lane.attempts:
            first, last = self.at(attempt.start), self.at(attempt.end or self._end)
            style = style_of(attempt.outcome)
            for column in range(first, max(first, last) + 1):
                cells[column] = ("█", style)
            if attempt.end is not None and attempt.outcome != "succeeded":
                cells[max(first, last)] = (_GLYPH.get(attempt.outcome, "✗"), style)
            if lane.memo_of:
                cells[first] = (_HIT, style)
        return [
            Cell("".join(text for text, _ in run), style) for style, run in groupby(cells, key=lambda each: each[1])
        ]

    def density(self, lanes: Iterable[Lane]) -> str:
        """How many of them ran, column by column."""
        changes = [0] * (self._columns + 1)
        for lane in lanes:
            for attempt in lane.attempts:
                changes[self.at(attempt.start)] += 1
                changes[self.at(attempt.end or self._end) + 1] -= 1
        running, counts = 0, []
        for change in changes[:-1]:
            running += change
            counts.append(running)
        most = max(*counts, 1)
        return "".join(_LEVELS[-(-each * (len(_LEVELS) - 1) // most)] for each in counts)


def _tail(lane: Lane, end: datetime) -> Row:
    took = duration(max(((lane.end or end) - lane.start).total_seconds(), 0))
    told = "memo hit" if lane.memo_of else took
    told += f", {usd(lane.cost_usd_micro)}" if lane.cost_usd_micro else ""
    told += f", {len(lane.attempts)} attempts" if len(lane.attempts) > 1 else ""
    outcome = lane.outcome
    word = "" if outcome in {"succeeded", "running"} else f" {outcome}"
    return [Cell(f"{_GLYPH.get(outcome, '✗')}{word}", style_of(outcome)), f" {told}"]


def _by_transition(lanes: Sequence[Lane]) -> list[list[Lane]]:
    found: dict[str, list[Lane]] = {}
    for lane in lanes:
        found.setdefault(lane.transition, []).append(lane)
    return list(found.values())


def _span_s(group: Sequence[Lane], end: datetime) -> float:
    last = max(each.end or end for each in group)
    return (last - min(each.start for each in group)).total_seconds()


def _counts(group: Sequence[Lane]) -> str:
    hits = sum(bool(each.memo_of) for each in group)
    parts = [counted(hits, "memo hit")] if hits else []
    outcomes = [each.outcome for each in group if not each.memo_of]
    parts += [f"{outcomes.count(outcome)} {outcome}" for outcome in dict.fromkeys(outcomes)]
    return ", ".join(parts)
