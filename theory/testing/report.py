"""What became of cases: kept, broken or skipped, and why."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from theory.core.jcs import JSON
from theory.testing.case import Case


class Outcome(StrEnum):
    """How a case ended."""

    KEPT = "kept"
    BROKEN = "broken"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one case."""

    case: Case
    outcome: Outcome
    why: str = ""
    """One line, where it was not kept."""
    seconds: float = 0.0
    missing: frozenset[str] = frozenset()
    """The capabilities for which it was skipped; empty where it was something else."""
    error: BaseException | None = None
    """What a broken case raised."""

    def to_document(self) -> dict[str, JSON]:
        """As JSON."""
        return {
            **promise_document(self.case),
            "outcome": self.outcome.value,
            "why": self.why,
            "seconds": round(self.seconds, 3),
        }


@dataclass
class Report:
    """What became of each case, in the order in which they were given."""

    verdicts: list[Verdict] = field(default_factory=list)

    def of(self, outcome: Outcome) -> Iterator[Verdict]:
        """Those that ended so."""
        return (each for each in self.verdicts if each.outcome is outcome)

    def count(self, outcome: Outcome) -> int:
        """How many ended so."""
        return sum(1 for _ in self.of(outcome))

    @property
    def ok(self) -> bool:
        """Whether no promise was broken. A run that kept none proves nothing, and is not ok."""
        return self.count(Outcome.KEPT) > 0 and self.count(Outcome.BROKEN) == 0

    def to_document(self) -> dict[str, JSON]:
        """As JSON."""
        counts: dict[str, JSON] = {each.value: self.count(each) for each in Outcome}
        return {"promises": [each.to_document() for each in self.verdicts], **counts}


def promise_document(case: Case) -> dict[str, JSON]:
    """A promise by itself, as JSON."""
    return {
        "name": case.name,
        "sentence": case.sentence,
        "invariants": [f"I-{number}" for number in case.invariants],
        "needs": sorted(case.needs),
    }
