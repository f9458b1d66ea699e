"""Sharing out: nobody gets more than was wanted, nothing is left over, nobody is told that there is nothing in vain."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from theory.core.adapters import Message
from theory.core.errors import Exhausted
from theory.sdk.sharing import shared_out

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _messages(count: int) -> list[Message]:
    return [Message(str(number), b"", "", 1, _NOW) for number in range(count)]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.data())
@settings(deadline=None)
def test_every_message_goes_to_one_consumer_in_order(wanted: list[int], data: st.DataObject) -> None:
    messages = _messages(data.draw(st.integers(0, sum(wanted))))
    shares = shared_out(messages, wanted)
    assert [each for share in shares if not isinstance(share, Exhausted) for each in share] == messages
    assert all(isinstance(share, Exhausted) or len(share) <= most for share, most in zip(shares, wanted, strict=True))


def test_whoever_is_left_without_asks_again() -> None:
    first, second, third = shared_out(_messages(3), [2, 2, 2])
    assert not isinstance(first, Exhausted)
    assert not isinstance(second, Exhausted)
    assert (len(first), len(second)) == (2, 1)
    assert isinstance(third, Exhausted)
    assert third.reason == "REPLY_FULL"


def test_where_there_is_nothing_everyone_is_told() -> None:
    assert shared_out([], [1, 30]) == [[], []]
