"""Live logs in frames: told in order, never with a secret, and behind positions that a page begins from."""

import base64
import random
from collections.abc import Iterable, Sequence

import pytest

from services.executor.adapters.runtimes.frames import At, Frame, Position, page
from theory.core.adapters import LogPage, LogSource
from theory.core.errors import Invalid

SECRET = "sk-canary-48151623"
OUT, ERR = LogSource.STDOUT, LogSource.STDERR
_BEGIN = Position(At(), At())


def _frames(*parts: tuple[LogSource, bytes]) -> list[Frame]:
    return [Frame(source, data, At(number, 1)) for number, (source, data) in enumerate(parts, start=1)]


def _text(told: LogPage, source: LogSource = OUT) -> bytes:
    return b"".join(each.data for each in told.pieces if each.source is source)


def _paged(frames: Sequence[Frame], secrets: Iterable[str], size: int) -> bytes:
    """All of one output, read in pages of `size` frames as they come, each from where the one before ended."""
    told, position, known = b"", _BEGIN, size
    while True:
        ended = known >= len(frames)
        behind = [each for each in frames[:known] if each.behind > position.of(each.source)]
        found = page(behind, secrets, position, ended=ended)
        told += _text(found)
        if found.pieces:
            position = Position.parse(found.pieces[-1].position)
        if ended:
            return told
        known += size


def test_the_two_outputs_are_told_apart_and_in_order() -> None:
    told = page(_frames((OUT, b"one\n"), (OUT, b"two\n"), (ERR, b"oh\n"), (OUT, b"three\n")), [], _BEGIN, ended=False)
    assert [(each.source, each.data) for each in told.pieces] == [
        (OUT, b"one\ntwo\n"),
        (ERR, b"oh\n"),
        (OUT, b"three\n"),
    ]
    assert told.pieces[-1].position == "4.1-3.1"
    assert (told.ended, told.gap) == (False, False)


def test_a_secret_across_frames_is_blotted_out_once() -> None:
    told = page(
        _frames((OUT, b"a sk-can"), (ERR, b"x"), (OUT, b"ary-4815"), (OUT, b"1623 b")), [SECRET], _BEGIN, ended=False
    )
    assert _text(told) == b"a *** b"
    assert _text(told, ERR) == b"x"


def test_what_may_become_a_secret_is_held_back_until_that_is_decided() -> None:
    begun = _frames((OUT, b"before\n"), (OUT, b"token=sk-ca"), (ERR, b"meanwhile\n"))
    told = page(begun, [SECRET], _BEGIN, ended=False)
    assert (_text(told), _text(told, ERR)) == (b"before\n", b"meanwhile\n")
    position = Position.parse(told.pieces[-1].position)
    assert (position.stdout, position.stderr) == (At(1, 1), At(3, 1))
    assert _text(page(begun[1:2], [SECRET], position, ended=True)) == b"token=sk-ca"


def test_a_line_does_not_wait_for_the_next_because_of_its_last_letters() -> None:
    assert _text(page(_frames((OUT, b"all is sk-\n")), [SECRET], _BEGIN, ended=False)) == b"all is sk-\n"
    assert _text(page(_frames((OUT, b"all is sk-\n"), (OUT, b"s")), [SECRET], _BEGIN, ended=False)) == b"all is sk-\n"
    assert _text(page(_frames((OUT, b"all is sk-canary\n")), [SECRET], _BEGIN, ended=False)) == b""


@pytest.mark.parametrize("seed", range(20))
def test_no_paging_tells_a_secret(seed: int) -> None:
    chance = random.Random(seed)
    encoded = base64.b64encode(f"user:{SECRET}@host".encode()).decode()
    text = f"begin {SECRET} s sk- {SECRET.upper()}{SECRET}\n{encoded}\n{SECRET[:9]}\n{SECRET[9:]} end".encode()
    frames: list[Frame] = []
    while text:
        size = chance.randint(1, 12)
        frames.append(Frame(OUT, text[:size], At(len(frames) + 1, 1)))
        text = text[size:]
    whole = _paged(frames, [SECRET], len(frames))
    assert b"canary" not in whole.lower()
    assert whole.startswith(b"begin *** s sk- ***")
    for size in (1, 2, 3, 7):
        told = _paged(frames, [SECRET], size)
        assert SECRET.encode() not in told.replace(b"\n", b"").lower()
        assert encoded[8:].encode() not in told
        assert told.startswith(b"begin *** s sk- ***")
        assert told.endswith(b" end")


@pytest.mark.parametrize(
    "text", ["x", "1.1", "1.1-", "1.1-1", "-1.0-1.1", "1.1-1.1 ", "\u0661.1-1.1", "9" * 40 + ".1-1.1"]
)
def test_a_position_that_was_never_given_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        Position.parse(text)
    assert (caught.value.reason, caught.value.metadata) == ("LOG_POSITION_INVALID", {"field": "position"})


def test_a_position_reads_as_it_is_written() -> None:
    position = Position(At(1_764_562_000_123_456_789, 2), At(7, 0))
    assert Position.parse(position.text) == position
    assert Position.parse("") == _BEGIN
