"""Time: the one place where it is read, a clock that tests turn by hand, waiting with a limit, and RFC 3339 text."""

import asyncio
import re
import time
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import Protocol

from theory.core.errors import Invalid, shown


class Clock(Protocol):
    """Where time comes from. Everything that asks for the time takes one in its constructor."""

    def now(self) -> datetime:
        """The wall clock in UTC. May jump: never measure with it."""
        ...

    def monotonic(self) -> float:
        """Seconds since some point that is fixed for the life of the process. Never goes back."""
        ...

    async def sleep(self, s: float) -> None:
        """Return once `s` seconds of this clock have passed."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """The wall clock in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """The monotonic clock in seconds."""
        return time.monotonic()

    async def sleep(self, s: float) -> None:
        """Sleep on the event loop."""
        await asyncio.sleep(s)


class FakeClock:
    """A clock that stands still until `advance` is called: tests with timeouts neither wait nor race."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._elapsed = 0.0
        self._order = 0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._arrived = asyncio.Event()

    def now(self) -> datetime:
        """The time it was advanced to."""
        return self._now

    def monotonic(self) -> float:
        """The seconds it was advanced by."""
        return self._elapsed

    async def sleep(self, s: float) -> None:
        """Return once the clock was advanced by `s` seconds; a sleep of nothing only yields to the event loop."""
        if s <= 0:
            await asyncio.sleep(0)
            return
        wake = asyncio.get_running_loop().create_future()
        self._order += 1
        heappush(self._sleepers, (self._elapsed + s, self._order, wake))
        self._arrived.set()
        await wake

    def advance(self, s: float) -> None:
        """Let `s` seconds pass at once and wake, in order, whoever slept no longer than that."""
        self._now += timedelta(seconds=s)
        self._elapsed += s
        while self._sleepers and self._sleepers[0][0] <= self._elapsed:
            _, _, wake = heappop(self._sleepers)
            if not wake.done():
                wake.set_result(None)

    @property
    def sleepers(self) -> int:
        """How many tasks sleep on this clock."""
        return sum(not wake.done() for _, _, wake in self._sleepers)

    async def until_sleepers(self, count: int) -> None:
        """Return once at least `count` tasks sleep on this clock: the moment to advance it."""
        while self.sleepers < count:
            self._arrived.clear()
            await self._arrived.wait()


async def until_set(event: asyncio.Event, clock: Clock, limit_s: float) -> bool:
    """Return True once the event is set, or False once `limit_s` seconds have passed without."""
    if event.is_set():
        return True
    waits = (asyncio.ensure_future(event.wait()), asyncio.ensure_future(clock.sleep(limit_s)))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    return event.is_set()


# Newer Pythons would read hour 24 as the next day.
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT(?!24)\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?Z", re.ASCII).fullmatch


def rfc3339(moment: datetime) -> str:
    """`moment` as `2026-01-02T03:04:05.000006Z`: always UTC, always six digits, so text order is time order."""
    if moment.tzinfo is not UTC:
        if moment.tzinfo is None:
            raise Invalid("TIME_INVALID", "a time needs a time zone", value=moment.isoformat())
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="microseconds")[:-6] + "Z"


def parse_rfc3339(text: str) -> datetime:
    """The moment that `text` names; `Invalid` (`TIME_INVALID`) unless it ends in `Z`, with at most 6 decimals."""
    if match := _RFC3339(text):
        try:
            return datetime.fromisoformat(f"{match[1]}.{(match[2] or '0').ljust(6, '0')}+00:00")
        except ValueError:  # the 30th of February
            match = None
    raise Invalid("TIME_INVALID", "a time is written 2026-01-02T03:04:05.000006Z", value=shown(text))
