"""The log of a guardian, read: frames from a position on, while it writes and afterwards."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from services.executor.adapters.runtimes.frames import At, Frame, Position, position_refused
from services.executor.adapters.runtimes.log import MAX_LOG_BYTES
from services.executor.adapters.runtimes.process.guardian import HEAD, LOG, READ_BYTES
from theory.core.adapters import LogSource

_SOURCE_BY_NUMBER = {1: LogSource.STDOUT, 2: LogSource.STDERR}
_TAIL_BYTES = 2 * MAX_LOG_BYTES
"""A little more than is told of a settled log."""


def frames_behind(place: Path, after: Position, max_bytes: int) -> tuple[list[Frame], bool]:
    """The frames of each output behind its position, up to about `max_bytes`; and whether there were more.

    `Invalid` (`LOG_POSITION_INVALID`) where no frame ends at the position.
    """
    found: list[Frame] = []
    taken = 0
    for frame in _frames(place, min(after.stdout, after.stderr).number):
        if frame.behind <= after.of(frame.source):
            continue
        if found and taken + len(frame.data) > max_bytes:
            return found, True
        found.append(frame)
        taken += len(frame.data)
    return found, False


def begins_at(place: Path) -> int:
    """The position of the oldest byte that is kept."""
    return min((int(each.name) for each in (place / LOG).glob("*")), default=0)


def last_frames(place: Path) -> list[Frame]:
    """The end of the log, as much as is told of one that is settled."""
    kept: list[Frame] = []
    size = 0
    for frame in _frames(place, 0):
        kept.append(frame)
        size += len(frame.data)
        while size - len(kept[0].data) >= _TAIL_BYTES:
            size -= len(kept.pop(0).data)
    return kept


def _frames(place: Path, start: int) -> Iterator[Frame]:
    """Every whole frame that ends behind `start`, of the files that are there."""
    files = sorted((place / LOG).glob("*"))
    begins = [int(each.name) for each in files]
    for idx, (file, begin) in enumerate(zip(files, begins, strict=True)):
        if idx + 1 < len(begins) and begins[idx + 1] <= start:
            continue
        with suppress(FileNotFoundError), file.open("rb") as reading:  # it was the older of three by now
            # A position of ours is the end of a frame, so a frame begins there.
            reading.seek(max(0, start - begin))
            at = begin + reading.tell()
            while len(head := reading.read(HEAD.size)) == HEAD.size:
                number, size = HEAD.unpack(head)
                if number not in _SOURCE_BY_NUMBER or size > READ_BYTES:
                    raise position_refused()
                if len(data := reading.read(size)) < size:
                    return
                at += HEAD.size + size
                yield Frame(_SOURCE_BY_NUMBER[number], data, At(at))
