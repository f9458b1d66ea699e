"""Following a sandbox to the end of its command: the deadline, the stop, and a Modal that may be silent meanwhile."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.drivers.modal import Absent
from services.executor.adapters.runtimes.marks import Marks, Stop
from services.executor.adapters.runtimes.modal.sandboxes import Overflow, Sandboxes
from services.executor.adapters.runtimes.modal.script import awaiting
from theory.core.clock import Clock
from theory.core.errors import TheoryError

if TYPE_CHECKING:
    import modal

_LOOK_AGAIN_S = 5.0
"""How often the marks are looked at while nothing happens."""
_PATIENCE_S = 120.0
"""How long Modal may be silent before the attempt counts as lost."""
_PAUSE_S = 0.1
_TIMED_OUT = 124
_MAX_CODE_BYTES = 8

_is_code = re.compile(rb"[0-9]{1,3}\n").fullmatch


@dataclass(frozen=True, slots=True)
class Followed:
    """How the command ended."""

    exit_code: int | None
    stopped: Stop | None = None
    lost: str = ""
    """Why nobody can say how it ended; empty where somebody can."""


async def follow(sandboxes: Sandboxes, sandbox: "modal.Sandbox", marks: Marks, clock: Clock, left_s: float) -> Followed:
    """Return once the command has ended: by itself, at its deadline in `left_s`, or because its marks say so."""
    deadline, heard = clock.monotonic() + left_s, clock.monotonic()
    while True:
        now = clock.monotonic()
        if marks.stopping is not None or now >= deadline:
            why = marks.stop("timed_out")
            await sandboxes.stop(sandbox)
            return Followed(None, why)
        try:
            printed = await _printed(sandboxes, sandbox, min(_LOOK_AGAIN_S, deadline - now))
            heard = clock.monotonic()
        except (Absent, TheoryError):
            printed = b""
        if _is_code(printed):
            return Followed(int(printed))
        if printed:
            return Followed(None, marks.stopping, "what stands for its exit code is none")
        if (ended := await _exit_of(sandboxes, sandbox)) is not None:
            return _gone(ended, marks)
        if clock.monotonic() - heard > _PATIENCE_S:
            return Followed(None, marks.stopping, "nothing was heard of its sandbox any more")
        await clock.sleep(_PAUSE_S)


async def _printed(sandboxes: Sandboxes, sandbox: "modal.Sandbox", within_s: float) -> bytes:
    """The exit code as it stands there; empty while there is none."""
    try:
        return await sandboxes.run(sandbox, awaiting(int(within_s * 10) + 1), within_s, _MAX_CODE_BYTES)
    except Overflow:
        return b"?"


async def _exit_of(sandboxes: Sandboxes, sandbox: "modal.Sandbox") -> int | None:
    """How the sandbox itself ended; None while it runs, or while nobody says."""
    try:
        return await sandboxes.exit_code(sandbox)
    except (Absent, TheoryError):
        return None


def _gone(code: int, marks: Marks) -> Followed:
    """The sandbox ended before anybody saw how its command did."""
    stopped = marks.stopping or (marks.stop("timed_out") if code == _TIMED_OUT else None)
    return Followed(None, stopped, "its sandbox ended, and nobody saw how the processor did")
