"""Following a plan to its end: a moving picture on a terminal, lines in a pipe, JSON lines for programs."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

from theory.cli.failures import FAILED, OK
from theory.cli.logs import PlanLogs, plan_logs
from theory.cli.output import Cell, Output
from theory.cli.progress import Progress
from theory.cli.session import Session
from theory.cli.summary import STYLE_BY_STATE, failure_text, tell, why
from theory.cli.text import counted, duration, usd
from theory.core.clock import Clock, SystemClock
from theory.core.execution import ExecutionState, PlanState
from theory.core.jcs import JSON
from theory.sdk.client import Theory
from theory.sdk.views import ExecutionView, PlanChange, PlanView

_FRAME_S = 0.1
_SMALL_PLAN = 32
"""In a pipe, starts are told of plans of up to so many executions; of larger ones the ends are enough."""


async def follow(
    session: Session,
    theory: Theory,
    plan: PlanView,
    *,
    records: bool = False,
    logs: bool = False,
    clock: Clock | None = None,
) -> Progress:
    """Watch `plan` to its end and show how it goes; with `records` and `--json` each change is a line.

    With `logs` what its executions print is told between the lines, and there is no picture.

    Leaving early leaves the plan alone, and says so.
    """
    known = [each async for each in theory.executor.executions(plan.plan_id)]
    progress = Progress(plan, known, clock or SystemClock())
    try:
        if logs:
            async with plan_logs(theory, session.output) as told:
                await _follow_lines(theory, progress, session.output, records=records, told=told)
        elif session.output.live:
            await _follow_live(theory, progress, session.output)
        else:
            await _follow_lines(theory, progress, session.output, records=records)
    except asyncio.CancelledError:
        session.output.note(f"the plan goes on: 'theory plan watch {plan.plan_id}' follows it again")
        raise
    return progress


def concluded(session: Session, progress: Progress, *, copied: str = "") -> int:
    """Tell how it ended, and what to do next; the exit code."""
    session.output.line()
    tell(progress, session.output)
    plan_id, world = progress.plan.plan_id.text, progress.plan.world.text
    session.output.line()
    if copied:
        session.output.line(Cell("  copied to  ", "dim"), copied)
    elif any(each.outputs for each in progress.executions):
        command = f"theory artifacts get {world} /artifacts/outputs/ --into DIR"
        session.output.line(Cell("  copy out   ", "dim"), command)
    session.output.line(Cell("  verify     ", "dim"), f"theory verify {plan_id}")
    return OK if progress.plan.state is PlanState.SUCCEEDED else FAILED


def progress_document(progress: Progress) -> dict[str, JSON]:
    """A plan with its executions, as JSON."""
    return {
        "plan": progress.plan.to_document(),
        "executions": [each.to_document() for each in progress.executions],
        "cost_usd_micro": progress.cost_usd_micro,
    }


async def _follow_live(theory: Theory, progress: Progress, output: Output) -> None:
    from theory.cli.live import picture

    with picture(progress, output) as shown:

        async def turn() -> None:
            while True:
                shown.update()
                await SystemClock().sleep(_FRAME_S)

        def away(error: Exception) -> None:
            shown.trouble = f"the executor does not answer ({error}); the plan goes on, attaching again"

        async with _beside(turn()):
            async for change in theory.executor.watch(progress.plan.plan_id, progress.plan.seq, on_break=away):
                shown.trouble = ""
                progress.apply(change)
        shown.update()


async def _follow_lines(
    theory: Theory, progress: Progress, output: Output, *, records: bool, told: PlanLogs | None = None
) -> None:
    plan = progress.plan
    output.line(f"plan {plan.plan_id} ({plan.name}): {counted(plan.execution_count, 'execution')}")

    def away(error: Exception) -> None:
        output.note(f"the executor does not answer ({error}); the plan goes on, attaching again")

    async for change in theory.executor.watch(plan.plan_id, on_break=away):
        for each in progress.apply(change):
            _tell_line(progress, each, output)
        if told is not None:
            told.see(change.executions)
        if records:
            output.record(_change_document(change))
        output.stdout.flush()


def _tell_line(progress: Progress, execution: ExecutionView, output: Output) -> None:
    starts = execution.state is ExecutionState.RUNNING and progress.plan.execution_count <= _SMALL_PLAN
    again = execution.state is ExecutionState.QUEUED and execution.attempt_idx > 0
    waits = execution.waits_for is not None and progress.plan.execution_count <= _SMALL_PLAN
    if not (execution.state.terminal or starts or again or waits):
        return
    word = "memo hit" if execution.memo_hit and execution.state is ExecutionState.SUCCEEDED else execution.state.value
    said = Cell(word, STYLE_BY_STATE.get(execution.state, ""))
    output.line(f"{duration(progress.elapsed_s):>9}  {execution.name:<16} ", said, _rest(progress, execution))


def _rest(progress: Progress, execution: ExecutionView) -> str:
    match execution.state:
        case ExecutionState.SUCCEEDED if not execution.memo_hit:
            cost = f", {usd(execution.cost_usd_micro)}" if execution.cost_usd_micro else ""
            return f" in {duration(progress.running_s(execution))}{cost}; {why(execution)}"
        case ExecutionState.RUNNING if execution.attempt_idx:
            return f", attempt {execution.attempt_idx + 1}"
        case ExecutionState.QUEUED if execution.failure is not None:
            return f" again after {failure_text(execution.failure)}"
        case ExecutionState.QUEUED if execution.waits_for is not None:
            return f" waiting for the {execution.waits_for.words}"
        case ExecutionState.RUNNING | ExecutionState.QUEUED | ExecutionState.WAITING:
            return ""
        case _:
            return f"; {why(execution)}"


def _change_document(change: PlanChange) -> dict[str, JSON]:
    return {
        "seq": change.seq,
        "plan": change.plan.to_document(),
        "executions": [each.to_document() for each in change.executions],
    }


@asynccontextmanager
async def _beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Do `work` while the block runs, and end it with the block."""
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
