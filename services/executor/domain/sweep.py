"""Sweeping: what attempts of an earlier process left, and no open execution claims, is removed."""

import logging
from collections.abc import Mapping

from services.executor.domain.run import place_name
from services.executor.ports import ExecutorState, Places, Runtime
from theory.core.errors import TheoryError

_log = logging.getLogger(__name__)
_PAGE = 1_000


class Sweep:
    """Removes leftovers; what an open execution may still take up stays."""

    def __init__(self, *, state: ExecutorState, places: Places, runtimes: Mapping[str, Runtime]) -> None:
        self._state = state
        self._places = places
        self._runtimes = runtimes

    async def run(self) -> None:
        """Sweep runtimes, then places. What cannot be swept now is left for the next start; it holds up nothing."""
        keep = await self._kept()
        for kind, runtime in self._runtimes.items():
            try:
                removed = await runtime.reap(keep)
            except TheoryError as error:
                _log.warning("sweep.skipped", extra={"theory_fields": {"runtime": kind, "reason": error.reason}})
                continue
            if removed:
                _log.info("sweep.reaped", extra={"theory_fields": {"runtime": kind, "names": removed}})
        try:
            await self._places.sweep(keep)
        except TheoryError as error:
            _log.warning("sweep.skipped", extra={"theory_fields": {"reason": error.reason}})

    async def _kept(self) -> frozenset[str]:
        names: set[str] = set()
        for plan in await self._state.open_plans():
            ordinal = 0
            while page := await self._state.executions(plan.plan_id, from_ordinal=ordinal, limit=_PAGE):
                names |= {place_name(each) for each in page if each.attempt is not None}
                ordinal = page[-1].ordinal + 1
        return frozenset(names)
