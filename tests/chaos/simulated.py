"""A world in which hours pass in milliseconds: an event loop that jumps to its next timer, and clients far away."""

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeVar

from theory.core.clock import SystemClock
from theory.core.errors import Unavailable

T = TypeVar("T")

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class LoopClock(SystemClock):
    """The time of the running event loop: the machine's, or the simulated one."""

    def now(self) -> datetime:
        """The wall clock, which agrees with the loop."""
        return _EPOCH + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """The loop's own."""
        return asyncio.get_running_loop().time()


class _Jump(selectors.SelectSelector):
    """Where there is nothing to do, time passes at once."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everybody waits for somebody else"
        self.now += max(0.0, timeout)
        return super().select(0)


class _SimulatedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now


def simulate(main: Coroutine[Any, Any, T]) -> T:
    """What `main` returns, in simulated time: no second of it is waited for, and the same seed gives the same run."""
    with asyncio.Runner(loop_factory=_SimulatedLoop) as runner:
        return runner.run(main)


class Line:
    """The way from clients to a store and back: it takes time, it loses requests and answers, it breaks."""

    def __init__(self, clock: LoopClock, chance: Random, *, latency_s: float = 0.02, loss: float = 0.004) -> None:
        self._clock = clock
        self._chance = chance
        self._latency_s = latency_s
        self.loss = loss
        """The share of requests, and of answers, that is lost."""
        self._lives = 0

    def cut(self) -> None:
        """Whoever waits for an answer gets none."""
        self._lives += 1

    async def call(self, served: Callable[[], Awaitable[T]]) -> T:
        """Ask the store; `Unavailable` where the request or the answer was lost."""
        life = self._lives
        await self._pass(life)
        answer = await served()
        await self._pass(life)
        return answer

    async def _pass(self, life: int) -> None:
        await self._clock.sleep(self._chance.expovariate(1 / self._latency_s))
        if life != self._lives or self._chance.random() < self.loss:
            raise Unavailable("SERVICE_UNREACHABLE", "the line broke")
