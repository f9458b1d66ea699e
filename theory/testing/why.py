"""Why a case broke, in one line: what did not hold, where it stands, and what the values were."""

import ast
import linecache
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType

from theory.core.errors import TheoryError

_LONGEST = 240
_LONGEST_VALUE = 60
_MANY = 4


def told(error: BaseException) -> str:
    """One line for whoever has to find the defect. Never a stack."""
    said = _said(error)
    at = _frame_of(error.__traceback__)
    if at is None:
        return said
    frame, number = at
    name = Path(frame.f_code.co_filename).name
    if isinstance(error, AssertionError) and not str(error):
        said = _assertion(frame, number)
    return f"{said} [{name}:{number}]"


def _said(error: BaseException) -> str:
    if isinstance(error, TheoryError):
        facts = ", ".join(f"{key}={value}" for key, value in sorted(error.metadata.items()))
        return _cut(f"{type(error).__name__} {error.reason}: {error.message}" + (f" ({facts})" if facts else ""))
    if isinstance(error, TimeoutError):
        return _cut(str(error) or "a call was not answered in time")
    if isinstance(error, AssertionError) and str(error):
        return _cut(str(error))
    return _cut(" ".join(traceback.format_exception_only(error)))


def _frame_of(trace: TracebackType | None) -> tuple[FrameType, int] | None:
    """The innermost line of a case; where none was run, of whatever was."""
    of_case = innermost = None
    for innermost in traceback.walk_tb(trace):
        if innermost[0].f_globals.get("__name__", "").startswith("theory.testing.cases"):
            of_case = innermost
    return of_case or innermost


def _assertion(frame: FrameType, number: int) -> str:
    test = _test_at(frame.f_code.co_filename, number)
    if test is None:
        return "an assertion does not hold"
    values = "; ".join(_values(test, frame))
    return _cut(f"does not hold: {ast.unparse(test)}" + (f", where {values}" if values else ""))


def _test_at(file: str, number: int) -> ast.expr | None:
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert) and node.lineno <= number <= (node.end_lineno or node.lineno):
            return node.test
    return None


def _values(test: ast.expr, frame: FrameType) -> Iterator[str]:
    """The local values that the assertion looks at; not those that say nothing but where they lie in memory."""
    names = dict.fromkeys(node.id for node in ast.walk(test) if isinstance(node, ast.Name))
    shown = ((name, repr(frame.f_locals[name])) for name in names if name in frame.f_locals)
    for name, value in [each for each in shown if " at 0x" not in each[1]][:_MANY]:
        yield f"{name} = {_cut(value, _LONGEST_VALUE)}"


def _cut(text: str, longest: int = _LONGEST) -> str:
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
