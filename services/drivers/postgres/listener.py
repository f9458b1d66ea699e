"""What other replicas note: heard over a connection of its own, for as long as the server is there."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg

from services.drivers.background import Background, Pauses
from services.drivers.postgres.session import CHANNEL
from theory.core.clock import Clock

_LONGEST_PAUSE_S = 5.0

_log = logging.getLogger(__name__)


class Listener:
    """What is noted while the server is away is not heard: notes are hints, no facts."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[psycopg.AsyncConnection[Any]]],
        hear: Callable[[str], None],
        clock: Clock,
        *,
        own: Callable[[], int],
    ) -> None:
        """`own` tells whose notes are passed over: those of this process."""
        self._connect = connect
        self._hear = hear
        self._clock = clock
        self._own = own
        self._background = Background("postgres.listener", self._run)

    def start(self) -> None:
        """Begin to listen."""
        self._background.start()

    async def close(self) -> None:
        """Stop."""
        await self._background.close()

    async def _run(self) -> None:
        pauses = Pauses(self._clock, longest_s=_LONGEST_PAUSE_S)
        while True:
            try:
                async with await self._connect() as connection:
                    await connection.execute(f"LISTEN {CHANNEL}".encode())
                    pauses.reset()
                    async for note in connection.notifies():
                        if note.pid != self._own():
                            self._hear(note.payload)
            except psycopg.Error as error:
                _log.info("postgres.deaf", extra={"theory_fields": {"why": repr(error), "pause_s": pauses.next_s}})
            await pauses.make()
