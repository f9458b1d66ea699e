"""Events on their way to the ledger from adapters that cannot keep them: sent soon, in order, lost by a crash."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeAlias

from services.drivers.background import Background
from theory.core.clock import Clock
from theory.core.errors import AlreadyExists, Denied, Invalid, TheoryError
from theory.core.ledger import Appended, PlanEvent

Append: TypeAlias = Callable[[Sequence[PlanEvent]], Awaitable[Sequence[Appended | TheoryError]]]
"""How the ledger takes events: one answer each, in order; raises where the call failed as a whole."""

Emit: TypeAlias = Callable[[Iterable[PlanEvent]], None]
"""Takes events without waiting."""

FOR_EVER = (Invalid, AlreadyExists, Denied)
"""Answers that no repeat changes."""

MAX_WAITING = 10_000

_log = logging.getLogger(__name__)

_BATCH = 500
_PAUSE_S = 0.5


class BestEffort:
    """A bounded line of events. While the ledger is away the oldest are dropped, counted and logged."""

    def __init__(self, append: Append, clock: Clock) -> None:
        self._append = append
        self._clock = clock
        self._waiting: deque[PlanEvent] = deque()
        self._poked = asyncio.Event()
        self._background = Background("events", self._run)
        self.dropped = 0
        """How many were given up."""

    def emit(self, events: Iterable[PlanEvent]) -> None:
        """Put events at the end of the line."""
        self._waiting.extend(events)
        if (excess := len(self._waiting) - MAX_WAITING) > 0:
            for _ in range(excess):
                self._waiting.popleft()
            self._drop(excess, "the line is full")
        if self._waiting:
            self._poked.set()

    def start(self) -> None:
        """Begin to send."""
        self._background.start()

    async def ready(self) -> None:
        """Always: whatever happens to the ledger, the effects go on."""

    async def close(self) -> None:
        """Send what is left if the ledger takes it now; stop."""
        if not self._background.started:
            return
        await self._background.close()
        try:
            while self._waiting:
                await self._send()
        except TheoryError as error:
            self._drop(len(self._waiting), error.reason)
            self._waiting.clear()

    async def _run(self) -> None:
        while True:
            await self._poked.wait()
            try:
                while self._waiting:
                    await self._send()
                self._poked.clear()
            except Exception as error:  # noqa: BLE001 - whatever it was, the next events must leave one day
                _log.warning("events.wait", extra={"theory_fields": {"error": repr(error)}})
                await self._clock.sleep(_PAUSE_S)

    async def _send(self) -> None:
        batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
        try:
            answers = await self._append(batch)
        except BaseException:
            self._waiting.extendleft(reversed(batch))
            raise
        again = []
        for event, answer in zip(batch, answers, strict=True):
            if isinstance(answer, FOR_EVER):
                self._drop(1, answer.reason)
            elif isinstance(answer, TheoryError):
                again.append(event)
        if again:
            self._waiting.extendleft(reversed(again))
            raise TheoryError("INTERNAL", "the ledger did not take every event")

    def _drop(self, count: int, why: str) -> None:
        self.dropped += count
        _log.warning("events.dropped", extra={"theory_fields": {"count": count, "why": why, "total": self.dropped}})
