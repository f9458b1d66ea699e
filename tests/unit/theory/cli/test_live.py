"""The moving picture of a plan."""

import io

import pytest
from rich.console import Console

from tests.unit.theory.sdk.servicer import execution, plan
from theory.cli.live import Picture, picture
from theory.cli.output import Output
from theory.cli.progress import Progress
from theory.core.clock import FakeClock
from theory.sdk.plan_messages import execution_from_proto, plan_from_proto
from theory.sdk.views import ExecutionView


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _views(*states: str, transition: str = "probe") -> list[ExecutionView]:
    return [execution_from_proto(execution(f"{transition}.{at}", state)) for at, state in enumerate(states)]


def _drawn(executions: list[ExecutionView], trouble: str = "") -> str:
    """The picture as text, on a terminal of 100 columns."""
    progress = Progress(plan_from_proto(plan(execution_count=len(executions))), executions, FakeClock())
    output = Output(as_json=False, colour=True, stdout=_Terminal(), stderr=io.StringIO())
    with picture(progress, output) as shown:
        shown.trouble = trouble
        shown.update()
        return _text(shown)


def _text(shown: Picture) -> str:
    console = Console(file=io.StringIO(), width=100, height=40)
    console.print(shown._drawn())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_small_plan_has_a_line_per_execution() -> None:
    lines = _drawn(_views("succeeded", "running", "waiting", "failed", "skipped")).splitlines()
    assert lines[0].startswith("media p-1  3/5  ")
    assert [line.split()[-1] for line in lines[2:]][2:] == ["waiting", "failed", "skipped"]
    assert lines[2].startswith("✓  probe.0")


def test_a_large_plan_has_a_line_per_transition() -> None:
    executions = [*_views(*["succeeded"] * 30), *_views(*["running"] * 4, *["waiting"] * 6, transition="render")]
    lines = _drawn(executions).splitlines()[2:]
    assert [line.split()[0] for line in lines] == ["probe", "render"]
    assert "30/30" in lines[0]
    assert "0/10" in lines[1]
    assert "4 running" in lines[1]


def test_an_executor_that_went_away_is_told() -> None:
    assert "attaching again" in _drawn(_views("running"), trouble="attaching again")


@pytest.mark.parametrize("count", [1, 500])
def test_nothing_of_the_picture_is_left_behind(count: int) -> None:
    stdout = _Terminal()
    output = Output(as_json=False, colour=True, stdout=stdout, stderr=io.StringIO())
    progress = Progress(plan_from_proto(plan()), _views(*["running"] * count), FakeClock())
    with picture(progress, output) as shown:
        shown.update()
    # The cursor is shown again, and the last thing done is to erase.
    assert "\x1b[?25h" in stdout.getvalue()
    assert stdout.getvalue().rstrip().endswith("\x1b[2K")
