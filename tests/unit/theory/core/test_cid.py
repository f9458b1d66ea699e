"""CIDs: BLAKE3's own vectors, the grammar, and hashing in pieces."""

import json
from pathlib import Path

import pytest

from tests.unit.theory.core.refusal import refused
from theory.core.cid import Cid, CidHasher
from theory.core.errors import Invalid

VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "blake3" / "test_vectors.json").read_text())


def _input(length: int) -> bytes:
    return bytes(at % 251 for at in range(length))


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: str(case["input_len"]))
def test_a_cid_is_plain_blake3(case: dict[str, object]) -> None:
    assert Cid.of(_input(int(str(case["input_len"])))).hex == str(case["hash"])[:64]


def test_parsing_gives_back_what_was_written() -> None:
    cid = Cid.of(b"bytes")
    assert Cid.parse(str(cid)) == cid
    assert cid.text == f"b3:{cid.hex}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b3:",
        "b3:" + "0" * 63,
        "b3:" + "0" * 65,
        "b3:" + "A" * 64,
        "B3:" + "0" * 64,
        "sha256:" + "0" * 64,
        "0" * 64,
        "b3:" + "0" * 64 + "\n",
        "\nb3:" + "0" * 64,
        "b3:" + "\uff10" * 64,
        "b3:" + "0" * 63 + "g",
    ],
)
def test_any_other_spelling_is_refused(text: str) -> None:
    with refused(Invalid, "CID_INVALID", value=text):
        Cid.parse(text)


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_pieces_of_any_bytes_like_type_give_the_cid_of_the_whole(wrap: type) -> None:
    data = _input(100_000)
    hasher = CidHasher()
    for start in range(0, len(data), 7919):
        hasher.update(wrap(data[start : start + 7919]))
    assert hasher.cid() == Cid.of(data)
    assert hasher.size_bytes == len(data)


def test_feeding_goes_on_after_the_cid_was_read() -> None:
    hasher = CidHasher()
    assert hasher.cid() == Cid.of(b"")
    hasher.update(b"ab")
    hasher.cid()
    hasher.update(b"c")
    assert hasher.cid() == Cid.of(b"abc")


def test_cids_sort_and_serve_as_keys() -> None:
    low, high = Cid.parse("b3:" + "0" * 64), Cid.parse("b3:" + "f" * 64)
    assert sorted({high, low, Cid(low.text)}) == [low, high]
