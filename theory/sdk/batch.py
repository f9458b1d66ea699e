"""Batches out of single calls: what is asked for within one turn of the event loop travels together."""

import asyncio
import copy
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeAlias, TypeVar

from theory.core.errors import Exhausted, TheoryError

K = TypeVar("K")
V = TypeVar("V")

Load: TypeAlias = Callable[[Sequence[K]], Awaitable[Sequence[V | TheoryError]]]
"""Answers a batch: one value, or one error, per item and in their order. An error of the whole batch is raised."""

_REPLY_FULL = "REPLY_FULL"


class Coalescer(Generic[K, V]):
    """Turns `await coalescer(item)` of many tasks into few calls of `load`.

    Items of one turn of the event loop make one batch, split at `max_items` and at `max_bytes`. While `max_in_flight`
    batches are on their way the next items wait and are joined by those that follow: under load batches grow by
    themselves, and without load nothing is delayed. Each item gets its own value or error; a batch that fails as a
    whole fails each of its items; items for which a reply had no room are asked for again. A caller that gives up
    leaves the others alone. A batch belongs to all of its callers: it knows the deadline and the request id of none.

    To be used within one event loop.
    """

    def __init__(
        self,
        load: Load[K, V],
        *,
        max_items: int,
        max_bytes: int | None = None,
        size_of: Callable[[K], int] | None = None,
        max_in_flight: int = 4,
    ) -> None:
        self._load = load
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._size_of = size_of
        self._max_in_flight = max_in_flight
        self._waiting: deque[tuple[K, asyncio.Future[V]]] = deque()
        self._batches: set[asyncio.Task[None]] = set()
        self._scheduled = False

    def __call__(self, item: K) -> Awaitable[V]:
        """The value of `item`; raises its error. The item is on its way whether or not this is awaited."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[V] = loop.create_future()
        self._waiting.append((item, answer))
        self._schedule(loop)
        return answer

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        """Send once everything that is ready to run now has run, and had the chance to add its items."""
        if not self._scheduled and len(self._batches) < self._max_in_flight:
            self._scheduled = True
            loop.call_soon(self._send, loop)

    def _send(self, loop: asyncio.AbstractEventLoop) -> None:
        self._scheduled = False
        while len(self._batches) < self._max_in_flight and (batch := self._take()):
            task = loop.create_task(self._run(batch), context=Context())
            self._batches.add(task)
            task.add_done_callback(self._ended)

    def _take(self) -> list[tuple[K, "asyncio.Future[V]"]]:
        """The next batch, without those whose callers gave up; one item at least, however large."""
        batch: list[tuple[K, asyncio.Future[V]]] = []
        room = self._max_bytes
        while self._waiting and len(batch) < self._max_items:
            item, answer = self._waiting[0]
            if not answer.done():
                if room is not None and self._size_of is not None:
                    room -= self._size_of(item)
                    if room < 0 and batch:
                        break
                batch.append((item, answer))
            self._waiting.popleft()
        return batch

    async def _run(self, batch: list[tuple[K, "asyncio.Future[V]"]]) -> None:
        try:
            values = await self._load([item for item, _ in batch])
            if len(values) != len(batch):
                raise TheoryError("INTERNAL", f"{len(batch)} items got {len(values)} answers")
        except asyncio.CancelledError:
            for _, answer in batch:
                answer.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - it is raised again, at every caller
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(copy.copy(error) if isinstance(error, TheoryError) else error)
            return
        self._settle(batch, values)

    def _settle(self, batch: list[tuple[K, "asyncio.Future[V]"]], values: Sequence[V | TheoryError]) -> None:
        again = []
        for entry, value in zip(batch, values, strict=True):
            answer = entry[1]
            if answer.done():
                continue
            if not isinstance(value, TheoryError):
                answer.set_result(value)
            elif isinstance(value, Exhausted) and value.reason == _REPLY_FULL:
                again.append(entry)
            else:
                answer.set_exception(value)
        if len(again) == len(batch):  # no room for any of them: asking again would ask for ever
            for _, answer in again:
                answer.set_exception(Exhausted(_REPLY_FULL, "a reply has no room for this item"))
        else:
            self._waiting.extendleft(reversed(again))

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._batches.discard(task)
        if self._waiting:
            self._schedule(task.get_loop())
