"""Messages and handles as text, and back."""

from datetime import UTC, datetime, timedelta

import pytest

from services.resources.queue.adapters.sqs.messages import Delivery, HandedOut, Letter

_NOW = datetime(2026, 1, 2, 3, 4, 5, 6, UTC)
_ID = "0123456789abcdef" * 2


@pytest.mark.parametrize("body", [b"", b"\x00\xff", b"x" * (256 << 10)])
@pytest.mark.parametrize("delay_s", [0, 900, 901, 43_200])
def test_a_message_is_read_as_it_was_written(body: bytes, delay_s: int) -> None:
    letter = Letter.of(_ID, _NOW, delay_s, body)
    assert Letter.read(letter.text) == letter
    assert letter.publish_time == _NOW
    assert letter.text.isascii()
    assert letter.text.isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        f"theory/2 {_ID} 1 0 ",
        f"theory/1 {_ID} 1 0 !",
        f"theory/1 {_ID} 1 0",
        f"theory/1 {_ID[1:]} 1 0 ",
        f"theory/1 {_ID} 1 0 eA==\n",
    ],
)
def test_what_others_wrote_is_no_message(text: str) -> None:
    assert Letter.read(text) is None


def test_a_delay_that_sqs_cannot_keep_is_kept_by_the_message() -> None:
    assert Letter.of(_ID, _NOW, 900, b"").early_s(_NOW) == 0
    letter = Letter.of(_ID, _NOW, 1_000, b"")
    assert letter.early_s(_NOW + timedelta(seconds=900)) == 100
    assert letter.early_s(_NOW + timedelta(seconds=999.5)) == 1
    assert letter.early_s(_NOW + timedelta(seconds=1_000)) == 0
    assert letter.again().early_s(_NOW) == 0


def test_a_handle_is_read_back_whatever_the_receipt_is() -> None:
    delivery = Delivery(_ID, 3, 1_700_000_000, "AQEB:a+/=b")
    assert Delivery.read(delivery.handle) == delivery


def test_the_oldest_dead_letters_are_forgotten_first() -> None:
    handed_out = HandedOut(most_bytes=5_000)
    letters = {name: Letter.of(_ID, _NOW, 0, name.encode() * 1_000) for name in "abc"}
    for name, letter in letters.items():
        handed_out.put(name, letter)
    assert [handed_out.get(name) for name in "abc"] == [None, letters["b"], letters["c"]]
    handed_out.pop("b")
    handed_out.pop("b")
    handed_out.put("d", letters["a"])
    assert [handed_out.get(name) for name in "bcd"] == [None, letters["c"], letters["a"]]
