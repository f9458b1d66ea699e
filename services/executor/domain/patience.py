"""Waiting for a peer that is away: an execution outlives the restart of any service it needs."""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from theory.core.clock import Clock
from theory.core.errors import Exhausted, TheoryError, Unavailable

T = TypeVar("T")

_log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 5.0
_FLOODED = frozenset({"TOO_MANY_CALLS"})
_FLOODED_OR_FULL = _FLOODED | {"DISK_FULL"}


async def patiently(clock: Clock, call: Callable[[], Awaitable[T]]) -> T:
    """What `call` returns, however long its peer is away or flooded; every other error is raised.

    For calls that may be sent again after a lost answer.
    """
    return await _waited(clock, call, _FLOODED)


async def persistently(clock: Clock, call: Callable[[], Awaitable[T]]) -> T:
    """As `patiently`, and however long a disk is full.

    For the small things that must be written down before anything can go on: whoever gave up here would leave behind
    what cannot be written down either, and nobody would take it up when there is room again.
    """
    return await _waited(clock, call, _FLOODED_OR_FULL)


async def _waited(clock: Clock, call: Callable[[], Awaitable[T]], passing: frozenset[str]) -> T:
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return await call()
        except (Unavailable, TimeoutError, Exhausted) as error:
            if isinstance(error, Exhausted) and error.reason not in passing:
                raise
            if pause_s == LONGEST_PAUSE_S:
                reason = error.reason if isinstance(error, TheoryError) else "TIMEOUT"
                _log.warning("peer.away", extra={"theory_fields": {"reason": reason, "error": str(error)}})
            await clock.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
