"""Readers that wait for a chunk: woken by appends of this process, without holding a connection of any backend."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from services.artifacts.streams.ports import StreamKey
from theory.core.clock import Clock, until_set

MAX_WAITING = 512
"""The most readers that wait at once; the next one is answered at once, as if it had asked for no wait."""

LOOK_EVERY_S = 1.0
"""How often a waiting reader looks by itself: what other replicas appended is seen by then."""

_Found = TypeVar("_Found")


class Waiters:
    """Those who wait, stream by stream. An append wakes all of its stream: each reads the same chunks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[StreamKey, set[asyncio.Event]] = {}
        self._count = 0

    def poke(self, key: StreamKey) -> None:
        """Say that something was appended."""
        for event in self._waiting.get(key, ()):
            event.set()

    async def until(
        self, key: StreamKey, wait_s: float, look: Callable[[], Awaitable[_Found]], enough: Callable[[_Found], bool]
    ) -> _Found:
        """What the first look finds that is `enough`, or the last one within `wait_s` seconds."""
        if wait_s <= 0 or self._count >= MAX_WAITING:
            return await look()
        ends = self._clock.monotonic() + wait_s
        with self._listening(key) as woken:
            while True:
                woken.clear()  # before the look: what comes after it is not missed
                found = await look()
                left_s = ends - self._clock.monotonic()
                if enough(found) or left_s <= 0:
                    return found
                await until_set(woken, self._clock, min(left_s, LOOK_EVERY_S))

    @contextmanager
    def _listening(self, key: StreamKey) -> Iterator[asyncio.Event]:
        event = asyncio.Event()
        self._waiting.setdefault(key, set()).add(event)
        self._count += 1
        try:
            yield event
        finally:
            self._count -= 1
            self._waiting[key].discard(event)
            if not self._waiting[key]:
                del self._waiting[key]
