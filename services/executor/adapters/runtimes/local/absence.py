"""An engine that goes away and comes back: it is restarted more often than it is gone for good."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from services.executor.adapters.runtimes.local.containers import Containers
from theory.core.clock import Clock
from theory.core.errors import NotReady

T = TypeVar("T")

PATIENCE_S = 60.0
"""How long the engine may be away before nobody waits for it any more."""
_ASK_AGAIN_S = 0.5


class Absence:
    """Waits until an engine answers again."""

    def __init__(self, containers: Containers, clock: Clock) -> None:
        self._containers = containers
        self._clock = clock

    async def over(self) -> bool:
        """Return once the engine answers; False where it does not for too long."""
        until = self._clock.monotonic() + PATIENCE_S
        while self._clock.monotonic() < until:
            await self._clock.sleep(_ASK_AGAIN_S)
            if await self._containers.reachable():
                return True
        return False

    async def sat_out(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask` returns, asked again whenever the engine is back; `NotReady` where it is away for too long.

        For what may be asked again after a lost answer.
        """
        until = self._clock.monotonic() + PATIENCE_S
        while True:
            try:
                return await ask()
            except NotReady as error:
                # It may come and go: that is the same absence.
                if error.reason != "ENGINE_DOWN" or self._clock.monotonic() >= until or not await self.over():
                    raise
