"""Work on one name at a time: who comes while it is under way waits for its outcome."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from theory.core.cid import Cid
from theory.core.errors import TheoryError

Outcome = TheoryError | None


@dataclass
class _Flight:
    task: asyncio.Task[Outcome]
    waiting: int = 0


class Flights:
    """Bytes under one CID are equal, so one outcome serves all that bring them at the same time."""

    def __init__(self) -> None:
        self._flights: dict[Cid, _Flight] = {}
        self._tasks: set[asyncio.Task[Outcome]] = set()

    async def join(self, cid: Cid, work: Callable[[], Coroutine[object, object, Outcome]]) -> Outcome:
        """The outcome of what is under way for `cid`, which is `work` if nothing is. It ends when nobody waits."""
        flight = self._flights.get(cid)
        if flight is None:
            flight = self._flights[cid] = _Flight(self.start(work()))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting:
                # Forgotten before it ends: nobody joins what is being cancelled.
                del self._flights[cid]
                flight.task.cancel()

    def start(self, work: Coroutine[object, object, Outcome]) -> asyncio.Task[Outcome]:
        """A task that `close` waits for."""
        task = asyncio.create_task(work, name="blobs")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Return once nothing is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)
