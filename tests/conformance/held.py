"""The cases of an adapter, run together once, and asked for one by one: those that wait do so side by side."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from tests.conformance.harness import Harness, at_once, target_of
from theory.testing.case import Case
from theory.testing.report import Outcome, Verdict
from theory.testing.runner import run

TIMEOUT_S = 150
"""Twice what the slowest case takes on a busy machine."""


class Held:
    """What became of the cases that were chosen; each adapter is run when the first of its cases is asked for."""

    def __init__(self, chosen: Mapping[tuple[str, str], Sequence[Case]]) -> None:
        self._chosen = chosen
        self._verdicts: dict[tuple[str, str], dict[Case, Verdict] | Exception] = {}

    def require(self, primitive: str, adapter: str, case: Case, harness: Harness) -> None:
        """Go on where the promise was kept; skip where the adapter does not claim what it needs, and fail otherwise."""
        at = primitive, adapter
        if at not in self._verdicts:
            try:
                self._verdicts[at] = asyncio.run(_verdicts(primitive, adapter, self._chosen[at], harness))
            except Exception as error:  # noqa: BLE001 - an adapter that cannot be opened keeps no promise
                self._verdicts[at] = error
        verdicts = self._verdicts[at]
        if isinstance(verdicts, Exception):
            raise verdicts
        verdict = verdicts[case]
        if verdict.outcome is Outcome.SKIPPED:
            pytest.skip(verdict.why)
        if verdict.outcome is Outcome.BROKEN:
            raise AssertionError(verdict.why) from verdict.error


async def _verdicts(primitive: str, adapter: str, cases: Sequence[Case], harness: Harness) -> dict[Case, Verdict]:
    async with target_of(primitive, adapter, harness) as target:
        report = await run(cases, target, timeout_s=TIMEOUT_S, at_once=at_once(adapter))
    return {each.case: each for each in report.verdicts}
