"""Logs: what an execution prints, attempt after attempt, while it runs; once it is settled, the end that is kept."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Self

from services.executor.domain.leftovers import Leftovers
from services.executor.domain.watch import LONGEST_WATCH_S, WatchedState
from services.executor.ports import ExecutionRecord, Runtime
from theory.core.adapters import LogPage, LogSource
from theory.core.clock import Clock, until_set
from theory.core.errors import Invalid, NotReady
from theory.core.ids import ExecutionId

LOOK_EVERY_S = 0.25
"""How long something printed may stay untold."""
_PLACE = re.compile(r"(\d{1,9}):([ -9;-~]{0,200})", re.ASCII).fullmatch
_TOLD = "end"
"""The position of an attempt of which everything was told; no runtime has one like it."""


@dataclass(frozen=True, slots=True)
class LogPosition:
    """How far a log was told: an attempt, and the runtime's own position in what that printed."""

    attempt_idx: int
    behind: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """From what `text` gives; `Invalid` (`LOG_POSITION_INVALID`)."""
        if (found := _PLACE(text)) is None:
            raise _refused()
        return cls(int(found[1]), found[2])

    @property
    def text(self) -> str:
        """What `parse` reads."""
        return f"{self.attempt_idx}:{self.behind}"


@dataclass(frozen=True, slots=True)
class LogPart:
    """Some of a log. Without data and source it only moves the position on."""

    position: LogPosition
    source: LogSource | None = None
    data: bytes = b""
    gap: bool = False
    """Whether something before it is missing, or was told before and comes again."""
    last: bool = False


class Logs:
    """Tells logs from wherever they are kept. What is being told of an attempt is not removed meanwhile."""

    def __init__(
        self, *, state: WatchedState, leftovers: Leftovers, runtime: Callable[[str], Runtime], clock: Clock
    ) -> None:
        self._state = state
        self._leftovers = leftovers
        self._runtime = runtime
        self._clock = clock

    async def tell(
        self, execution_id: ExecutionId, *, attempt_idx: int | None, position: str, follow: bool
    ) -> AsyncGenerator[LogPart, None]:
        """The parts behind `position`, of one attempt or of the current one and all that follow it.

        With `follow` as they come, to the end or the longest watch; the `last` part says that nothing follows. Errors
        as the RPC says.
        """
        record = await self._state.execution(execution_id)
        first = record.attempt_idx if attempt_idx is None else attempt_idx
        at = LogPosition.parse(position) if position else LogPosition(first)
        if first < 0 or (attempt_idx is not None and at.attempt_idx != attempt_idx):
            raise _refused()
        ends_at = self._clock.monotonic() + LONGEST_WATCH_S
        async with self._state.woken(record.plan_id) as woken:
            telling = _Telling(execution_id, follow=follow, ends_at=ends_at, woken=woken)
            while True:
                async with aclosing(self._attempt(telling, at)) as parts:
                    async for part in parts:
                        at = part.position
                        yield part
                if not telling.complete:
                    return
                record = await self._until_over(telling, at.attempt_idx)
                if attempt_idx is None and record.attempt_idx > at.attempt_idx:
                    at = LogPosition(at.attempt_idx + 1)
                    continue
                if telling.complete:
                    yield LogPart(at, last=True)
                return

    async def _attempt(self, telling: "_Telling", at: LogPosition) -> AsyncGenerator[LogPart, None]:
        """What one attempt prints behind a position; `telling` is complete if all of it was told, or all for now."""
        telling.complete = True
        if at.behind == _TOLD:
            return
        name = f"{telling.execution_id}-a{at.attempt_idx}"
        with self._leftovers.held(name):
            while True:
                telling.woken.clear()
                record = await self._state.execution(telling.execution_id)
                over = _over(record, at.attempt_idx)
                page = await self._page(record, name, at.behind)
                for number, piece in enumerate(page.pieces if page is not None else ()):
                    at = LogPosition(at.attempt_idx, piece.position)
                    yield LogPart(at, piece.source, piece.data, gap=page is not None and page.gap and not number)
                if page is None and over:
                    yield _settled(record, at)
                    return
                if page is not None and page.ended:
                    yield LogPart(LogPosition(at.attempt_idx, _TOLD))
                    return
                if page is not None and page.pieces:
                    continue
                if over or not telling.follow:
                    return
                if self._clock.monotonic() > telling.ends_at:
                    telling.complete = False
                    return
                await until_set(telling.woken, self._clock, LOOK_EVERY_S)

    async def _page(self, record: ExecutionRecord, name: str, behind: str) -> LogPage | None:
        if record.attempt is None and record.start_time is None:
            return None  # nothing has ever run
        try:
            return await self._runtime(record.runtime).logs(name, after=behind)
        except NotReady:
            if record.state.terminal:
                return None  # what is settled is told though the runtime is away
            raise

    async def _until_over(self, telling: "_Telling", attempt_idx: int) -> ExecutionRecord:
        """The execution, once it has ended or gone on to another attempt; earlier where nobody waits for that."""
        while True:
            telling.woken.clear()
            record = await self._state.execution(telling.execution_id)
            if not telling.follow or _over(record, attempt_idx):
                return record
            if self._clock.monotonic() > telling.ends_at:
                telling.complete = False
                return record
            await until_set(telling.woken, self._clock, LOOK_EVERY_S)


@dataclass(slots=True)
class _Telling:
    """One client's reading of the log of one execution."""

    execution_id: ExecutionId
    follow: bool
    ends_at: float
    woken: asyncio.Event
    complete: bool = True


def _over(record: ExecutionRecord, attempt_idx: int) -> bool:
    """Whether this attempt is not, and never will be, under way."""
    return record.state.terminal or record.attempt_idx > attempt_idx


def _settled(record: ExecutionRecord, at: LogPosition) -> LogPart:
    """What is left of an attempt that was removed: of the last one the settled end, of an earlier one nothing."""
    told = LogPosition(at.attempt_idx, _TOLD)
    if record.attempt_idx != at.attempt_idx:
        return LogPart(told, gap=True)
    data = record.log_tail.encode("utf-8", "replace")
    return LogPart(told, LogSource.BOTH if data else None, data, gap=bool(data and at.behind))


def _refused() -> Invalid:
    return Invalid("LOG_POSITION_INVALID", "a position that this log was told with is expected", field="position")
