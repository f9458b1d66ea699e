"""Samples of a plan's topics in its world, so that predicates, which never see scratch, can ask how full they were."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.executor.ports import PlanRecord, Scratch, World
from theory.core import jcs
from theory.core.artifact import Output
from theory.core.clock import Clock, rfc3339
from theory.core.errors import AlreadyExists, Conflict, TheoryError
from theory.core.world_path import PathPrefix, WorldPath

SAMPLES = PathPrefix.parse("/artifacts/metrics/queue_stats/")
"""Where the samples of a running plan are, `000001.json` first."""
LAST = WorldPath.parse("/artifacts/metrics/queue_stats.json")
"""Where the counts at the end of a plan are."""

_TAKEN = frozenset({"PATH_BOUND", "PATH_RESERVED"})
_TRIES = 20
"""How many numbers a sample tries that others took meanwhile."""
_number_in = re.compile(r"([0-9]{6,})\.json").fullmatch

_log = logging.getLogger(__name__)


class Samples:
    """Writes down what the queue counts. One that cannot be written is told of in the log, and harms nobody."""

    def __init__(self, *, world: World, scratch: Scratch, clock: Clock) -> None:
        self._world = world
        self._scratch = scratch
        self._clock = clock

    @asynccontextmanager
    async def taken(self, plan: PlanRecord, every_s: int | None) -> AsyncIterator[None]:
        """Inside the block a sample is taken each `every_s` seconds; behind it, unless it raised, the last one.

        A sample gets the number behind the highest in its world, whoever wrote that. The last one has a path of its
        own; in a shared world it stays with the plan that came first. None takes none.
        """
        if every_s is None:
            yield
            return
        sampling = asyncio.create_task(self._go_on(plan, every_s), name=f"samples {plan.plan_id}")
        try:
            yield
        finally:
            sampling.cancel()
            await asyncio.gather(sampling, return_exceptions=True)
        await self._take_last(plan)

    async def _go_on(self, plan: PlanRecord, every_s: int) -> None:
        number = 0
        while True:
            await self._clock.sleep(every_s)
            try:
                number = await self._take(plan, number + 1 if number else await self._free(plan))
            except Exception as error:  # noqa: BLE001 - also a bug of ours ends one sample and not all that follow
                number = 0
                _tell(plan, error)

    async def _free(self, plan: PlanRecord) -> int:
        """The number behind all that are there."""
        names = [artifact.path.name async for artifact in self._world.listing(plan.world, SAMPLES)]
        return 1 + max((int(found[1]) for found in map(_number_in, names) if found), default=0)

    async def _take(self, plan: PlanRecord, number: int) -> int:
        """Write a sample under this number or, where that is taken, one behind it; returns which."""
        data = await self._counts(plan)
        for last in range(number, number + _TRIES):
            try:
                await self._write(plan, WorldPath.parse(f"{SAMPLES}{last:06}.json"), data)
            except (AlreadyExists, Conflict) as error:
                if error.reason not in _TAKEN or last == number + _TRIES - 1:
                    raise
            else:
                break
        return last

    async def _take_last(self, plan: PlanRecord) -> None:
        try:
            # An earlier life of this executor, or another plan of a shared world, may have written it.
            if await self._world.stat(plan.world, LAST) is None:
                await self._write(plan, LAST, await self._counts(plan))
        except Exception as error:  # noqa: BLE001 - a plan that has ended must not hang on it
            _tell(plan, error)

    async def _counts(self, plan: PlanRecord) -> bytes:
        topics = await self._scratch.queue_stats(plan.plan_id)
        return jcs.canonical(
            {
                "plan_id": plan.plan_id.text,
                "time": rfc3339(self._clock.now()),
                "topics": [
                    {
                        "topic": each.topic,
                        "visible": each.visible,
                        "hidden": each.hidden,
                        "delayed": each.delayed,
                        "dead": each.dead,
                    }
                    for each in topics
                ],
            }
        )

    async def _write(self, plan: PlanRecord, path: WorldPath, data: bytes) -> None:
        file = Output(path, await self._world.put(data), len(data), "application/json")
        await self._world.bind_files(plan.world, plan.plan_id, [file])


def _tell(plan: PlanRecord, error: Exception) -> None:
    reason = error.reason if isinstance(error, TheoryError) else type(error).__name__
    facts = {"plan_id": plan.plan_id.text, "reason": reason, "error": str(error)}
    _log.warning("queue_stats.missed", extra={"theory_fields": facts})
