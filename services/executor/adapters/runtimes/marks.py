"""What an adapter notes in an attempt's place, so that a later executor knows what an earlier one did."""

from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeAlias, cast

Stop: TypeAlias = Literal["cancelled", "timed_out"]

STARTED = ".started"
"""The note that it was started; its time is when."""
_STOPPING = ".stopping"


class Marks:
    """Two notes: that the attempt was started, and why it was stopped. No container can reach them.

    They survive a kill of the executor, not a power cut; but neither does what they speak of.
    """

    def __init__(self, place: Path) -> None:
        self._place = place

    @property
    def started(self) -> bool:
        """Whether somebody was about to start it; from then on its absence means that it was lost."""
        return (self._place / STARTED).exists()

    @property
    def stopping(self) -> Stop | None:
        """Why somebody was about to stop it."""
        try:
            why = str((self._place / _STOPPING).readlink())
        except OSError:
            return None
        return cast("Stop", why) if why in {"cancelled", "timed_out"} else None

    def start(self) -> None:
        """Note that it will be started now."""
        (self._place / STARTED).touch()

    def stop(self, why: Stop) -> Stop:
        """Note that it will be stopped now; the first reason stays, and is returned."""
        # A link has its content at once or is not there.
        with suppress(FileExistsError):
            (self._place / _STOPPING).symlink_to(why)
        return self.stopping or why
