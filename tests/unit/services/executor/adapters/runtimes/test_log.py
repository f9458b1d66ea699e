"""The end of a log: bounded, and without secrets in any form."""

import base64
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from services.executor.adapters.places.marker import Marker
from services.executor.adapters.places.tree import TreeLimits
from services.executor.adapters.runtimes.log import WITHHELD, LogTail, secrets_of

SECRET = 'sk-"canary"/é?>~? 1'


def _told(data: bytes, *secrets: str) -> str:
    tail = LogTail()
    for at in range(0, len(data), 1000):
        tail.add(data[at : at + 1000])
    return tail.text(secrets)


def test_a_short_log_is_told_whole() -> None:
    assert _told("zwei Wörter\n".encode()) == "zwei Wörter\n"


def test_of_a_long_log_the_end_is_told() -> None:
    data = b"".join(b"line %d\n" % number for number in range(20_000))
    told = _told(data)
    assert len(told) == 16 * 1024
    assert data.decode().endswith(told)


def test_a_single_huge_piece_is_cut() -> None:
    tail = LogTail()
    tail.add(bytes(10_000_000))
    assert len(tail.text([])) == 16 * 1024


def test_what_is_no_text_is_told_as_well_as_can_be() -> None:
    assert _told(b"a\xff\xfeb") == "a\ufffd\ufffdb"


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower(),
        "".join(f"%{each:02x}" for each in SECRET.encode()),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        "".join(f"\\u{ord(each):04X}" for each in SECRET),
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(b"user:" + SECRET.encode() + b"@host").decode(),
        base64.b64encode(b"k=" + SECRET.encode() + b";").decode(),
        base64.urlsafe_b64encode(b"user:" + SECRET.encode() + b"@host").decode(),
        base64.encodebytes(b"user:" + bytes(40) + SECRET.encode() + b"@host").decode(),
    ],
)
def test_a_secret_is_blotted_out_in_every_form(form: str) -> None:
    told = _told(f"before {form} after".encode(), SECRET)
    assert form not in told
    assert SECRET not in told
    assert "***" in told
    assert told.startswith("before ")
    assert told.endswith(" after")


def test_a_secret_at_the_cut_is_blotted_out_too() -> None:
    for extra in range(len(SECRET) + 2):
        told = _told(SECRET.encode() + b"x" * (16 * 1024 - extra), SECRET)
        assert SECRET[-5:] not in told


def test_an_encoded_secret_at_the_cut_is_blotted_out_too() -> None:
    for form in (SECRET.encode(), SECRET.encode().hex().encode(), quote(SECRET, safe="").encode()):
        lines = b"\n".join([form] * 3)
        for cut in range(len(form) + 1):
            first, *others = _told(lines[cut:], SECRET).split("\n")
            assert first == "***" or len(first) < 4
            assert set(others) == {"***"}


def test_a_secret_in_other_case_is_blotted_out_too() -> None:
    assert _told(b"KEY=TopSecret key=topsecret", "topSecret") == "KEY=*** key=***"


def test_two_secrets_side_by_side_are_blotted_out_each() -> None:
    assert _told(b"one=first two=second\nfirst\nsecond\n", "first", "second") == "one=*** two=***\n***\n***\n"


def test_of_secrets_within_each_other_all_is_blotted_out() -> None:
    assert _told(b"a abcdefgh b", "abcdef", "cdefgh", "bcde") == "a *** b"


def test_a_secret_of_several_lines_is_found_however_they_end() -> None:
    assert _told(b"-- key\r\nline one\r\nline two\r\n--", "line one\nline two\n") == "-- key\r\n***\r\n--"


def test_a_value_of_a_few_letters_is_not_searched_for() -> None:
    assert _told(b"abracadabra", "a") == "abracadabra"


def test_a_log_whose_secrets_are_gone_is_withheld() -> None:
    tail = LogTail()
    assert tail.text(None) == ""
    tail.add(SECRET.encode())
    assert tail.text(None) == WITHHELD


def _place(directory: Path, *mounts: str) -> Path:
    (directory / "run").mkdir()
    Marker(TreeLimits(1, 1), frozenset(mounts)).write(directory)
    return directory


def test_the_values_of_a_place_are_read(tmp_path: Path) -> None:
    (_place(tmp_path) / "run" / "secrets").mkdir()
    (tmp_path / "run" / "secrets" / "KEY").write_text("value")
    assert secrets_of(tmp_path) == ["value"]


def test_a_place_without_secrets_has_none(tmp_path: Path) -> None:
    assert secrets_of(_place(tmp_path, "out", "world")) == []


def test_the_values_of_a_place_that_lost_its_mount_are_gone(tmp_path: Path) -> None:
    assert secrets_of(_place(tmp_path, "out", "run", "world")) is None


def test_the_values_of_a_place_whose_memory_is_gone_are_gone(tmp_path: Path) -> None:
    (_place(tmp_path) / "run").rmdir()
    (tmp_path / "run").symlink_to(tmp_path / "shared" / "memory")
    assert secrets_of(tmp_path) is None


def test_of_a_place_that_is_gone_nobody_knows(tmp_path: Path) -> None:
    assert secrets_of(tmp_path / "place") is None
