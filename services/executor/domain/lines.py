"""Lines: how many executions of a plan, and of a processor over all plans, run at once, as the policies say."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace

from services.executor.ports import ExecutionRecord, ExecutorState, PlanRecord
from theory.core.clock import Clock, until_set
from theory.core.errors import TheoryError
from theory.core.execution import Wait
from theory.core.ids import ExecutionId
from theory.core.spec import PolicyDoc

_log = logging.getLogger(__name__)

LEASE_S = 30.0
"""How long an execution keeps its place in a line after its executor was last heard of."""
_KEPT_EVERY_S = LEASE_S / 3
_LOOK_EVERY_S = 0.5
"""How long a place that another executor's execution left may stay unseen."""
_TOLD_AFTER_S = 1.0
"""A shorter wait is not worth a word."""

Save = Callable[[ExecutionRecord], Awaitable[ExecutionRecord]]


class Lines:
    """Lets executions in, in the order in which they came.

    A plan is carried out by one executor, which counts for itself. Executors share the line of a processor, in their
    state: of it an execution is let in once fewer stand before it than its policy admits. Who is let in goes on
    standing there until its end, so nobody overtakes and nobody starves.
    """

    def __init__(self, *, state: ExecutorState, clock: Clock, save: Save) -> None:
        self._state = state
        self._clock = clock
        self._save = save
        self._gates: dict[tuple[str, int], Gate] = {}
        self._standing: set[ExecutionId] = set()
        self._moved = asyncio.Event()

    async def let_in(
        self, held: AsyncExitStack, plan: PlanRecord, policy: PolicyDoc, record: ExecutionRecord
    ) -> ExecutionRecord:
        """Wait until the policy lets it in, for as long as `held` is; one that waits long says so in its record.

        An attempt that is under way is let in at once.
        """
        under_way = record.attempt is not None
        processor = record.processor.text
        if (most := policy.max_per_plan) is not None:
            entering = self._gate(plan.plan_id.text, most, at_once=under_way)
            record = await self._wait(held, entering, Wait.PLAN_LIMIT, record)
        if (most := policy.max_per_processor) is not None:
            # Of each executor no more than may run ask for a place: the others wait for these.
            entering = self._gate(processor, most, at_once=under_way)
            record = await self._wait(held, entering, Wait.PROCESSOR_LIMIT, record)
            entering = self._place(processor, most, record.execution_id, at_once=under_way)
            record = await self._wait(held, entering, Wait.PROCESSOR_LIMIT, record)
        return replace(record, waits_for=None) if record.waits_for is not None else record

    async def run(self) -> None:
        """Keep the places of what stands here, for ever."""
        while True:
            await self._clock.sleep(_KEPT_EVERY_S)
            if self._standing:
                try:
                    await self._state.keep_places(self._standing, LEASE_S)
                except TheoryError:
                    _log.warning("lines.not_kept", exc_info=True)

    async def _wait(
        self, held: AsyncExitStack, entering: AbstractAsyncContextManager[None], why: Wait, record: ExecutionRecord
    ) -> ExecutionRecord:
        task = asyncio.ensure_future(held.enter_async_context(entering))
        patience = asyncio.ensure_future(self._clock.sleep(_TOLD_AFTER_S))
        try:
            await asyncio.wait({task, patience}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done() and record.waits_for is not why:
                record = await self._save(replace(record, waits_for=why))
            await task
        finally:
            patience.cancel()
            task.cancel()
            await asyncio.gather(task, patience, return_exceptions=True)
        return record

    @asynccontextmanager
    async def _gate(self, name: str, most: int, *, at_once: bool) -> AsyncIterator[None]:
        gate = self._gates.setdefault((name, most), Gate(most))
        try:
            async with gate.passed(at_once=at_once):
                yield
        finally:
            if gate.idle:
                self._gates.pop((name, most), None)

    @asynccontextmanager
    async def _place(
        self, processor: str, most: int, execution_id: ExecutionId, *, at_once: bool
    ) -> AsyncIterator[None]:
        self._standing.add(execution_id)
        try:
            while await self._before(execution_id, processor) >= most and not at_once:
                self._moved.clear()
                await until_set(self._moved, self._clock, _LOOK_EVERY_S)
            yield
        finally:
            self._standing.discard(execution_id)
            try:
                await self._state.step_out(execution_id)
            except TheoryError:
                # Its place is free once its time is up.
                _log.warning("lines.not_left", exc_info=True)
            self._moved.set()

    async def _before(self, execution_id: ExecutionId, processor: str) -> int:
        try:
            return await self._state.line_up(execution_id, f"processor {processor}", LEASE_S)
        except TheoryError:
            _log.warning("lines.not_read", exc_info=True)
            return _NOBODY_KNOWS


_NOBODY_KNOWS = 1 << 62


class Gate:
    """Lets so many through at once, in the order in which they came; one that may not wait is let in beyond that."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def idle(self) -> bool:
        """Whether nobody is inside, or waits."""
        return not self._inside and not self._waiting

    @asynccontextmanager
    async def passed(self, *, at_once: bool = False) -> AsyncIterator[None]:
        """Be inside for the block."""
        if at_once or (self._inside < self._most and not self._waiting):
            self._inside += 1
        else:
            await self._turn()
        try:
            yield
        finally:
            self._inside -= 1
            self._admit()

    async def _turn(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif not turn.cancelled():  # it was let in at the same moment
                self._inside -= 1
                self._admit()
            raise

    def _admit(self) -> None:
        while self._waiting and self._inside < self._most:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self._inside += 1
