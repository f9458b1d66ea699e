"""Results in the canonical form, the same for every runtime that runs something."""

import signal
from datetime import datetime

from theory.core.context import ProcessorResult
from theory.core.receipt import AttemptOutcome

_SIGNALLED = 128
_SIGNALS = frozenset(map(int, signal.Signals))


def ended(  # the facts of one end, by name
    *,
    exit_code: int | None,
    oom: bool,
    stopped: str | None,
    timeout_s: int,
    started_at: datetime | None,
    finished_at: datetime | None,
    cpu_s_milli: int,
    logs_tail: str,
) -> ProcessorResult:
    """What an attempt that ran came to.

    Why it was stopped weighs most; memory counts only where it also failed: the kernel may have killed a child that the
    processor did without.
    """
    outcome, message = AttemptOutcome.SUCCEEDED, ""
    if stopped == "timed_out":
        outcome, message = AttemptOutcome.TIMED_OUT, f"the processor ran longer than {timeout_s} s and was stopped"
    elif stopped == "cancelled":
        outcome, message = AttemptOutcome.CANCELLED, "the attempt was cancelled"
    elif exit_code and oom:
        outcome, message = AttemptOutcome.OOM, "the processor needed more memory than its spec gives it"
    elif exit_code is None:
        outcome, message = AttemptOutcome.LOST, "nobody saw how the processor ended"
    elif exit_code:
        outcome, message = AttemptOutcome.FAILED, f"the processor ended with exit code {exit_code}{_signal(exit_code)}"
    return ProcessorResult(
        outcome=outcome,
        exit_code=exit_code,
        oom=oom,
        deadline_exceeded=stopped == "timed_out",
        started_at=started_at,
        finished_at=finished_at,
        cpu_s_milli=cpu_s_milli,
        logs_tail=logs_tail,
        message=message,
    )


def never_ran(outcome: AttemptOutcome, message: str) -> ProcessorResult:
    """What an attempt came to of which no run is known."""
    return ProcessorResult(
        outcome=outcome,
        exit_code=None,
        oom=False,
        deadline_exceeded=False,
        started_at=None,
        finished_at=None,
        cpu_s_milli=0,
        message=message,
    )


def _signal(exit_code: int) -> str:
    """What shells and engines mean by an exit code above 128; a processor may have chosen it itself."""
    number = exit_code - _SIGNALLED
    return f" (128 + {signal.Signals(number).name})" if number in _SIGNALS else ""
