"""How an attempt ended, from what is known of it."""

import pytest

from services.executor.adapters.runtimes.results import ended, never_ran
from theory.core.receipt import AttemptOutcome


@pytest.mark.parametrize(
    ("exit_code", "oom", "stopped", "outcome"),
    [
        (0, False, None, AttemptOutcome.SUCCEEDED),
        (0, True, None, AttemptOutcome.SUCCEEDED),  # a child was killed, and the processor did without
        (1, False, None, AttemptOutcome.FAILED),
        (137, False, None, AttemptOutcome.FAILED),
        (137, True, None, AttemptOutcome.OOM),
        (1, True, None, AttemptOutcome.OOM),
        (0, False, "timed_out", AttemptOutcome.TIMED_OUT),
        (137, True, "timed_out", AttemptOutcome.TIMED_OUT),
        (None, False, "timed_out", AttemptOutcome.TIMED_OUT),
        (143, False, "cancelled", AttemptOutcome.CANCELLED),
        (None, False, None, AttemptOutcome.LOST),
    ],
)
def test_the_outcome(exit_code: int | None, oom: bool, stopped: str | None, outcome: AttemptOutcome) -> None:
    result = ended(
        exit_code=exit_code,
        oom=oom,
        stopped=stopped,
        timeout_s=5,
        started_at=None,
        finished_at=None,
        cpu_s_milli=0,
        logs_tail="secret words of the processor",
    )
    assert result.outcome is outcome
    assert result.deadline_exceeded is (outcome is AttemptOutcome.TIMED_OUT)
    assert (result.message == "") is (outcome is AttemptOutcome.SUCCEEDED)
    assert "secret words" not in result.message


@pytest.mark.parametrize(
    ("exit_code", "told"),
    [(1, "1"), (128, "128"), (137, "137 (128 + SIGKILL)"), (139, "139 (128 + SIGSEGV)"), (255, "255")],
)
def test_an_exit_code_that_stands_for_a_signal_names_it(exit_code: int, told: str) -> None:
    result = ended(
        exit_code=exit_code,
        oom=False,
        stopped=None,
        timeout_s=5,
        started_at=None,
        finished_at=None,
        cpu_s_milli=0,
        logs_tail="",
    )
    assert result.message == f"the processor ended with exit code {told}"


def test_what_never_ran_has_no_exit_code() -> None:
    result = never_ran(AttemptOutcome.LOST, "gone")
    assert (result.outcome, result.exit_code, result.message) == (AttemptOutcome.LOST, None, "gone")
