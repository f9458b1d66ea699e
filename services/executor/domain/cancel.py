"""Cancelling: what was asked to end early, and how whoever carries it out learns of it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from services.executor.domain.patience import patiently
from services.executor.ports import ExecutionRecord, ExecutorState, PlanRecord
from theory.core.clock import Clock
from theory.core.execution import Failure
from theory.core.ids import ExecutionId, PlanId

_log = logging.getLogger(__name__)

CANCELLED = Failure("CANCELLED", "it was cancelled", {})

_LOOK_EVERY_S = 1.0
"""How long a request that another replica took may stay unseen by the one that carries the plan out."""


class Stopped(Exception):
    """What was waited for is not wanted any more: the execution is to end."""


class Stop:
    """Whether one execution is to end early; once asked, for ever. Costs no task while nobody asks."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self._scopes: set[asyncio.Timeout] = set()
        self._endings: set[Callable[[], None]] = set()

    def ask(self) -> None:
        """End it."""
        self.event.set()
        for scope in self._scopes:
            scope.reschedule(asyncio.get_running_loop().time())
        for begin in self._endings:
            begin()

    @asynccontextmanager
    async def heeded(self) -> AsyncIterator[None]:
        """Give the block up, wherever it waits, once the execution is to end: `Stopped`.

        For what may be given up at any point: nothing of it is under way that had to be ended first.
        """
        if self.event.is_set():
            raise Stopped
        scope = asyncio.timeout(None)
        try:
            async with scope:
                self._scopes.add(scope)
                try:
                    yield
                finally:
                    self._scopes.discard(scope)
        except TimeoutError:
            if scope.expired():
                raise Stopped from None
            raise

    @asynccontextmanager
    async def passed_on(self, end: Callable[[], Awaitable[None]], clock: Clock) -> AsyncIterator[None]:
        """While the block runs: once the execution is to end, call `end`, again and again until it is heard."""
        ending: list[asyncio.Task[None]] = []

        def begin() -> None:
            if not ending:
                ending.append(asyncio.create_task(_heard(end, clock)))

        self._endings.add(begin)
        if self.event.is_set():
            begin()
        try:
            yield
        finally:
            self._endings.discard(begin)
            for task in ending:
                task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)


async def _heard(end: Callable[[], Awaitable[None]], clock: Clock) -> None:
    try:
        await patiently(clock, end)
    except Exception:  # noqa: BLE001 - the attempt goes on to its deadline then, and somebody should know why
        _log.exception("attempt.not_cancelled")


class Stops:
    """What of one plan is to end early. It only grows."""

    def __init__(self) -> None:
        self.whole = False
        """Whether all of the plan is."""
        self.news = asyncio.Event()
        """Set whenever there is more; whoever looks clears it first."""
        self._by_execution: dict[ExecutionId, Stop] = {}

    def add(self, execution_id: ExecutionId | None) -> None:
        """End this execution, or the whole plan where there is none. Again changes nothing."""
        if self.whole or (execution_id is not None and self.asked(execution_id)):
            return
        if execution_id is None:
            self.whole = True
            told = list(self._by_execution.values())
        else:
            told = [self.of(execution_id)]
        for stop in told:
            stop.ask()
        self.news.set()

    def asked(self, execution_id: ExecutionId) -> bool:
        """Whether the execution is to end."""
        return self.whole or (execution_id in self._by_execution and self._by_execution[execution_id].event.is_set())

    def of(self, execution_id: ExecutionId) -> Stop:
        """Whether the execution is to end, for whoever carries it out."""
        if (stop := self._by_execution.get(execution_id)) is None:
            stop = self._by_execution[execution_id] = Stop()
            if self.whole:
                stop.ask()
        return stop


class Cancellations:
    """Takes requests down, and tells whoever carries the plan out: here at once, in another replica within a second."""

    def __init__(self, state: ExecutorState, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self._followed: dict[PlanId, Stops] = {}

    async def cancel_plan(self, plan_id: PlanId) -> PlanRecord:
        """Ask for the end of a plan; one that has ended stays as it is. `NotFound` (`PLAN_UNKNOWN`)."""
        plan = await self._state.plan(plan_id)
        if not plan.state.terminal:
            await self._ask(plan_id, None)
        return plan

    async def cancel_execution(self, execution_id: ExecutionId) -> ExecutionRecord:
        """Ask for the end of an execution; one that has ended stays as it is. `NotFound` (`EXECUTION_UNKNOWN`)."""
        record = await self._state.execution(execution_id)
        if not record.state.terminal:
            await self._ask(record.plan_id, execution_id)
        return record

    async def _ask(self, plan_id: PlanId, execution_id: ExecutionId | None) -> None:
        await self._state.ask_to_cancel(plan_id, execution_id)
        if stops := self._followed.get(plan_id):
            stops.add(execution_id)

    @asynccontextmanager
    async def followed(self, plan_id: PlanId) -> AsyncIterator[Stops]:
        """What of the plan is to end, for as long as it is carried out."""
        stops = self._followed.setdefault(plan_id, Stops())
        try:
            await patiently(self._clock, lambda: self._look([plan_id]))
            yield stops
        finally:
            del self._followed[plan_id]

    async def run(self) -> None:
        """Look, for ever, for what other replicas took down."""
        while True:
            await self._clock.sleep(_LOOK_EVERY_S)
            if self._followed:
                await patiently(self._clock, lambda: self._look(list(self._followed)))

    async def _look(self, plan_ids: Sequence[PlanId]) -> None:
        for plan_id, execution_id in await self._state.asked_to_cancel(plan_ids):
            if stops := self._followed.get(plan_id):
                stops.add(execution_id)
