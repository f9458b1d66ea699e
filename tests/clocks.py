"""A clock to turn by hand that tells who sleeps on it, and for how long."""

import asyncio

from theory.core.clock import FakeClock


class AskedClock(FakeClock):
    """Remembers every sleep that was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float] = []
        self._more = asyncio.Event()

    async def sleep(self, s: float) -> None:
        """As the clock that it is."""
        self.asked.append(s)
        self._more.set()
        await super().sleep(s)

    async def until_asked(self, s: float, times: int = 1) -> None:
        """Return once somebody sleeps, or slept, for exactly `s` seconds, that often."""
        while self.asked.count(s) < times:
            self._more.clear()
            await self._more.wait()
