"""The timeline of a plan, from its events alone: who ran when, how often, how it ended and what it cost."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from theory.core.chain import Event
from theory.core.clock import parse_rfc3339, rfc3339
from theory.core.errors import TheoryError
from theory.core.jcs import JSON


@dataclass(slots=True)
class Attempt:
    """One try: from its claim to its end."""

    epoch: int
    start: datetime
    end: datetime | None = None
    """None while it is under way."""
    outcome: str = "running"
    """As its settlement says."""


@dataclass(slots=True)
class Lane:
    """One execution."""

    name: str
    """Its id without the plan's: `render.3`."""
    attempts: list[Attempt] = field(default_factory=list)
    memo_of: str = ""
    """The execution whose result it took; empty where it ran."""
    cost_usd_micro: int = 0
    final: bool = False
    """Whether it is settled for ever."""

    @property
    def transition(self) -> str:
        """The step that it is an item of."""
        return self.name.partition(".")[0]

    @property
    def outcome(self) -> str:
        """How it ended, or stands."""
        last = self.attempts[-1].outcome if self.attempts else "running"
        return last if self.final or last == "running" else "queued"

    @property
    def start(self) -> datetime:
        """When it was first claimed."""
        return self.attempts[0].start

    @property
    def end(self) -> datetime | None:
        """When its last attempt ended; None while one is under way."""
        return self.attempts[-1].end

    def to_document(self) -> dict[str, JSON]:
        """As JSON has it."""
        return {
            "execution": self.name,
            "outcome": self.outcome,
            "memo_of": self.memo_of or None,
            "cost_usd_micro": self.cost_usd_micro,
            "attempts": [
                {
                    "epoch": each.epoch,
                    "start": rfc3339(each.start),
                    "end": None if each.end is None else rfc3339(each.end),
                    "outcome": each.outcome,
                }
                for each in self.attempts
            ],
        }


class Timeline:
    """What the events of one plan tell, read in any number of pieces. Times are those that the events state."""

    def __init__(self, plan_id: str) -> None:
        self.plan_id = plan_id
        self.state = "unknown"
        """`running`, or how the plan ended; `unknown` before its first event."""
        self.start: datetime | None = None
        self.end: datetime | None = None
        self.last: datetime | None = None
        """The time of the last event that was read: up to here it is told."""
        self._lanes: dict[str, Lane] = {}

    @property
    def lanes(self) -> list[Lane]:
        """The executions that were claimed, in the order of their first claims."""
        return [each for each in self._lanes.values() if each.attempts]

    @property
    def cost_usd_micro(self) -> int:
        """What all of them cost."""
        return sum(each.cost_usd_micro for each in self._lanes.values())

    def read(self, events: Iterable[Event]) -> None:
        """The next events; one whose payload was pruned, or is damaged, tells nothing."""
        for event in events:
            try:
                moment = parse_rfc3339(event.ts)
            except TheoryError:
                continue
            if event.kind.startswith("plan."):
                self._read_plan(event.kind, moment)
            elif isinstance(event.body.get("execution_id"), str):
                self._read_execution(event, moment)
            self.last = moment

    def _read_plan(self, kind: str, moment: datetime) -> None:
        word = kind.removeprefix("plan.")
        if word == "submitted":
            self.state, self.start = "running", moment
        elif word in {"succeeded", "failed", "cancelled"}:
            self.state, self.end = word, moment

    def _read_execution(self, event: Event, moment: datetime) -> None:
        body = event.body
        name = str(body["execution_id"]).removeprefix(f"{self.plan_id}.")
        lane = self._lanes.setdefault(name, Lane(name))
        match event.kind:
            case "execution.claimed":
                lane.attempts.append(Attempt(_number(body.get("epoch")), moment))
                self.start = self.start or moment
            case "execution.settled" | "execution.lost":
                lane.final = bool(body.get("final"))
                outcome = str(body.get("outcome", "lost"))
                for attempt in lane.attempts:
                    if attempt.epoch == body.get("epoch"):
                        attempt.end, attempt.outcome = moment, outcome
            case "budget.settled":
                lane.cost_usd_micro += _number(body.get("spent_usd_micro")) + _number(body.get("debt_usd_micro"))
            case "memo.hit":
                lane.memo_of = str(body.get("source_execution_id", ""))

    def to_document(self) -> dict[str, JSON]:
        """As JSON has it."""
        return {
            "plan_id": self.plan_id,
            "state": self.state,
            "start": None if self.start is None else rfc3339(self.start),
            "end": None if self.end is None else rfc3339(self.end),
            "cost_usd_micro": self.cost_usd_micro,
            "executions": [each.to_document() for each in self.lanes],
        }


def _number(value: JSON) -> int:
    return value if isinstance(value, int) else 0
