"""Runs cases against a target and says which promises were kept."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from theory.testing.case import Case, Target

CASE_TIMEOUT_S = 30.0


@dataclass
class Report:
    """What became of each case."""

    kept: list[Case] = field(default_factory=list)
    broken: list[tuple[Case, Exception]] = field(default_factory=list)
    skipped: list[tuple[Case, frozenset[str]]] = field(default_factory=list)
    """With the capabilities that were missing."""

    @property
    def ok(self) -> bool:
        """Whether no promise was broken. A run that kept none proves nothing, and is not ok."""
        return bool(self.kept) and not self.broken


async def run(
    cases: Iterable[Case],
    target: Target,
    *,
    timeout_s: float = CASE_TIMEOUT_S,
    on_case: Callable[[Case], None] | None = None,
) -> Report:
    """Run `cases` one after the other; a case that raises, or takes longer than `timeout_s`, is a promise broken."""
    report = Report()
    for each in cases:
        if missing := each.missing(target):
            report.skipped.append((each, missing))
            continue
        if on_case is not None:
            on_case(each)
        try:
            async with asyncio.timeout(timeout_s):
                await each.check(target)
        except Exception as error:  # noqa: BLE001 - whatever a case raises says that its promise does not hold
            report.broken.append((each, error))
        else:
            report.kept.append(each)
    return report
