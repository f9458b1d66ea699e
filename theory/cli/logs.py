"""`theory logs`: what an execution prints; and the same of all executions of a plan, beside its following."""

import argparse
import asyncio
import codecs
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from theory.cli.failures import OK
from theory.cli.output import Cell, Output
from theory.cli.session import Session, execution_named
from theory.cli.text import clean, line
from theory.core.adapters import LogSource
from theory.core.execution import ExecutionState
from theory.core.ids import ExecutionId
from theory.core.jcs import JSON
from theory.sdk.client import Theory
from theory.sdk.views import ExecutionView, LogPart

_AT_ONCE = 16
"""So many logs of a plan are followed at once; the others wait for their turn."""
_LONGEST_LINE = 4096
"""A longer one is told in pieces."""
_GAP = "... what came before is not kept any more, or was told already"


async def logs(session: Session, options: argparse.Namespace) -> int:
    """Tell what an execution printed; with `--follow` also what it will, to its end."""
    output = session.output
    async with session.connect() as theory:
        named = options.execution if options.transition is None else f"{options.execution}.{options.transition}"
        execution_id = await execution_named(theory, named)
        attempt_idx = None if options.attempt is None else options.attempt - 1
        texts = _Texts()
        told = theory.executor.logs(
            execution_id,
            attempt_idx=attempt_idx,
            follow=options.follow,
            on_break=lambda error: output.note(f"the executor does not answer ({error}); attaching again"),
        )
        async for part in told:
            if part.gap:
                output.note(Cell(_GAP, "dim"))
            if text := texts.of(part):
                output.text(clean(text), aside=part.source is LogSource.STDERR)
                output.record(_document(execution_id, part, text))
    return OK


def _document(execution_id: ExecutionId, part: LogPart, text: str) -> dict[str, JSON]:
    return {
        "execution_id": execution_id.text,
        "attempt_idx": part.attempt_idx,
        "source": None if part.source is None else part.source.value,
        "text": text,
        "gap": part.gap,
        "position": part.position,
    }


class _Texts:
    """The text of parts, of which letters may be cut in two; each output of an attempt for itself."""

    def __init__(self) -> None:
        self._decoders: dict[tuple[int, LogSource], codecs.IncrementalDecoder] = {}

    def of(self, part: LogPart) -> str:
        if part.source is None:
            return ""
        key = (part.attempt_idx, part.source)
        if key not in self._decoders:
            self._decoders[key] = codecs.getincrementaldecoder("utf-8")("replace")
        return self._decoders[key].decode(part.data)


class PlanLogs:
    """Tells the logs of a plan's executions, line by line, each behind the name of its execution."""

    def __init__(self, theory: Theory, output: Output) -> None:
        self._theory = theory
        self._output = output
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._tasks: dict[ExecutionId, asyncio.Task[None]] = {}

    def see(self, executions: Iterable[ExecutionView]) -> None:
        """Follow those that have begun, if that is new."""
        for each in executions:
            runs = each.state is ExecutionState.RUNNING or (each.state.terminal and bool(each.epoch))
            if runs and not each.memo_hit and each.execution_id not in self._tasks:
                self._tasks[each.execution_id] = asyncio.create_task(self._follow(each))

    async def end(self) -> None:
        """Return once every log that is followed has been told to its end."""
        await asyncio.gather(*self._tasks.values())

    async def leave(self) -> None:
        """Follow nothing any more."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _follow(self, execution: ExecutionView) -> None:
        texts = _Texts()
        rests: dict[LogSource, str] = {}

        def tell(text: str, source: LogSource) -> None:
            style = "yellow" if source is LogSource.STDERR else ""
            self._output.line(Cell(f"{execution.name:<16} | ", "dim"), Cell(line(text), style))

        async with self._turns:
            async for part in self._theory.executor.logs(execution.execution_id):
                if part.source is not None:
                    rests[part.source] = _lines(rests.get(part.source, "") + texts.of(part), part.source, tell)
            for source, rest in rests.items():
                if rest:
                    tell(rest, source)


def _lines(text: str, source: LogSource, tell: Callable[[str, LogSource], None]) -> str:
    """Tell the lines of a text; what is left of it is the beginning of another."""
    *whole, rest = text.split("\n")
    for each in whole:
        tell(each, source)
    while len(rest) > _LONGEST_LINE:
        tell(rest[:_LONGEST_LINE], source)
        rest = rest[_LONGEST_LINE:]
    return rest


@asynccontextmanager
async def plan_logs(theory: Theory, output: Output) -> AsyncIterator[PlanLogs]:
    """The logs of a plan, told to their ends where the block ends well, and left where it does not."""
    told = PlanLogs(theory, output)
    try:
        yield told
        await told.end()
    finally:
        await told.leave()
