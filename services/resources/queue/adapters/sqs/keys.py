"""Idempotency keys that one process remembers: SQS knows none where messages have no order."""

import asyncio
from collections import OrderedDict
from datetime import datetime
from typing import NamedTuple, TypeAlias

from services.resources.queue.ports import KEY_KEPT
from theory.core.adapters import Published
from theory.core.clock import Clock
from theory.core.errors import TheoryError

Where: TypeAlias = tuple[str, str, str]
"""Plan, topic, key."""

Outcome: TypeAlias = asyncio.Future[Published | TheoryError]
"""What became of the publish that came with the key first."""


class _Known(NamedTuple):
    forget_time: datetime
    outcome: Outcome


class RecentKeys:
    """At most so many; the oldest are forgotten first."""

    def __init__(self, clock: Clock, *, most: int = 100_000) -> None:
        self._clock = clock
        self._most = most
        self._known: OrderedDict[Where, _Known] = OrderedDict()

    def find(self, where: Where) -> Outcome | None:
        """The publish that has the key, under way or done; None where nothing is known."""
        known = self._known.get(where)
        return known.outcome if known is not None and known.forget_time > self._clock.now() else None

    def claim(self, where: Where) -> Outcome:
        """Take the key for a publish that begins now; it must be settled."""
        now = self._clock.now()
        self._known.pop(where, None)
        while self._known and (len(self._known) >= self._most or next(iter(self._known.values())).forget_time <= now):
            self._known.popitem(last=False)
        outcome: Outcome = asyncio.get_running_loop().create_future()
        self._known[where] = _Known(now + KEY_KEPT, outcome)
        return outcome

    def settle(self, where: Where, outcome: Outcome, answer: Published | TheoryError) -> None:
        """Say what became of it. A publish that failed leaves the key free."""
        if isinstance(answer, TheoryError) and where in self._known and self._known[where].outcome is outcome:
            del self._known[where]
        if not outcome.done():  # whoever waited for it may have gone
            outcome.set_result(answer)
