"""Leftovers: what an attempt leaves behind is removed when it ends, or again and again until it can be."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.executor.ports import Places, Runtime
from theory.core.clock import Clock, until_set

_log = logging.getLogger(__name__)

TRIED_EVERY_S = 60.0
HELD_S = 30.0
"""How long the removal of an attempt waits for whoever reads what it left."""


class Leftovers:
    """Removes the container and the place of attempts that have ended."""

    def __init__(self, *, places: Places, runtime: Callable[[str], Runtime], clock: Clock) -> None:
        self._places = places
        self._runtime = runtime
        self._clock = clock
        self._kind_by_name: dict[str, str] = {}
        self._holders: Counter[str] = Counter()
        self._held_until: dict[str, float] = {}
        self._due = asyncio.Event()

    async def remove(self, name: str, kind: str) -> None:
        """Remove what the attempt `name` of a runtime left. What cannot be removed now is tried again later."""
        if self._waits(name):
            self._kind_by_name[name] = kind
            self._due.set()
            return
        try:
            await self._runtime(kind).release(name)
            await self._places.remove(name)
        except Exception:  # noqa: BLE001 - the attempt has ended; what is left of it must not undo that
            _log.warning("attempt.left", exc_info=True, extra={"theory_fields": {"place": name}})
            self._kind_by_name[name] = kind
        else:
            self._kind_by_name.pop(name, None)

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Whoever reads what an attempt leaves: its removal waits for the end of the block, though not for ever."""
        self._holders[name] += 1
        try:
            yield
        finally:
            self._holders[name] -= 1
            if not self._holders[name]:
                del self._holders[name]
                self._due.set()

    def _waits(self, name: str) -> bool:
        """Whether somebody reads it whose time is not up yet; that begins with the first try to remove it."""
        now = self._clock.monotonic()
        if name in self._holders and now < self._held_until.setdefault(name, now + HELD_S):
            return True
        self._held_until.pop(name, None)
        return False

    async def run(self) -> None:
        """Try again, for ever, what could not be removed."""
        while True:
            due = await until_set(self._due, self._clock, HELD_S if self._held_until else TRIED_EVERY_S)
            self._due.clear()
            for name, kind in list(self._kind_by_name.items()):
                if not due or (name in self._held_until and name not in self._holders):
                    await self.remove(name, kind)
