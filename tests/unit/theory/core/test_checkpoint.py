"""Checkpoints and the keys of logs: what they look like, and what is none."""

import pytest

from theory.core.checkpoint import Checkpoint, LogKey, is_log_name, note_of, parse_note
from theory.core.errors import Corrupt, Invalid

KEY = LogKey("theory.example.org/ledger", bytes(range(32)))
CHECKPOINT = Checkpoint(KEY.name, 20_852_163, bytes(32))
NOTE = note_of(CHECKPOINT.text, KEY, b"s" * 64)


def test_a_checkpoint_is_three_lines_and_a_signature() -> None:
    text, blank, signature = NOTE.decode().partition("\n\n")
    assert text.split("\n") == ["theory.example.org/ledger", "20852163", "A" * 43 + "="]
    assert (blank, signature[:2]) == ("\n\n", "\N{EM DASH} ")
    assert signature.endswith("\n")


def test_a_note_is_read_as_it_was_written() -> None:
    note = parse_note(NOTE)
    assert Checkpoint.parse(note.text) == CHECKPOINT
    [signature] = note.signatures
    assert signature == (KEY.name, KEY.key_id, b"s" * 64)


def test_lines_and_signatures_of_others_are_passed_over() -> None:
    other = LogKey("witness", bytes(32))
    text = CHECKPOINT.text + "an extension\n"
    line = note_of("", other, b"w" * 72).decode().strip("\n")
    note = parse_note(note_of(text, KEY, b"s" * 64) + f"{line}\n".encode())
    assert Checkpoint.parse(note.text) == CHECKPOINT
    assert [each.name for each in note.signatures] == [KEY.name, "witness"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" + NOTE,
        NOTE.rstrip(b"\n"),
        NOTE.replace(b"\n\n", b"\n"),
        NOTE.replace(b"\n", b"\r\n"),
        NOTE.replace(b" theory.example.org/ledger", b""),
        NOTE.replace("\N{EM DASH}".encode(), b"-"),
        NOTE[:-8] + b"!!!!\n",
        CHECKPOINT.text.encode() + b"\n",
        b"x" * 20_000 + NOTE,
    ],
)
def test_what_is_no_note_is_refused(data: bytes) -> None:
    with pytest.raises(Corrupt) as caught:
        parse_note(data)
    assert caught.value.reason == "CHECKPOINT_INVALID"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "o\n1\n",
        f"o\n1\n{'A' * 43}=",
        f"o\n01\n{'A' * 43}=\n",
        f"o\n-1\n{'A' * 43}=\n",
        f"o\n+1\n{'A' * 43}=\n",
        f"o\n9223372036854775808\n{'A' * 43}=\n",
        f"o\n1\n{'A' * 42}B=\n",  # bits that are left over
        f"o\n1\n{'A' * 40}\n",
        f"o\n1\n{'A' * 43}=\n\nmore\n",
        f"\n1\n{'A' * 43}=\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(Corrupt) as caught:
        Checkpoint.parse(text)
    assert caught.value.reason == "CHECKPOINT_INVALID"


def test_a_key_is_one_line() -> None:
    assert LogKey.parse(KEY.text + "\n") == KEY
    assert KEY.text.startswith(f"theory.example.org/ledger+{KEY.key_id.hex()}+AQAB")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        KEY.text[:-1],
        KEY.text.replace("ledger", "other"),
        KEY.text.replace("+AQ", "+Ag"),
        KEY.text.replace("theory", "the ory"),
        KEY.text + "+",
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        LogKey.parse(text)
    assert caught.value.reason == "LOG_KEY_INVALID"


def test_the_name_of_a_log_has_neither_space_nor_plus() -> None:
    assert is_log_name("theory.local/0")
    assert [name for name in ("", "a b", "a+b", "a\n", "x" * 201) if is_log_name(name)] == []
