"""Plans and executions in words: where they stand, why they failed, and what the memo index said of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from theory.core.errors import TheoryError
from theory.core.ids import ExecutionId
from theory.core.jcs import JSON


class PlanState(StrEnum):
    """Where a plan stands. The last three are terminal."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    """Someone asked for its end before all of it had succeeded."""

    @property
    def terminal(self) -> bool:
        """Whether it never changes again."""
        return self not in {PlanState.QUEUED, PlanState.RUNNING}


class ExecutionState(StrEnum):
    """Where an execution stands. The last four are terminal."""

    WAITING = "waiting"
    """What it needs has not succeeded yet."""
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Something that it needs failed; it was never claimed."""
    CANCELLED = "cancelled"
    """Someone asked for its end; where it was claimed, it is settled so."""

    @property
    def terminal(self) -> bool:
        """Whether it never changes again."""
        return self not in {ExecutionState.WAITING, ExecutionState.QUEUED, ExecutionState.RUNNING}


class Wait(StrEnum):
    """Which limit of its plan's policy an execution waits for that could run."""

    PLAN_LIMIT = "plan_limit"
    PROCESSOR_LIMIT = "processor_limit"

    @property
    def words(self) -> str:
        """For people."""
        return self.value.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something failed: a reason of the enum, one sentence, and what the reason documents."""

    reason: str
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, error: TheoryError) -> Self:
        """The failure that `error` is."""
        return cls(error.reason, error.message, dict(error.metadata))

    def to_document(self) -> dict[str, JSON]:
        """As a receipt, a state and a report hold it."""
        return {"reason": self.reason, "message": self.message, "metadata": dict(self.metadata)}


@dataclass(frozen=True, slots=True)
class MemoVerdict:
    """What the memo index said about an execution."""

    memo_key: str
    hit: bool
    """Whether the result was found and nothing ran."""
    source_execution_id: ExecutionId | None = None
    """Whose result was used; None on a miss."""
    differences: tuple[str, ...] = ()
    """On a miss: what differs from the nearest earlier key, such as `inputs:title`; empty where there is none."""

    def to_document(self) -> dict[str, JSON]:
        """As JSON has it."""
        return {
            "memo_key": self.memo_key,
            "hit": self.hit,
            "source_execution_id": None if self.source_execution_id is None else self.source_execution_id.text,
            "differences": self.differences,
        }
