"""Flights among executors: of those that share results one makes a result, and the others wait for it."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.executor.domain.patience import patiently
from services.executor.ports import ExecutorState
from theory.core.clock import Clock
from theory.core.errors import TheoryError

_log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.2
"""How long the end of another executor's flight may stay unseen."""


class Flights:
    """Memo keys that this executor has among others; within it, see `Seats`."""

    def __init__(self, state: ExecutorState, clock: Clock) -> None:
        self._state = state
        self._clock = clock

    @asynccontextmanager
    async def alone(self, key: str, *, under_way: bool) -> AsyncIterator[None]:
        """Wait until no other executor has the key, and have it for the block.

        What is under way does not wait: it runs already, whoever else runs the same.
        """
        try:
            while not await patiently(self._clock, lambda: self._state.take_flight(key)) and not under_way:
                await self._clock.sleep(LOOK_EVERY_S)
            yield
        finally:
            try:
                await self._state.leave_flight(key)
            except TheoryError:
                # It is free once its lease is over.
                _log.warning("flight.not_left", exc_info=True)
