"""The table of characters: computed anew where the interpreter has the Unicode version that it is pinned to."""

import sys
import unicodedata

import pytest

from theory.core.world_characters import _RANGES, permitted


def _table() -> set[int]:
    numbers: set[int] = set()
    for each in _RANGES.split():
        low, _, high = each.partition("-")
        numbers.update(range(int(low, 16), int(high or low, 16) + 1))
    return numbers


@pytest.mark.slow
def test_the_table_holds_every_character_of_the_permitted_categories() -> None:
    table = _table()
    for number in range(sys.maxunicode + 1):
        category = unicodedata.category(chr(number))
        admitted = category[0] != "C" and category not in {"Zl", "Zp"}
        if unicodedata.unidata_version == "14.0.0":
            assert admitted == (number in table), hex(number)
        else:  # a later Unicode knows more characters and takes none back
            assert admitted or number not in table, hex(number)


def test_ascii_is_permitted_where_it_can_be_seen() -> None:
    assert [number for number in range(128) if permitted(chr(number))] == list(range(0x20, 0x7F))


def test_one_bad_character_spoils_a_text() -> None:
    assert permitted("日本 é a")
    assert not permitted("日本\u200bé")
    assert not permitted("é\n")
    assert permitted("")
