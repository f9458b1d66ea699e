"""Dropping a world: said in one transaction, so that it is gone for everyone at once; its rows follow in pieces."""

import asyncio
import logging
from datetime import datetime

from blake3 import blake3

from services.artifacts.domain.bindings import SYSTEM_CHAIN
from services.artifacts.ports import BindingAdapter, BindingTransaction, DroppedWorld, WorldStreams
from theory.core.chain import NewEvent
from theory.core.clock import Clock, rfc3339
from theory.core.errors import NotReady, TheoryError
from theory.core.jcs import JSON
from theory.core.ledger import PlanEvent
from theory.core.world_path import WorldName

_log = logging.getLogger(__name__)

_ROWS = 2_000
"""Of one transaction: others write between two of them."""
_AGAIN_S = 60.0


class Dropping:
    """Drops worlds. A world that was dropped stays so: neither a path nor a stream is ever made in it again."""

    def __init__(self, table: BindingAdapter, streams: WorldStreams, clock: Clock) -> None:
        self._table = table
        self._streams = streams
        self._clock = clock
        self._under_way: dict[str, asyncio.Task[DroppedWorld]] = {}

    async def drop(self, world: WorldName) -> DroppedWorld:
        """Drop a world, and return once nothing of it is left. A repeat changes nothing.

        `NotReady` (`WORLD_BUSY`) while an execution has reserved paths in it: then nothing was dropped. Goes on where
        the caller goes away.
        """
        now = self._clock.now()
        found = await self._table.write(lambda step: _begin(step, world.text, now))
        return found if found.done else await self._finished(world.text)

    async def run(self) -> None:
        """Finish what an earlier process began, then return."""
        while True:
            try:
                for each in await self._table.read(lambda table: table.dropping()):
                    await self._finished(each.world)
            except TheoryError as error:
                _log.warning("drop.waits", extra={"theory_fields": {"reason": error.reason}})
            except Exception:  # noqa: BLE001 - nobody waits for this task: unseen, a world would stay half dropped
                _log.exception("drop.broke")
            else:
                return
            await self._clock.sleep(_AGAIN_S)

    async def close(self) -> None:
        """Stop; the next process finishes what is under way."""
        for task in list(self._under_way.values()):
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _finished(self, world: str) -> DroppedWorld:
        task = self._under_way.get(world)
        if task is None:
            task = self._under_way[world] = asyncio.create_task(self._finish(world), name=world)
            task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[DroppedWorld]) -> None:
        self._under_way.pop(task.get_name(), None)
        if not task.cancelled() and task.exception() is not None:
            # Whoever asked may have gone away: the next start, or a repeat, goes on.
            _log.warning("drop.failed", extra={"theory_fields": {"world": task.get_name()}})

    async def _finish(self, world: str) -> DroppedWorld:
        await self._streams.drop(WorldName(world))
        found = await self._table.write(lambda step: _go_on(step, world))
        while not found.done:
            found = await self._table.write(lambda step: _go_on(step, world))
        _log.info("world.dropped", extra={"theory_fields": {"world": world, "paths": found.paths}})
        return found


def _begin(step: BindingTransaction, world: str, now: datetime) -> DroppedWorld:
    if known := step.dropped([world]).get(world):
        return known
    if (execution_id := step.reserver(world)) is not None:
        message = "an execution has reserved paths in the world: wait for it, or cancel it"
        raise NotReady("WORLD_BUSY", message, world=world, execution_id=execution_id.text)
    dropped = DroppedWorld(world, now, 0, done=False)
    step.drop(dropped)
    return dropped


def _go_on(step: BindingTransaction, world: str) -> DroppedWorld:
    known = step.dropped([world])[world]
    if known.done:
        return known
    paths, pins = step.drop_rows(world, _ROWS)
    found = known._replace(paths=known.paths + paths, done=paths + pins < _ROWS)
    step.drop(found)
    if found.done:
        step.record([_event_of(found)])
    return found


def _event_of(dropped: DroppedWorld) -> PlanEvent:
    # A world is dropped once, so its name names the event. It is in no plan's chain: plans end, and worlds are shared.
    body: dict[str, JSON] = {"world": dropped.world, "paths": dropped.paths}
    name = blake3(dropped.world.encode()).hexdigest()
    event = NewEvent(f"world.dropped:{name}", "world.dropped", rfc3339(dropped.time), body)
    return PlanEvent(SYSTEM_CHAIN, event)
