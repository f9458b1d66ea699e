"""The moving picture of a plan on a terminal: one line per transition, or per execution where there are few."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from theory.cli.output import Output
from theory.cli.progress import Progress, Tally
from theory.cli.summary import STYLE_BY_STATE, why
from theory.cli.text import duration, usd
from theory.core.execution import ExecutionState
from theory.sdk.views import ExecutionView

_SMALL_PLAN = 24
_BAR_COLUMNS = 24
_LINES_AROUND = 5
_MARK_BY_STATE = {
    ExecutionState.WAITING: "·",
    ExecutionState.QUEUED: "·",
    ExecutionState.SUCCEEDED: "✓",
    ExecutionState.FAILED: "✗",
    ExecutionState.SKIPPED: "-",
    ExecutionState.CANCELLED: "-",
}


class Picture:
    """What is drawn; `update` draws it again."""

    def __init__(self, progress: Progress, live: Live) -> None:
        self.progress = progress
        self.trouble = ""
        """What is said below the picture: that the service went away, for one."""
        self._live = live
        # One for all lines: they turn together.
        self._spinner = Spinner("dots", style="cyan")

    def update(self) -> None:
        """Draw what is known now."""
        self._live.update(self._drawn(), refresh=True)

    def _drawn(self) -> RenderableType:
        parts: list[RenderableType] = [self._head(), Text("")]
        executions = self.progress.executions
        room = self._live.console.height - _LINES_AROUND
        few = len(executions) <= min(_SMALL_PLAN, room)
        parts.append(self._lines(executions) if few else self._bars(self.progress.tallies(), room))
        if self.trouble:
            parts += [Text(""), Text(self.trouble, style="yellow")]
        return Group(*parts)

    def _head(self) -> RenderableType:
        plan, executions = self.progress.plan, self.progress.executions
        ended = sum(each.state.terminal for each in executions)
        head = Text()
        head.append(plan.name, style="bold")
        head.append(f" {plan.plan_id.text}", style="dim")
        head.append(f"  {ended}/{plan.execution_count or len(executions)}")
        head.append(f"  {duration(self.progress.elapsed_s)}  {usd(self.progress.cost_usd_micro)}")
        return head

    def _lines(self, executions: list[ExecutionView]) -> RenderableType:
        table = Table.grid(padding=(0, 2, 0, 0))
        for each in executions:
            table.add_row(self._mark(each), each.name, self._state(each), Text(_why(each), style="dim"))
        return table

    def _mark(self, execution: ExecutionView) -> RenderableType:
        if execution.state is ExecutionState.RUNNING:
            return self._spinner
        return Text(_MARK_BY_STATE[execution.state], style=STYLE_BY_STATE.get(execution.state, "dim"))

    def _state(self, execution: ExecutionView) -> Text:
        if execution.memo_hit and execution.state is ExecutionState.SUCCEEDED:
            return Text("memo hit", style="green")
        style = STYLE_BY_STATE.get(execution.state, "dim")
        if execution.state in {ExecutionState.RUNNING, ExecutionState.SUCCEEDED}:
            return Text(duration(self.progress.running_s(execution)), style=style, justify="right")
        return Text(execution.state.value, style=style)

    def _bars(self, tallies: list[Tally], room: int) -> RenderableType:
        table = Table.grid(padding=(0, 2, 0, 0))
        for each in tallies[: max(room, 1)]:
            total = len(each.executions)
            bar = ProgressBar(
                total=total, completed=each.ended, width=_BAR_COLUMNS, complete_style="cyan", finished_style="green"
            )
            table.add_row(each.transition_id, bar, f"{each.ended}/{total}", _counts(each))
        return table


@contextmanager
def picture(progress: Progress, output: Output) -> Iterator[Picture]:
    """A picture that stands on the terminal while the block runs, and leaves nothing behind."""
    console = Console(file=output.stdout)
    with Live(console=console, auto_refresh=False, transient=True, vertical_overflow="ellipsis") as live:
        yield Picture(progress, live)


def _why(execution: ExecutionView) -> str:
    if execution.state in {ExecutionState.QUEUED, ExecutionState.RUNNING} and execution.attempt_idx:
        return f"attempt {execution.attempt_idx + 1}"
    return why(execution) if execution.state.terminal else ""


def _counts(tally: Tally) -> Text:
    said = Text()
    for count, word, style in (
        (tally.count(ExecutionState.RUNNING), "running", "cyan"),
        (tally.hits, "memo hits", "green"),
        (tally.count(ExecutionState.FAILED), "failed", "red"),
        (tally.count(ExecutionState.SKIPPED), "skipped", "yellow"),
        (tally.count(ExecutionState.CANCELLED), "cancelled", "yellow"),
    ):
        if count:
            said.append(f"{count} {word}  ", style=style)
    if tally.cost_usd_micro:
        said.append(usd(tally.cost_usd_micro), style="dim")
    return said
