"""Callers that wait for something to come: who is woken by what, without holding a connection of any backend."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from theory.core.clock import Clock, until_set

MAX_WAITING = 512
"""The most callers that wait at once; the next one is answered at once, as if it had asked for no wait."""

LOOK_EVERY_S = 1.0
"""How often one that waits looks by itself: what other replicas and other clocks did is seen by then."""

_Place = TypeVar("_Place", bound=Hashable)
_Found = TypeVar("_Found")


class Waiting(Generic[_Place]):
    """Those who wait, place by place, first come first woken."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[_Place, dict[asyncio.Event, None]] = {}
        self._count = 0

    def wake(self, place: _Place, count: int | None = None) -> None:
        """Wake the first `count` who wait at this place and are not woken yet; all of them for None."""
        for event in self._waiting.get(place, ()):
            if count is not None:
                if count <= 0:
                    break
                if event.is_set():
                    continue
                count -= 1
            event.set()

    async def until(
        self,
        place: _Place,
        wait_s: float,
        look: Callable[[], Awaitable[_Found]],
        again_s: Callable[[_Found], float | None],
    ) -> _Found:
        """What the first look finds that is enough, or the last one within `wait_s` seconds.

        `again_s` is None for what is enough, else the seconds after which another look may find more; infinite where
        nobody can say.
        """
        if wait_s <= 0 or self._count >= MAX_WAITING:
            return await look()
        ends = self._clock.monotonic() + wait_s
        with self._listening(place) as woken:
            while True:
                woken.clear()  # before the look: what comes after it is not missed
                found = await look()
                left_s = ends - self._clock.monotonic()
                pause_s = again_s(found)
                if pause_s is None or left_s <= 0:
                    return found
                await until_set(woken, self._clock, min(left_s, LOOK_EVERY_S, pause_s))

    @contextmanager
    def _listening(self, place: _Place) -> Iterator[asyncio.Event]:
        event = asyncio.Event()
        self._waiting.setdefault(place, {})[event] = None
        self._count += 1
        try:
            yield event
        finally:
            self._count -= 1
            del self._waiting[place][event]
            if not self._waiting[place]:
                del self._waiting[place]
