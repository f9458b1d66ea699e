"""Runs cases against a target and says which promises were kept."""

import asyncio
from collections.abc import Callable, Iterable

from theory.core.clock import Clock, SystemClock
from theory.testing.capabilities import lacking
from theory.testing.case import Case, Lacking, Target
from theory.testing.report import Outcome, Report, Verdict
from theory.testing.why import told

CASE_TIMEOUT_S = 60.0
PATIENCE_S = 5.0
"""How long a target that a case made unreachable may take to come back."""

_PAUSE_S = 0.5


def _ignore(_: object) -> None:
    """Nobody is told."""


async def run(
    cases: Iterable[Case],
    target: Target,
    *,
    timeout_s: float = CASE_TIMEOUT_S,
    at_once: int = 1,
    on_case: Callable[[Case], None] = _ignore,
    on_verdict: Callable[[Verdict], None] = _ignore,
    clock: Clock | None = None,
) -> Report:
    """Run `cases`, `at_once` of them at a time; they share nothing, so their order does not matter.

    A case that raises, that takes longer than `timeout_s`, or behind which the target no longer answers, is a promise
    broken. Where the target stays away the cases that were not begun are skipped. `on_verdict` is told of each as it
    ends; the report has them in their order.
    """
    running = _Run(target, timeout_s, on_case, on_verdict, clock or SystemClock())
    waiting = iter(list(enumerate(cases)))
    verdicts: dict[int, Verdict] = {}

    async def work() -> None:
        for idx, each in waiting:
            verdicts[idx] = await running.held(each)

    async with asyncio.TaskGroup() as group:
        for _ in range(max(1, at_once)):
            group.create_task(work())
    return Report([verdicts[idx] for idx in sorted(verdicts)])


class _Run:
    def __init__(
        self,
        target: Target,
        timeout_s: float,
        on_case: Callable[[Case], None],
        on_verdict: Callable[[Verdict], None],
        clock: Clock,
    ) -> None:
        self._target = target
        self._timeout_s = timeout_s
        self._on_case = on_case
        self._on_verdict = on_verdict
        self._clock = clock
        self._away = ""

    async def held(self, case: Case) -> Verdict:
        verdict = await self._verdict(case)
        self._on_verdict(verdict)
        return verdict

    async def _verdict(self, case: Case) -> Verdict:
        if missing := case.missing(self._target):
            return Verdict(case, Outcome.SKIPPED, lacking(missing), missing=missing)
        if self._away:
            return Verdict(case, Outcome.SKIPPED, f"not run: the target no longer answers ({self._away})")
        self._on_case(case)
        began = self._clock.monotonic()
        broken = await self._broken(case)
        seconds = self._clock.monotonic() - began
        if isinstance(broken, Lacking):
            return Verdict(case, Outcome.SKIPPED, str(broken), seconds)
        if left := await self._unreachable():
            why = f"the target no longer answers after it: {told(left)}"
            return Verdict(case, Outcome.BROKEN, why, seconds, error=broken or left)
        if broken is not None:
            return Verdict(case, Outcome.BROKEN, told(broken), seconds, error=broken)
        return Verdict(case, Outcome.KEPT, seconds=seconds)

    async def _broken(self, case: Case) -> Exception | None:
        """What the case raised."""
        limit = asyncio.timeout(self._timeout_s)
        try:
            async with limit:
                await case.check(self._target)
        except Exception as error:  # noqa: BLE001 - whatever a case raises says that its promise does not hold
            if limit.expired():
                return TimeoutError(f"it had not ended after {self._timeout_s:g} s")
            return error
        return None

    async def _unreachable(self) -> Exception | None:
        """Why the target does not answer, though it was given time to come back; None where it answered at once."""
        first = await self._silence()
        if first is not None:
            ends = self._clock.monotonic() + PATIENCE_S
            while (still := await self._silence()) is not None:
                if self._clock.monotonic() >= ends:
                    self._away = self._away or told(still)
                    break
                await self._clock.sleep(_PAUSE_S)
        return first

    async def _silence(self) -> Exception | None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._target.answers()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no answer
            return error
        return None
