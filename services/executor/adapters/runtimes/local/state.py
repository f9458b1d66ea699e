"""What the engine says of a container."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from theory.core.clock import parse_rfc3339

_NEVER = "0001-"
_MICROSECONDS = 6


@dataclass(frozen=True, slots=True)
class ContainerState:
    """The part of an inspection that decides what happens next."""

    image_id: str
    labels: Mapping[str, str]
    status: str
    """`created`, `running`, `exited`, `dead`, ..."""
    exit_code: int
    oom_killed: bool
    started_at: datetime | None
    finished_at: datetime | None
    words: str
    """What the engine says of a failed start."""

    @classmethod
    def of(cls, inspected: Mapping[str, Any]) -> Self:
        """The state that an inspection tells."""
        state = inspected["State"]
        started_at, finished_at = _moment(state["StartedAt"]), _moment(state["FinishedAt"])
        if started_at is not None and finished_at is not None:
            # Of a container that ends at once the engine may note the end first.
            finished_at = max(started_at, finished_at)
        return cls(
            image_id=inspected["Image"],
            labels=inspected["Config"].get("Labels") or {},
            status=state["Status"],
            exit_code=state["ExitCode"],
            oom_killed=state["OOMKilled"],
            started_at=started_at,
            finished_at=finished_at,
            words=state.get("Error") or "",
        )

    @property
    def running(self) -> bool:
        """Whether processes of it may be alive."""
        return self.status in {"running", "paused", "restarting"}

    @property
    def over(self) -> bool:
        """Whether it ran and does no longer."""
        return self.status in {"exited", "dead", "removing"}


def _moment(text: str) -> datetime | None:
    """The engine writes nanoseconds, and the year 1 for never."""
    if text.startswith(_NEVER):
        return None
    seconds, _, fraction = text.removesuffix("Z").partition(".")
    return parse_rfc3339(f"{seconds}.{fraction[:_MICROSECONDS] or '0'}Z")
