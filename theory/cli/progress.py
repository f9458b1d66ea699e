"""How far a plan got: what a watch has told so far, counted by transition. Draws nothing."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from theory.core.clock import Clock
from theory.core.execution import ExecutionState
from theory.core.ids import ExecutionId
from theory.sdk.views import ExecutionView, PlanChange, PlanView


@dataclass(slots=True)
class Tally:
    """One transition: how many of its executions stand where."""

    transition_id: str
    executions: list[ExecutionView] = field(default_factory=list)

    def count(self, *states: ExecutionState) -> int:
        """How many are in one of these states."""
        return sum(each.state in states for each in self.executions)

    @property
    def ended(self) -> int:
        """How many are terminal."""
        return sum(each.state.terminal for each in self.executions)

    @property
    def hits(self) -> int:
        """How many took an earlier result."""
        return sum(each.memo_hit for each in self.executions)

    @property
    def cost_usd_micro(self) -> int:
        """What they cost together."""
        return sum(each.cost_usd_micro for each in self.executions)


class Progress:
    """A plan and its executions, as far as they are known."""

    def __init__(self, plan: PlanView, executions: Iterable[ExecutionView], clock: Clock) -> None:
        self.plan = plan
        self._clock = clock
        self._executions: dict[ExecutionId, ExecutionView] = {each.execution_id: each for each in executions}

    @property
    def executions(self) -> list[ExecutionView]:
        """All that are known, in the order of the plan."""
        return list(self._executions.values())

    def apply(self, change: PlanChange) -> list[ExecutionView]:
        """Take in what changed; the executions of which there is something new to say."""
        news = []
        for each in change.executions:
            before = self._executions.get(each.execution_id)
            if before is None or (before.state, before.attempt_idx) != (each.state, each.attempt_idx):
                news.append(each)
            self._executions[each.execution_id] = each
        self.plan = change.plan
        return news

    def tallies(self) -> list[Tally]:
        """The transitions, in the order of the plan."""
        found: dict[str, Tally] = {}
        for each in self._executions.values():
            found.setdefault(each.transition_id.text, Tally(each.transition_id.text)).executions.append(each)
        return list(found.values())

    @property
    def cost_usd_micro(self) -> int:
        """What all executions cost so far."""
        return sum(each.cost_usd_micro for each in self._executions.values())

    @property
    def elapsed_s(self) -> float:
        """From the plan's start to its end, or to now."""
        end = self.plan.finish_time or self._clock.now()
        return max(0.0, (end - self.plan.create_time).total_seconds())

    def running_s(self, execution: ExecutionView) -> float:
        """How long an execution has taken, to its end or to now; 0 where it has not begun."""
        if execution.start_time is None:
            return 0.0
        end = execution.finish_time or self._clock.now()
        return max(0.0, (end - execution.start_time).total_seconds())
