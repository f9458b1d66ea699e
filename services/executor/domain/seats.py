"""How many executions run at once, and that of several with one memo key only one does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from services.executor.domain.flights import Flights
from services.executor.ports import ExecutionRecord
from theory.core.ids import ExecutionId, PlanId


class Seats:
    """Slots and flights of one process. What an earlier process had begun is given its own before anything begins."""

    def __init__(self, most: int, flights: Flights | None = None) -> None:
        """`flights` where other executors may share the state."""
        self._among_others = flights
        self._slots = asyncio.Semaphore(most)
        self._flights: dict[str, tuple[asyncio.Lock, int]] = {}
        self._kept: dict[ExecutionId, _Kept] = {}

    async def take_up(self, record: ExecutionRecord, key: str | None) -> None:
        """Keep a slot for an attempt that runs already, and the flight of its key, if it has one.

        Where there are fewer slots than such attempts, the others do without: nobody who has a flight waits for a slot.
        """
        kept = self._kept[record.execution_id] = _Kept(record.plan_id)
        if not self._slots.locked():
            await kept.slot.enter_async_context(self._slots)
        if key is not None and key not in self._flights:
            await kept.flight.enter_async_context(self._alone(key, under_way=True))
            kept.key = key

    async def let_go(self, plan_id: PlanId) -> None:
        """Give back what is kept for attempts of a plan and was never asked for."""
        for execution_id in [each for each, kept in self._kept.items() if kept.plan_id == plan_id]:
            await self._give_back(execution_id)

    @asynccontextmanager
    async def slot(self, record: ExecutionRecord) -> AsyncIterator[None]:
        """One of the slots: what is kept for the execution, or the next that is free."""
        if record.execution_id in self._kept:
            try:
                yield
            finally:
                await self._give_back(record.execution_id)
        else:
            async with self._slots:
                yield

    @asynccontextmanager
    async def flight(self, record: ExecutionRecord, key: str | None) -> AsyncIterator[None]:
        """Nobody else has the key meanwhile; whoever comes next finds the result, if there is one to find.

        Without a key nobody waits for anybody.
        """
        kept = self._kept.get(record.execution_id)
        if kept is not None and kept.key == key is not None:
            async with kept.flight:
                kept.key = None
                yield
        elif key is None:
            yield
        else:
            async with self._alone(key, under_way=record.attempt is not None):
                yield

    async def _give_back(self, execution_id: ExecutionId) -> None:
        kept = self._kept.pop(execution_id, None)
        if kept is not None:
            await kept.flight.aclose()
            await kept.slot.aclose()

    @asynccontextmanager
    async def _alone(self, key: str, *, under_way: bool) -> AsyncIterator[None]:
        lock, waiting = self._flights.get(key) or (asyncio.Lock(), 0)
        self._flights[key] = (lock, waiting + 1)
        try:
            async with lock:
                if self._among_others is None:
                    yield
                else:
                    async with self._among_others.alone(key, under_way=under_way):
                        yield
        finally:
            lock, waiting = self._flights[key]
            if waiting == 1:
                del self._flights[key]
            else:
                self._flights[key] = (lock, waiting - 1)


class _Kept:
    """What is kept for an attempt until its execution asks for it."""

    def __init__(self, plan_id: PlanId) -> None:
        self.plan_id = plan_id
        self.slot = AsyncExitStack()
        self.flight = AsyncExitStack()
        self.key: str | None = None
        """Of the flight that is kept."""
