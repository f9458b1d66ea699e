"""Where the command line writes: lines and tables for people, documents for programs. Nothing else prints."""

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TextIO

import orjson

from theory.cli.text import line, width
from theory.core.jcs import JSON

_CODE_BY_STYLE = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


@dataclass(frozen=True, slots=True)
class Cell:
    """Text with a colour; where there are no colours, text."""

    text: str
    style: str = ""


class Output:
    """Standard output and standard error of one command.

    With `as_json` standard output holds JSON and nothing else: what is for people is left out. Errors are JSON, too.
    """

    def __init__(
        self, *, as_json: bool, colour: bool, stdout: TextIO | None = None, stderr: TextIO | None = None
    ) -> None:
        self.as_json = as_json
        self.stdout = stdout or sys.stdout
        self.stderr = stderr or sys.stderr
        self.live = not as_json and self.stdout.isatty() and colour
        """Whether someone sits in front of it, and moving pictures are welcome."""
        self._colour = colour

    def line(self, *cells: str | Cell) -> None:
        """One line for people, of cells that follow each other without a gap."""
        if not self.as_json:
            self._write(self.stdout, "".join(self.painted(cell, self.stdout) for cell in cells))

    def note(self, *cells: str | Cell) -> None:
        """One line beside the result, on standard error."""
        self._write(self.stderr, "".join(self.painted(cell, self.stderr) for cell in cells))

    def text(self, text: str, *, aside: bool = False) -> None:
        """Text of others as it comes, for people, its lines as they are; `aside` on standard error."""
        if not self.as_json:
            stream = self.stderr if aside else self.stdout
            stream.write(text)
            stream.flush()

    def table(self, rows: Iterable[Sequence[str | Cell]], head: Sequence[str] = (), *, indent: int = 0) -> None:
        """Aligned columns for people; numbers stand where their column's head begins with `>`."""
        if self.as_json:
            return
        cells = [[_cell(each) for each in row] for row in rows]
        if not cells:
            return
        right = [name.startswith(">") for name in head] or [False] * len(cells[0])
        if any(name.removeprefix(">") for name in head):
            cells.insert(0, [Cell(name.removeprefix(">"), "dim") for name in head])
        widths = [max(width(row[at].text) for row in cells) for at in range(len(cells[0]))]
        for row in cells:
            padded = [
                self._padded(cell, widths[at], right=right[at], last=at == len(row) - 1) for at, cell in enumerate(row)
            ]
            self._write(self.stdout, (" " * indent + "  ".join(padded)).rstrip())

    def document(self, value: JSON) -> None:
        """The result as one JSON document, where that was asked for."""
        if self.as_json:
            self._write(self.stdout, orjson.dumps(value, default=_plain, option=orjson.OPT_INDENT_2).decode())

    def record(self, value: JSON) -> None:
        """One of many results, as one line of JSON, where that was asked for."""
        if self.as_json:
            self._write(self.stdout, orjson.dumps(value, default=_plain).decode())
            self.stdout.flush()

    def error_document(self, value: JSON) -> None:
        """An error as JSON, on standard error."""
        self._write(self.stderr, orjson.dumps(value, default=_plain).decode())

    def data(self, data: bytes) -> None:
        """Bytes as they are, on standard output."""
        self.stdout.flush()
        self.stdout.buffer.write(data)
        self.stdout.buffer.flush()

    def give_up(self) -> None:
        """Nobody reads any more: let nothing that is still buffered fail."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.stdout.fileno())

    def painted(self, cell: str | Cell, stream: TextIO) -> str:
        """The text of a cell as `stream` shows it."""
        if isinstance(cell, str):
            return cell
        codes = ";".join(_CODE_BY_STYLE[name] for name in cell.style.split())
        return f"\033[{codes}m{cell.text}\033[0m" if codes and self._colour and stream.isatty() else cell.text

    def _padded(self, cell: Cell, columns: int, *, right: bool, last: bool) -> str:
        gap = " " * (columns - width(cell.text))
        text = self.painted(cell, self.stdout)
        return gap + text if right else text if last else text + gap

    def _write(self, stream: TextIO, text: str) -> None:
        print(text, file=stream)


def _cell(value: str | Cell) -> Cell:
    return Cell(line(value)) if isinstance(value, str) else Cell(line(value.text), value.style)


def _plain(value: object) -> object:
    """What is like a list or a dict to us and not to orjson."""
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError
