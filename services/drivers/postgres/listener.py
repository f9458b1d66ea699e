"""What other replicas note: heard over a connection of its own, for as long as the server is there."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg

from services.drivers.postgres.session import CHANNEL
from theory.core.clock import Clock

_FIRST_PAUSE_S = 0.1
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
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to listen."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="postgres.listener")

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                async with await self._connect() as connection:
                    await connection.execute(f"LISTEN {CHANNEL}".encode())
                    pause_s = _FIRST_PAUSE_S
                    async for note in connection.notifies():
                        if note.pid != self._own():
                            self._hear(note.payload)
            except psycopg.Error as error:
                _log.info("postgres.deaf", extra={"theory_fields": {"why": repr(error), "pause_s": pause_s}})
            await self._clock.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
