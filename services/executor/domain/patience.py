"""Waiting for a peer that is away: an execution outlives the restart of any service it needs."""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from theory.core.clock import Clock
from theory.core.errors import TheoryError, Unavailable

T = TypeVar("T")

_log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 5.0


async def patiently(clock: Clock, call: Callable[[], Awaitable[T]]) -> T:
    """What `call` returns, however long its peer is away; every other error is raised.

    For calls that may be sent again after a lost answer.
    """
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return await call()
        except (Unavailable, TimeoutError) as error:
            if pause_s == LONGEST_PAUSE_S:
                reason = error.reason if isinstance(error, TheoryError) else "TIMEOUT"
                _log.warning("peer.away", extra={"theory_fields": {"reason": reason, "error": str(error)}})
            await clock.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
