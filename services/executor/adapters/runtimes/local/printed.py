"""The engine's log of a container, read from a position on: the engine is asked for what is there, never to wait."""

import heapq
import re
from collections.abc import Generator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from services.executor.adapters.runtimes.frames import At, Frame, Position
from theory.core.adapters import LogSource

_NANO = 1_000_000_000
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z", re.ASCII).fullmatch
_EARLIER_S = 1e-6
"""The engine's client rounds moments by less than that."""


def frames_behind(client: Any, container: str, after: Position, max_bytes: int) -> tuple[list[Frame], bool]:  # noqa: ANN401 - the engine's client
    """The frames of each output behind its position, by time, up to about `max_bytes`; and whether there were more."""
    found: list[Frame] = []
    taken = 0
    outputs = [_read(client, container, source, after) for source in (LogSource.STDOUT, LogSource.STDERR)]
    with closing(outputs[0]), closing(outputs[1]):
        for frame in heapq.merge(*outputs, key=lambda each: each.behind.number):
            if found and taken + len(frame.data) > max_bytes:
                return found, True
            found.append(frame)
            taken += len(frame.data)
    return found, False


def _read(client: Any, container: str, source: LogSource, after: Position) -> Generator[Frame, None, None]:  # noqa: ANN401 - likewise
    """The frames of one output behind its position. The time of a frame is its number; several may have the same."""
    start = after.of(source)
    asked: dict[str, Any] = {"since": start.number / _NANO - _EARLIER_S} if start.number else {}
    outputs = {"stdout": source is LogSource.STDOUT, "stderr": source is LogSource.STDERR}
    pieces = client.logs(container, stream=True, follow=False, timestamps=True, **outputs, **asked)
    try:
        number = count = 0
        for piece in pieces:
            stamp, _, data = piece.partition(b" ")
            moment = _nanoseconds(stamp)
            # A moment never goes back, whatever the engine's clock did.
            count = count + 1 if moment <= number else 1
            number = max(number, moment)
            if (at := At(number, count)) > start:
                yield Frame(source, data, at)
    finally:
        # The stream's own way to end cuts the connection off and leaves its socket open.
        pieces._response.close()  # noqa: SLF001 - the client shows it nowhere


def _nanoseconds(stamp: bytes) -> int:
    found = _STAMP(stamp)
    if found is None:
        return 0
    seconds = datetime.fromisoformat(found[1].decode()).replace(tzinfo=UTC).timestamp()
    return int(seconds) * _NANO + int((found[2] or b"").ljust(9, b"0"))
