"""Large files on their way, drawn as a bar for whoever sits in front of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from theory.cli.output import Output

if TYPE_CHECKING:
    from theory.sdk.transfer import Progress


@contextmanager
def bar(output: Output, name: str) -> "Iterator[Progress | None]":
    """What draws how far a file called `name` got, inside a block and gone after it; None where nobody sits there."""
    if not output.live:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Drawn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(file=output.stdout)
    with Drawn(*columns, TimeRemainingColumn(), console=console, transient=True) as drawn:
        task = drawn.add_task(name, total=None, visible=False)

        def tell(done: int, total: int) -> None:
            drawn.update(task, completed=done, total=total, visible=True)

        yield tell
