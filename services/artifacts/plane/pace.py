"""How slowly a client may send or take: it never waits for long at once, nor a little for ever."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from theory.core.errors import Unavailable

BYTES_PER_S = 64 * 1024
"""What a client has to reach on the average, once it had its first `idle_s`."""


class Pace:
    """One body on its way. Real time: what it bounds are connections."""

    def __init__(self, idle_s: float) -> None:
        self._idle_s = idle_s
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._size_bytes = 0

    def moved(self, size_bytes: int) -> None:
        """So many bytes have gone through."""
        self._size_bytes += size_bytes

    @asynccontextmanager
    async def waiting(self, size_bytes: int = 0) -> AsyncIterator[None]:
        """Wait for the client inside a block, which moves at most `size_bytes` at once.

        `Unavailable` (`CLIENT_SLOW`) where that takes too long.
        """
        due = (self._size_bytes + size_bytes) / BYTES_PER_S
        until = min(self._loop.time() + size_bytes / BYTES_PER_S, self._began + due) + self._idle_s
        try:
            async with asyncio.timeout_at(until):
                yield
        except TimeoutError:
            raise Unavailable("CLIENT_SLOW", "too few bytes came through for too long") from None
