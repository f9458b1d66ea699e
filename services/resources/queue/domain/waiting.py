"""Consumers that wait for a message: what they look for, and when the store says that something comes."""

from collections.abc import Awaitable, Callable
from math import inf
from typing import TypeAlias

from services.resources.queue.ports import Consumed
from theory.core.waiting import Waiting

_SOONEST_S = 0.01

_Place: TypeAlias = tuple[str, str]


class Waiters(Waiting[_Place]):
    """Those who wait, topic by topic, first come first woken."""

    def poke(self, plan_id: str, topic: str, count: int | None = None) -> None:
        """Wake the first `count` who wait for this topic and are not woken yet; all of them for None."""
        self.wake((plan_id, topic), count)

    async def consume(
        self, plan_id: str, topic: str, wait_s: float, look: Callable[[], Awaitable[Consumed]]
    ) -> Consumed:
        """What the first look finds, or a later one within `wait_s` seconds; empty at their end."""
        return await self.until((plan_id, topic), wait_s, look, _again_s)


def _again_s(found: Consumed) -> float | None:
    if found.messages:
        return None
    return inf if found.next_visible_s is None else max(_SOONEST_S, found.next_visible_s)
