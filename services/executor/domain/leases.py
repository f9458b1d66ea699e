"""Holding plans: an executor that shares its database with others says that it lives, and takes what nobody holds."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Protocol

from services.executor.ports import ExecutorState
from theory.core.clock import Clock
from theory.core.errors import TheoryError
from theory.core.ids import PlanId

_log = logging.getLogger(__name__)

BEATS = 3
"""How often a lease is prolonged before it would run out."""
_SAFE = 2 / 3
"""The part of a lease after which plans are dropped that could not be prolonged: before another one takes them."""


class Carried(Protocol):
    """What is carried on here: the plans, as far as leases are concerned with them."""

    @property
    def carried(self) -> frozenset[PlanId]:
        """The plans that are held, or of which something is left here."""
        ...

    async def drop(self, plan_ids: Iterable[PlanId]) -> None:
        """Leave plans to another executor, and nothing of theirs here."""
        ...

    async def take_free(self) -> None:
        """Carry on what nobody holds."""
        ...


class Leases:
    """The heart of one executor among several. Not what keeps them apart: that is the epoch of the ledger."""

    def __init__(self, *, state: ExecutorState, plans: Carried, clock: Clock, lease_s: float) -> None:
        self._state = state
        self._plans = plans
        self._clock = clock
        self._lease_s = lease_s
        self._heard = clock.monotonic()

    async def run(self) -> None:
        """Beat, for ever. An executor that cannot, or that was stopped for too long, drops what it carries."""
        self._heard = self._clock.monotonic()
        while True:
            await self._clock.sleep(self._lease_s / BEATS)
            await self._beat()

    async def _beat(self) -> None:
        carried = self._plans.carried
        try:
            async with asyncio.timeout(self._lease_s / BEATS):
                held = await self._state.prolong_leases()
        except (TheoryError, TimeoutError):
            if self._clock.monotonic() - self._heard >= self._lease_s * _SAFE:
                await self._drop(carried)
            return
        self._heard = self._clock.monotonic()
        # What has ended meanwhile is not held any more, nor carried.
        await self._drop((carried & self._plans.carried) - held)
        await self._plans.take_free()

    async def _drop(self, plan_ids: frozenset[PlanId]) -> None:
        if plan_ids:
            names = sorted(each.text for each in plan_ids)
            _log.warning("plans.dropped", extra={"theory_fields": {"plan_ids": names}})
            await self._plans.drop(plan_ids)
