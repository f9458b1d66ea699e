"""Removes what an ended plan left: queues that were being made while it ended, and in time the word that it has."""

import logging
from typing import Self

from services.drivers.background import Background
from services.resources.queue.adapters.sqs.queues import Queues
from theory.core.clock import Clock
from theory.core.scratch import ENDED_KEPT

_EVERY_S = 3_600.0
_log = logging.getLogger(__name__)


class Reaper:
    """Looks through the queues of its deployment at the start and each hour. Any number of replicas may."""

    def __init__(self, queues: Queues, clock: Clock) -> None:
        self._queues = queues
        self._clock = clock
        self._background = Background("sqs reaper", self._run)

    @classmethod
    async def opened(cls, queues: Queues, clock: Clock) -> Self:
        """One that has not begun."""
        return cls(queues, clock)

    def start(self) -> None:
        """Begin to look."""
        self._background.start()

    async def ready(self) -> None:
        """Always: nobody waits for it."""

    async def close(self) -> None:
        """Stop; what is left is for the next time."""
        await self._background.close()

    async def sweep(self) -> None:
        """Look through all queues once."""
        for queues in (await self._queues.all()).values():
            ended = [url for name, url in queues if name.ended]
            if not ended:
                continue
            await self._queues.delete(url for name, url in queues if not name.ended)
            made = await self._queues.create_time(ended[0])
            if made is not None and self._clock.now() - made > ENDED_KEPT:
                await self._queues.delete(ended)

    async def _run(self) -> None:
        while True:
            try:
                await self.sweep()
            except Exception as error:  # noqa: BLE001 - whatever it was, it may be gone in an hour
                _log.warning("sqs.reaper", extra={"theory_fields": {"error": repr(error)}})
            await self._clock.sleep(_EVERY_S)
