"""The moving part of a conformance run on a terminal: how far it is, and what is under way, below what has ended."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from theory.cli.output import Cell, Output
from theory.cli.text import counted
from theory.testing.case import Case
from theory.testing.report import Outcome, Verdict

_BAR_COLUMNS = 24
_MANY = 4


class Picture:
    """What is drawn; it turns by itself."""

    def __init__(self, live: Live, count: int) -> None:
        self._live = live
        self._count = count
        self._broken = 0
        self._ended = 0
        self._under_way: dict[str, Case] = {}
        # One for all lines: they turn together.
        self._spinner = Spinner("dots", style="cyan")

    def begin(self, case: Case) -> None:
        """A case runs from now on."""
        self._under_way[case.name] = case
        self._live.update(self.drawn())

    def end(self, verdict: Verdict) -> None:
        """A case has ended."""
        self._under_way.pop(verdict.case.name, None)
        self._ended += 1
        self._broken += verdict.outcome is Outcome.BROKEN
        self._live.update(self.drawn())

    def line(self, cells: Iterable[str | Cell]) -> None:
        """One line that stays, above the picture."""
        text = Text()
        for each in cells:
            text.append(each) if isinstance(each, str) else text.append(each.text, each.style or None)
        self._live.console.print(text, soft_wrap=True, highlight=False)

    def drawn(self) -> RenderableType:
        """The picture as it is now."""
        style = "red" if self._broken else "cyan"
        bar = ProgressBar(
            total=self._count, completed=self._ended, width=_BAR_COLUMNS, complete_style=style, finished_style=style
        )
        head = Table.grid(padding=(0, 2, 0, 0))
        broken = Text(f"{counted(self._broken, 'promise')} broken", style="red") if self._broken else Text()
        head.add_row(bar, f"{self._ended}/{self._count}", broken)
        parts: list[RenderableType] = [Text(""), head]
        for name in list(self._under_way)[:_MANY]:
            row = Table.grid(padding=(0, 1, 0, 0))
            row.add_row(self._spinner, Text(name, style="dim", no_wrap=True, overflow="ellipsis"))
            parts.append(row)
        return Group(*parts)


@contextmanager
def picture(output: Output, count: int) -> Iterator[Picture]:
    """A picture that stands on the terminal while the block runs, and leaves nothing but its lines behind."""
    console = Console(file=output.stdout)
    with Live(console=console, refresh_per_second=10, transient=True) as live:
        yield Picture(live, count)
