"""Watching: a state that wakes whoever follows a plan when something about it was written."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import TypeVar

from services.executor.ports import ExecutionRecord, ExecutorState, MemoEntry, PlanRecord
from theory.core.clock import Clock, until_set
from theory.core.errors import Conflict
from theory.core.ids import ExecutionId, PlanId
from theory.core.jcs import JSON
from theory.core.refs import Ref

T = TypeVar("T")

LONGEST_WATCH_S = 540.0
"""A watch ends cleanly after this time, with its position: networks between here and there need that."""
_LOOK_EVERY_S = 5.0
"""How long a change that another process wrote may stay unseen."""


class WatchedState:
    """A state like the one it wraps; each write to a plan wakes the plan's watchers."""

    def __init__(self, inner: ExecutorState, clock: Clock) -> None:
        self._inner = inner
        self._clock = clock
        self._watchers: dict[PlanId, set[asyncio.Event]] = {}
        inner.listen(self._wake)

    @property
    def holder(self) -> str:
        """As the port says."""
        return self._inner.holder

    async def take_plan(self, plan_id: PlanId) -> bool:
        """As the port says."""
        return await self._inner.take_plan(plan_id)

    async def prolong_leases(self) -> frozenset[PlanId]:
        """As the port says."""
        return await self._inner.prolong_leases()

    def listen(self, hear: Callable[[PlanId], None]) -> None:
        """As the port says."""
        self._inner.listen(hear)

    async def follow(
        self, plan_id: PlanId, *, after_seq: int
    ) -> AsyncGenerator[tuple[PlanRecord, list[ExecutionRecord]], None]:
        """Yield the plan and what changed, from after `after_seq` until its last change or the longest watch."""

        async def look(position: int) -> tuple[PlanRecord, tuple[PlanRecord, list[ExecutionRecord]]]:
            plan, changed = await self._inner.changes(plan_id, after_seq=position)
            return plan, (plan, changed)

        async with aclosing(self._looked(plan_id, look, after_seq)) as seen:
            async for each in seen:
                yield each

    async def follow_execution(
        self, execution_id: ExecutionId, *, after_seq: int
    ) -> AsyncGenerator[ExecutionRecord, None]:
        """Yield the execution each time it changed after `after_seq`, until its last change or the longest watch.

        Changes that follow each other at once may be told as one.
        """

        async def look(_: int) -> tuple[ExecutionRecord, ExecutionRecord]:
            record = await self._inner.execution(execution_id)
            return record, record

        plan_id = (await self._inner.execution(execution_id)).plan_id
        async with aclosing(self._looked(plan_id, look, after_seq)) as seen:
            async for each in seen:
                yield each

    async def _looked(
        self,
        plan_id: PlanId,
        look: Callable[[int], Awaitable[tuple[PlanRecord | ExecutionRecord, T]]],
        after_seq: int,
    ) -> AsyncGenerator[T, None]:
        """What `look` finds, each time that its record stands behind `after_seq`, to the last change of that record."""
        began = self._clock.monotonic()
        async with self.woken(plan_id) as woken:
            while True:
                woken.clear()
                record, found = await look(after_seq)
                if record.seq > after_seq:
                    after_seq = record.seq
                    yield found
                if record.state.terminal or self._clock.monotonic() - began > LONGEST_WATCH_S:
                    return
                await until_set(woken, self._clock, _LOOK_EVERY_S)

    async def add_plan(self, plan: PlanRecord, executions: Sequence[ExecutionRecord]) -> PlanRecord:
        """As the port says."""
        return await self._inner.add_plan(plan, executions)

    async def plan_of_request(self, request_id: str) -> PlanRecord | None:
        """As the port says."""
        return await self._inner.plan_of_request(request_id)

    async def plan(self, plan_id: PlanId) -> PlanRecord:
        """As the port says."""
        return await self._inner.plan(plan_id)

    async def plans(self, *, before: PlanId | None, limit: int) -> list[PlanRecord]:
        """As the port says."""
        return await self._inner.plans(before=before, limit=limit)

    async def open_plans(self) -> list[PlanRecord]:
        """As the port says."""
        return await self._inner.open_plans()

    async def execution(self, execution_id: ExecutionId) -> ExecutionRecord:
        """As the port says."""
        return await self._inner.execution(execution_id)

    async def executions(self, plan_id: PlanId, *, from_ordinal: int, limit: int) -> list[ExecutionRecord]:
        """As the port says."""
        return await self._inner.executions(plan_id, from_ordinal=from_ordinal, limit=limit)

    async def changes(self, plan_id: PlanId, *, after_seq: int) -> tuple[PlanRecord, list[ExecutionRecord]]:
        """As the port says."""
        return await self._inner.changes(plan_id, after_seq=after_seq)

    async def save_plan(self, plan: PlanRecord) -> PlanRecord:
        """As the port says, and wakes."""
        saved = await _while_held(self._inner.save_plan(plan))
        self._wake(plan.plan_id)
        return saved

    async def save_executions(
        self, executions: Sequence[ExecutionRecord], memo: MemoEntry | None = None
    ) -> list[ExecutionRecord]:
        """As the port says, and wakes."""
        saved = await _while_held(self._inner.save_executions(executions, memo))
        if saved:
            self._wake(saved[0].plan_id)
        return saved

    async def ask_to_cancel(self, plan_id: PlanId, execution_id: ExecutionId | None) -> None:
        """As the port says."""
        await self._inner.ask_to_cancel(plan_id, execution_id)

    async def asked_to_cancel(self, plan_ids: Sequence[PlanId]) -> list[tuple[PlanId, ExecutionId | None]]:
        """As the port says."""
        return await self._inner.asked_to_cancel(plan_ids)

    async def line_up(self, execution_id: ExecutionId, line: str, lease_s: float) -> int:
        """As the port says."""
        return await self._inner.line_up(execution_id, line, lease_s)

    async def keep_places(self, execution_ids: Collection[ExecutionId], lease_s: float) -> None:
        """As the port says."""
        await self._inner.keep_places(execution_ids, lease_s)

    async def step_out(self, execution_id: ExecutionId) -> None:
        """As the port says."""
        await self._inner.step_out(execution_id)

    async def take_flight(self, memo_key: str) -> bool:
        """As the port says."""
        return await self._inner.take_flight(memo_key)

    async def leave_flight(self, memo_key: str) -> None:
        """As the port says."""
        await self._inner.leave_flight(memo_key)

    async def memo(self, memo_key: str) -> MemoEntry | None:
        """As the port says."""
        return await self._inner.memo(memo_key)

    async def memos(self, memo_keys: Sequence[str]) -> Mapping[str, MemoEntry]:
        """As the port says."""
        return await self._inner.memos(memo_keys)

    async def recent_components(
        self, processor: Ref, *, write_prefix: str | None, limit: int
    ) -> list[Mapping[str, JSON]]:
        """As the port says."""
        return await self._inner.recent_components(processor, write_prefix=write_prefix, limit=limit)

    async def close(self) -> None:
        """As the port says."""
        await self._inner.close()

    def _wake(self, plan_id: PlanId) -> None:
        for woken in self._watchers.get(plan_id, ()):
            woken.set()

    @asynccontextmanager
    async def woken(self, plan_id: PlanId) -> AsyncIterator[asyncio.Event]:
        """An event that is set whenever this process has written something about the plan."""
        woken = asyncio.Event()
        self._watchers.setdefault(plan_id, set()).add(woken)
        try:
            yield woken
        finally:
            self._watchers[plan_id].discard(woken)
            if not self._watchers[plan_id]:
                del self._watchers[plan_id]


async def _while_held(writing: Awaitable[T]) -> T:
    """What was written; whoever writes for a plan that another executor has taken is cancelled there and then.

    Nothing of ours may treat that as the end of an attempt: how it ends is not ours to say any more.
    """
    try:
        return await writing
    except Conflict as error:
        if error.reason != "LEASE_LOST":
            raise
        raise asyncio.CancelledError(str(error)) from error
