"""What a live log is told in: frames of two outputs, without secrets, each behind a position to go on from."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Self

from services.executor.adapters.runtimes.log import BLOT, SHORTEST, blots, joined, joined_forms
from theory.core.adapters import LogPage, LogPiece, LogSource
from theory.core.errors import Invalid

_POSITION = re.compile(r"(\d{1,20}\.\d{1,9})-(\d{1,20}\.\d{1,9})", re.ASCII).fullmatch
_BREAKS = (b"\n", b"\r")


@dataclass(frozen=True, slots=True, order=True)
class At:
    """A place in one output: a number that never falls from frame to frame, and how many frames with it came before."""

    number: int = 0
    count: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `number.count`."""
        number, _, count = text.partition(".")
        return cls(int(number), int(count))


def position_refused() -> Invalid:
    """No log was ever told with this position."""
    return Invalid("LOG_POSITION_INVALID", "a position that a log was told with is expected", field="position")


@dataclass(frozen=True, slots=True)
class Position:
    """How far each of the two outputs was told."""

    stdout: At
    stderr: At

    @classmethod
    def parse(cls, text: str) -> Self:
        """The beginning for an empty text; `Invalid` (`LOG_POSITION_INVALID`)."""
        if not text:
            return cls(At(), At())
        if (found := _POSITION(text)) is None:
            raise position_refused()
        return cls(At.parse(found[1]), At.parse(found[2]))

    def of(self, source: LogSource) -> At:
        """How far this output was told."""
        return self.stdout if source is LogSource.STDOUT else self.stderr

    def moved(self, source: LogSource, at: At) -> "Position":
        """The same with one output told further."""
        return Position(at, self.stderr) if source is LogSource.STDOUT else Position(self.stdout, at)

    @property
    def text(self) -> str:
        """What `parse` reads."""
        return f"{self.stdout.number}.{self.stdout.count}-{self.stderr.number}.{self.stderr.count}"


@dataclass(frozen=True, slots=True)
class Frame:
    """What a processor wrote at once."""

    source: LogSource
    data: bytes
    behind: At


def page(
    frames: Iterable[Frame], secrets: Iterable[str], after: Position, *, ended: bool, gap: bool = False
) -> LogPage:
    """The frames, in their order, as they may be told.

    An output whose last frames may be the beginning of a secret is told up to them, unless it has `ended`: it goes on
    before them, so that a page never begins within a secret.
    """
    frames, forms = list(frames), joined_forms(secrets)
    told = {source: _told(frames, source, forms, ended=ended) for source in (LogSource.STDOUT, LogSource.STDERR)}
    pieces: list[LogPiece] = []
    for frame in frames:
        if not (left := told[frame.source]):
            continue
        data = left.pop(0)
        after = after.moved(frame.source, frame.behind)
        if pieces and pieces[-1].source is frame.source:
            data = pieces.pop().data + data
        pieces.append(LogPiece(frame.source, data, after.text))
    return LogPage(tuple(pieces), ended, gap)


def _told(frames: Iterable[Frame], source: LogSource, forms: Collection[bytes], *, ended: bool) -> list[bytes]:
    """What is told of each frame of one output; the list is shorter where the last are held back."""
    parts = [frame.data for frame in frames if frame.source is source]
    whole, ends = b"".join(parts), list(accumulate(map(len, parts)))
    spans = blots(whole, forms)
    kept = len(whole) if ended else len(whole) - _undecided(whole, forms)
    # A page ends neither within a secret nor within what may become one.
    while ends and (ends[-1] > kept or any(first < ends[-1] < after for first, after in spans)):
        ends.pop()
    return [_without(whole, begin, end, spans) for begin, end in pairwise([0, *ends])]


def _without(whole: bytes, begin: int, end: int, spans: Iterable[tuple[int, int]]) -> bytes:
    """What is told of one part: a secret is blotted out where it begins, and left out where it goes on."""
    text, at = bytearray(), begin
    for first, after in spans:
        if after <= begin or first >= end:
            continue
        text += whole[at : max(first, begin)] + (BLOT if first >= begin else b"")
        at = min(after, end)
    return bytes(text + whole[at:end])


def _undecided(data: bytes, forms: Collection[bytes]) -> int:
    """How many of the last bytes may be the beginning of a secret.

    At the end of a line fewer than `SHORTEST` are not waited for: every other line would be told too late.
    """
    text = joined(data)
    least = SHORTEST if data.endswith(_BREAKS) else 1
    most = max((_begins(text, form, least) for form in forms), default=0)
    at = len(data)
    while most:
        at -= 1
        most -= data[at : at + 1] not in _BREAKS
    return len(data) - at


def _begins(text: bytes, form: bytes, least: int) -> int:
    """With how much of the beginning of `form` the text ends, if with `least` or more and not with all of it."""
    tail = text[-(len(form) - 1) :]
    at = tail.find(form[:least])
    while at >= 0 and not form.startswith(tail[at:]):
        at = tail.find(form[:least], at + 1)
    return len(tail) - at if 0 <= at <= len(tail) - least else 0
