"""The first step of a dispatch that reads streams: its chunks are fixed, once for the execution, and recorded."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from services.executor.domain.patience import patiently
from services.executor.ports import ExecutionRecord, PlanRecord, World
from theory.core.chunk import reads_streams
from theory.core.clock import Clock
from theory.core.errors import NotFound
from theory.core.selector import Selector


class Fixing:
    """Fixes what executions read of streams. `save` records an execution."""

    def __init__(
        self,
        *,
        world: World,
        clock: Clock,
        save: Callable[[ExecutionRecord], Awaitable[ExecutionRecord]],
        reach: Callable[[str], None],
    ) -> None:
        self._world = world
        self._clock = clock
        self._save = save
        self._reach = reach

    async def fix(self, plan: PlanRecord, record: ExecutionRecord) -> ExecutionRecord:
        """The execution with its list of chunks, which is recorded before anybody uses it and never changes again.

        A crash in between loses a list that nobody used. `NotFound` (`READ_UNRESOLVED`) where a selector names nothing;
        `Invalid` (`CHUNKS_TOO_MANY`); `Corrupt` (`CHUNK_CORRUPT`).
        """
        selectors = [each for each in map(Selector.parse, record.reads) if reads_streams(each)]
        if record.chunks is not None or not selectors:
            return record
        chunks = await patiently(
            self._clock, lambda: self._world.fix_chunks(plan.world, record.execution_id, selectors)
        )
        for selector in selectors:
            if not any(selector.matches(each.path) for each in chunks):
                message = f"no stream of the world keeps a chunk at {selector}: was anything appended?"
                raise NotFound("READ_UNRESOLVED", message, selector=selector.text)
        self._reach("fixed")
        saved = await self._save(replace(record, chunks=tuple((each.path, each.cid) for each in chunks)))
        self._reach("fixed_recorded")
        return saved
