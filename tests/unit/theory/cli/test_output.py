"""Lines and tables for people, documents for programs."""

import io

import pytest

from theory.cli.output import Cell, Output
from theory.core import jcs


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _output(*, as_json: bool = False, colour: bool = True, terminal: bool = False) -> Output:
    stream = _Terminal if terminal else io.StringIO
    return Output(as_json=as_json, colour=colour, stdout=stream(), stderr=stream())


def _said(output: Output) -> str:
    assert isinstance(output.stdout, io.StringIO)
    return output.stdout.getvalue()


def test_columns_are_aligned_and_numbers_stand_to_the_right() -> None:
    output = _output()
    output.table([("a", "1"), ("日本", "12")], ["name", ">n"])
    assert _said(output) == "name   n\na      1\n日本  12\n"


def test_a_table_without_rows_is_nothing() -> None:
    output = _output()
    output.table([], ["name"])
    assert _said(output) == ""


def test_foreign_text_in_a_table_stays_in_its_cell() -> None:
    output = _output()
    output.table([("a\nb", "\x1b[2J")])
    assert _said(output) == "a b  �[2J\n"


@pytest.mark.parametrize(
    ("terminal", "colour", "painted"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_colours_are_for_terminals_that_want_them(terminal: bool, colour: bool, painted: bool) -> None:
    output = _output(terminal=terminal, colour=colour)
    output.line(Cell("ok", "green bold"))
    assert _said(output) == ("\033[32;1mok\033[0m\n" if painted else "ok\n")
    assert output.live is painted


def test_with_json_only_json_is_said() -> None:
    output = _output(as_json=True)
    output.line("for people")
    output.table([("for", "people")])
    output.document({"a": (1, 2)})
    output.record({"b": None})
    first, _, last = _said(output).rpartition("}\n{")
    assert jcs.parse(f"{first}}}") == {"a": [1, 2]}
    assert last == '"b":null}\n'


def test_without_json_documents_are_left_out() -> None:
    output = _output()
    output.document({"a": 1})
    output.record({"a": 1})
    assert _said(output) == ""
