"""Work of a service that goes on by itself, and the pauses that it makes where something fails."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine

from theory.core.clock import Clock

_FIRST_PAUSE_S = 0.1


class Background:
    """A task that runs from `start` to `close`."""

    def __init__(self, name: str, run: Callable[[], Coroutine[object, object, None]]) -> None:
        self._name = name
        self._run = run
        self._task: asyncio.Task[None] | None = None

    @property
    def started(self) -> bool:
        """Whether it was started and not closed since."""
        return self._task is not None

    def start(self) -> None:
        """Begin, unless it has begun."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=self._name)

    async def close(self) -> None:
        """Cancel it and wait for its end, if it has begun."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None


class Pauses:
    """How long to wait before the next try: each time twice as long, until something goes well."""

    def __init__(self, clock: Clock, *, longest_s: float) -> None:
        self._clock = clock
        self._longest_s = longest_s
        self.next_s = _FIRST_PAUSE_S
        """How long the next one is."""

    def reset(self) -> None:
        """Something went well: the next pause is short again."""
        self.next_s = _FIRST_PAUSE_S

    async def make(self) -> None:
        """Wait."""
        pause_s, self.next_s = self.next_s, min(2 * self.next_s, self._longest_s)
        await self._clock.sleep(pause_s)
