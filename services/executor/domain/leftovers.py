"""Leftovers: what an attempt leaves behind is removed when it ends, or again and again until it can be."""

import logging
from collections.abc import Callable

from services.executor.ports import Places, Runtime
from theory.core.clock import Clock

_log = logging.getLogger(__name__)

TRIED_EVERY_S = 60.0


class Leftovers:
    """Removes the container and the place of attempts that have ended."""

    def __init__(self, *, places: Places, runtime: Callable[[str], Runtime], clock: Clock) -> None:
        self._places = places
        self._runtime = runtime
        self._clock = clock
        self._kind_by_name: dict[str, str] = {}

    async def remove(self, name: str, kind: str) -> None:
        """Remove what the attempt `name` of a runtime left. What cannot be removed now is tried again later."""
        try:
            await self._runtime(kind).release(name)
            await self._places.remove(name)
        except Exception:  # noqa: BLE001 - the attempt has ended; what is left of it must not undo that
            _log.warning("attempt.left", exc_info=True, extra={"theory_fields": {"place": name}})
            self._kind_by_name[name] = kind
        else:
            self._kind_by_name.pop(name, None)

    async def run(self) -> None:
        """Try again, for ever, what could not be removed."""
        while True:
            await self._clock.sleep(TRIED_EVERY_S)
            for name, kind in list(self._kind_by_name.items()):
                await self.remove(name, kind)
