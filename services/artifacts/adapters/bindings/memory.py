"""Paths in the memory of this process: gone with it. The verified fake that models and unit tests drive."""

import asyncio
from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from services.artifacts.adapters.bindings.memory_inputs import MemoryInputs
from services.artifacts.ports import (
    BindingAdapter,
    BindingReader,
    BindingTransaction,
    EventSink,
    Fence,
    Hold,
    PathKey,
    Probe,
)
from services.drivers.background import Background
from theory.core.cid import Cid
from theory.core.clock import Clock
from theory.core.errors import TheoryError
from theory.core.ids import ExecutionId
from theory.core.ledger import PlanEvent
from theory.core.world_path import WorldName

_T = TypeVar("_T")
_RETRY_S = 1.0


async def open(url: str, clock: Clock) -> BindingAdapter:
    """`memory:`; each opening is a table of its own."""
    return MemoryBindings(clock)


class MemoryTable(MemoryInputs):
    """The table itself, without an event loop: a `BindingTransaction` that is kept until `undo`."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[PlanEvent] = []
        """What was recorded, in order."""
        self._holds: dict[PathKey, Hold] = {}
        self._order: list[PathKey] = []
        self._keys_by_owner: dict[str, set[PathKey]] = {}
        self._fences: dict[ExecutionId, Fence] = {}

    def holds(self, keys: Collection[PathKey]) -> Mapping[PathKey, Hold]:
        return {key: hold for key in keys if (hold := self._holds.get(key)) is not None}

    def below(self, probes: Collection[Probe]) -> Mapping[Probe, Hold]:
        found: dict[Probe, Hold] = {}
        for probe in probes:
            world, path = probe.key
            at = bisect_left(self._order, PathKey(world, path + "/"))
            # The character behind the slash: everything below `path` sorts before it.
            end = PathKey(world, path + "0")
            while at < len(self._order) and self._order[at] < end:
                hold = self._holds[self._order[at]]
                if hold.owner != probe.owner:
                    found[probe] = hold
                    break
                at += 1
        return found

    def fences(self, execution_ids: Collection[ExecutionId]) -> Mapping[ExecutionId, Fence]:
        return {each: fence for each in execution_ids if (fence := self._fences.get(each)) is not None}

    def bound_page(self, world: WorldName, prefix: str, after: str, limit: int) -> list[Hold]:
        page: list[Hold] = []
        at = bisect_left(self._order, PathKey(world.text, max(prefix, after)))
        while len(page) < limit and at < len(self._order):
            key = self._order[at]
            if key.world != world.text or not key.path.startswith(prefix):
                break
            hold = self._holds[key]
            if hold.owner is None and key.path > after:
                page.append(hold)
            at += 1
        return page

    def open_fences(self, before: datetime, limit: int) -> list[Fence]:
        waiting = [fence for fence in self._fences.values() if fence.open and fence.time < before]
        return sorted(waiting, key=lambda fence: fence.time)[:limit]

    def referenced(self, cids: Collection[Cid]) -> set[Cid]:
        held = {hold.cid for hold in self._holds.values()} | {pin.cid for pin in self.pins}
        return held.intersection(cids)

    def reserver(self, world: str) -> ExecutionId | None:
        open_there = (each for each in self._fences.values() if each.open and each.world and each.world.text == world)
        return next((each.execution_id for each in open_there), None)

    def drop_rows(self, world: str, limit: int) -> tuple[int, int]:
        keys = [key for key in self._order if key.world == world][:limit]
        for key in keys:
            self._set(key, None)
        self._drop_inputs(world)
        pins = sorted(
            (pin for pin in self.pins if pin.world == world), key=lambda pin: (pin.holder, pin.kind, pin.cid.text)
        )
        pins = pins[: limit - len(keys)]
        self._put_pins(pins, kept=False)
        return len(keys), len(pins)

    def bind(self, holds: Sequence[Hold]) -> None:
        for hold in holds:
            self._set(hold.key, hold)

    def release(self, execution_ids: Collection[ExecutionId]) -> None:
        for each in execution_ids:
            for key in sorted(self._keys_by_owner.get(each.text, ())):
                self._set(key, None)

    def reserve(self, holds: Sequence[Hold]) -> None:
        for hold in holds:
            self._set(hold.key, hold)

    def fence(self, fences: Sequence[Fence]) -> None:
        for fence in fences:
            self._remember(fence.execution_id, fence)

    def record(self, events: Iterable[PlanEvent]) -> None:
        count = len(self.events)
        self.events.extend(events)
        self._journal.append(lambda: self.events.__delitem__(slice(count, None)))

    def keep(self) -> None:
        """Make all that was written since the last time final."""
        self._journal.clear()

    def undo(self) -> None:
        """Take back all that was written since the last `keep`."""
        journal, self._journal = self._journal, []
        for step in reversed(journal):
            step()
        self._journal.clear()

    def _set(self, key: PathKey, hold: Hold | None) -> None:
        before = self._holds.pop(key, None)
        self._journal.append(lambda: self._set(key, before))
        if before is not None and before.owner is not None:
            self._keys_by_owner[before.owner].discard(key)
        if hold is None:
            if before is not None:
                del self._order[bisect_left(self._order, key)]
            return
        self._holds[key] = hold
        if before is None:
            insort(self._order, key)
        if hold.owner is not None:
            self._keys_by_owner.setdefault(hold.owner, set()).add(key)

    def _remember(self, execution_id: ExecutionId, fence: Fence | None) -> None:
        before = self._fences.pop(execution_id, None)
        self._journal.append(lambda: self._remember(execution_id, before))
        if fence is not None:
            self._fences[execution_id] = fence


class MemoryBindings:
    """A `MemoryTable` behind the port, and a task that hands its events over."""

    durable = False

    def __init__(self, clock: Clock) -> None:
        self.table = MemoryTable()
        self._clock = clock
        self._recorded = asyncio.Event()
        self._background: Background | None = None

    async def write(self, step: Callable[[BindingTransaction], _T]) -> _T:
        # Nothing is awaited here, so steps run one after the other.
        try:
            result = step(self.table)
        except BaseException:
            self.table.undo()
            raise
        self.table.keep()
        if self.table.events:
            self._recorded.set()
        return result

    async def read(self, step: Callable[[BindingReader], _T]) -> _T:
        return step(self.table)

    def start(self, sink: EventSink) -> None:
        self._background = Background("artifact-events", lambda: self._hand_over(sink))
        self._background.start()

    async def close(self) -> None:
        if self._background is not None:
            await self._background.close()

    async def _hand_over(self, sink: EventSink) -> None:
        while True:
            await self._recorded.wait()
            self._recorded.clear()
            events = self.table.events[:500]
            try:
                answers = await sink.append(events)
                failed = next((each for each in answers if isinstance(each, TheoryError) and each.retryable), None)
            except TheoryError as error:
                failed = error
            if failed is not None:
                await self._clock.sleep(_RETRY_S)
            else:
                del self.table.events[: len(events)]
            if self.table.events:
                self._recorded.set()
