"""What clients asked and were told, and when: the only thing that a judge of a run may look at."""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

A = TypeVar("A")
R = TypeVar("R")

NEVER = math.inf


class Outcome(StrEnum):
    """What a client knows of an operation."""

    OK = "ok"
    """It took effect between its call and its answer."""
    FAIL = "fail"
    """It has no effect, and never will."""
    UNKNOWN = "unknown"
    """It may have taken effect, may yet do so, or never will."""


@dataclass(slots=True)
class Operation(Generic[A, R]):
    """One operation of one process."""

    process: str
    """Whoever did it. A process does one thing after the other."""
    action: A
    invoked: float
    """When it was asked for, in seconds of one monotonic clock."""
    returned: float = NEVER
    """When the answer was there; never, for one whose outcome is unknown: it may take effect as late as that."""
    ended: float = NEVER
    """When the client stopped waiting; never, for one that it waits for until the end of the run."""
    outcome: Outcome = Outcome.UNKNOWN
    answer: R | None = None
    reason: str = ""
    """Why it failed, or what hid its outcome."""

    @property
    def ok(self) -> bool:
        """Whether it certainly took effect."""
        return self.outcome is Outcome.OK

    @property
    def possible(self) -> bool:
        """Whether it may have taken effect."""
        return self.outcome is not Outcome.FAIL

    def before(self, other: "Operation[A, R]") -> bool:
        """Whether it was certainly over when the other one began."""
        return self.returned < other.invoked

    def told(self, since: float = 0.0) -> str:
        """One line of a report."""
        end = "      -" if self.returned == NEVER else f"{self.returned - since:7.3f}"
        what = f"{self.outcome} {self.reason}".strip() if self.answer is None else f"{self.outcome} -> {self.answer}"
        return f"{self.invoked - since:7.3f} .. {end}  {self.process:<8}  {self.action}  {what}"


class Recorder(Generic[A, R]):
    """Writes a history. An operation stands in it from the moment it is invoked: one that never ends is unknown."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self.history: list[Operation[A, R]] = []

    def invoke(self, process: str, action: A) -> Operation[A, R]:
        """Write down that it is asked for, before it is."""
        operation: Operation[A, R] = Operation(process, action, self._monotonic())
        self.history.append(operation)
        return operation

    def ok(self, operation: Operation[A, R], answer: R | None = None) -> None:
        """It was answered."""
        operation.returned = operation.ended = self._monotonic()
        operation.outcome, operation.reason = Outcome.OK, ""
        operation.answer = answer

    def fail(self, operation: Operation[A, R], reason: str) -> None:
        """It was refused."""
        operation.returned = operation.ended = self._monotonic()
        operation.outcome = Outcome.FAIL
        operation.reason = reason

    def unknown(self, operation: Operation[A, R], reason: str) -> None:
        """Nobody knows."""
        operation.ended = self._monotonic()
        operation.reason = reason


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise, with what proves it."""

    kind: str
    """Which promise: `lost`, `overlap`, ..."""
    sentence: str
    evidence: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n    ".join((f"{self.kind}: {self.sentence}", *self.evidence))


class Findings:
    """The broken promises of one history: all of them counted, the first of each kind kept."""

    KEPT = 5

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.kept: list[Violation] = []

    def add(self, kind: str, sentence: str, evidence: Iterable[str] = ()) -> None:
        """Note one."""
        self.counts[kind] += 1
        if self.counts[kind] <= self.KEPT:
            self.kept.append(Violation(kind, sentence, tuple(evidence)))
