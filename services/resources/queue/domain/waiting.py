"""Consumers that wait for a message: who is woken by what, without holding a connection of any backend."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from services.resources.queue.ports import Consumed
from theory.core.clock import Clock, until_set

MAX_WAITING = 512
"""The most consumers that wait at once; the next one is answered at once, as if it had asked for no wait."""

LOOK_EVERY_S = 1.0
"""How often a waiting consumer looks by itself: what other replicas and other clocks did is seen by then."""

_SOONEST_S = 0.01

_Place: TypeAlias = tuple[str, str]


class Waiters:
    """Those who wait, topic by topic, first come first woken."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[_Place, dict[asyncio.Event, None]] = {}
        self._count = 0

    def poke(self, plan_id: str, topic: str, count: int | None = None) -> None:
        """Wake the first `count` who wait for this topic and are not woken yet; all of them for None."""
        for event in self._waiting.get((plan_id, topic), ()):
            if count is not None:
                if count <= 0:
                    break
                if event.is_set():
                    continue
                count -= 1
            event.set()

    async def consume(
        self, plan_id: str, topic: str, wait_s: float, look: Callable[[], Awaitable[Consumed]]
    ) -> Consumed:
        """What the first look finds, or a later one within `wait_s` seconds; empty at their end."""
        if wait_s <= 0 or self._count >= MAX_WAITING:
            return await look()
        ends = self._clock.monotonic() + wait_s
        with self._listening((plan_id, topic)) as woken:
            while True:
                woken.clear()  # before the look: what comes after it is not missed
                found = await look()
                left_s = ends - self._clock.monotonic()
                if found.messages or left_s <= 0:
                    return found
                pause_s = min(left_s, LOOK_EVERY_S)
                if found.next_visible_s is not None:
                    pause_s = min(pause_s, max(_SOONEST_S, found.next_visible_s))
                await until_set(woken, self._clock, pause_s)

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
