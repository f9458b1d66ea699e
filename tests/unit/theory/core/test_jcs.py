"""Canonical JSON and the strict reader: RFC 8785's vectors, the traps of other readers, and the limits."""

import json
from collections.abc import Iterator
from enum import IntEnum, StrEnum
from pathlib import Path
from types import MappingProxyType

import pytest
import rfc8785

from tests.unit.theory.core.refusal import refused
from theory.core import jcs
from theory.core.errors import Invalid
from theory.core.jcs import canonical, parse, parse_object

VECTORS = Path(__file__).parents[3] / "vectors" / "jcs"
NAMES = sorted(path.stem for path in (VECTORS / "input").iterdir())


class Colour(StrEnum):
    RED = "red"


class Count(IntEnum):
    ONE = 1


@pytest.mark.parametrize("name", NAMES)
def test_the_published_vectors_hold(name: str) -> None:
    wanted = bytes.fromhex((VECTORS / "outhex" / f"{name}.txt").read_text())
    assert canonical(parse((VECTORS / "input" / f"{name}.json").read_bytes())) == wanted
    assert canonical(parse(wanted)) == wanted


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (0, "0"),
        (-1, "-1"),
        (2**53 - 1, "9007199254740991"),
        (1 - 2**53, "-9007199254740991"),
        (1.0, "1"),
        (-0.0, "0"),
        (0.5, "0.5"),
        (1e21, "1e+21"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (1e15, "1000000000000000"),
        (123456789012345.6, "123456789012345.6"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (2.0**53 - 1, "9007199254740991"),
        ("é\u2028</\x7f", '"é\u2028</\x7f"'),
        ('"\\\b\f\n\r\t\x00\x1f', '"\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f"'),
        ([], "[]"),
        ((), "[]"),
        ({}, "{}"),
        ((1, [2, (3,)]), "[1,[2,[3]]]"),
        ({"b": 1, "a": [True, None]}, '{"a":[true,null],"b":1}'),
        ({"\U0001f600": 1, "\ufb33": 2}, '{"\U0001f600":1,"\ufb33":2}'),
        ({"é": 1, "z": 2, "e\u0301": 3}, '{"e\u0301":3,"z":2,"é":1}'),
        ({Colour.RED: Colour.RED, "one": Count.ONE}, '{"one":1,"red":"red"}'),
    ],
)
def test_values_have_one_text(value: object, text: str) -> None:
    assert canonical(value).decode() == text
    assert canonical([value]) == rfc8785.dumps([value])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("value", "at"),
    [
        (float("nan"), "$"),
        ([float("inf")], "$[0]"),
        ({"a": [0, {"b": float("-inf")}]}, "$.a[1].b"),
        (2**53, "$"),
        (-(2**53), "$"),
        ({"a": 2**63}, "$.a"),
        (2.0**53, "$"),
        ([-(2.0**60)], "$[0]"),
        (1e20, "$"),
        (b"bytes", "$"),
        ({"a": {1, 2}}, "$.a"),
        ({1: "a"}, "$"),
        ({"a": {None: 1}}, "$.a"),
        ("\ud800", "$"),
        ({"a": ["\udc00"]}, "$.a[0]"),
        ({"\ud800": 1}, "$"),
        (MappingProxyType({}), "$"),
        (object(), "$"),
    ],
)
def test_what_json_cannot_say_is_refused_with_its_place(value: object, at: str) -> None:
    with refused(Invalid, "JSON_INVALID", at=at):
        canonical(value)


def test_floats_are_refused_where_exactness_is_asked_for() -> None:
    assert canonical({"a": [1, "x"]}, floats=False) == b'{"a":[1,"x"]}'
    assert canonical({"é": [1, "x"]}, floats=False) == '{"é":[1,"x"]}'.encode()
    for value in (0.5, 1.0, 1e300, float("nan")):
        with refused(Invalid, "JSON_INVALID", at="$.a[0]"):
            canonical({"a": [value]}, floats=False)


def _nested(depth: int, leaf: object = 0) -> object:
    value = leaf
    for at in range(depth):
        value = [value] if at % 2 else {"k": value}
    return value


def test_nesting_is_bounded_when_writing() -> None:
    canonical(_nested(64))
    canonical(_nested(64, leaf=0.0))
    for deep in (_nested(65), _nested(64, leaf=[]), _nested(64, leaf={}), _nested(100_000)):
        with refused(Invalid, "JSON_INVALID"):
            canonical(deep)


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)
    with refused(Invalid, "JSON_INVALID"):
        canonical(loop)


def test_nesting_is_bounded_when_reading() -> None:
    assert parse("[" * 64 + "]" * 64) is not None
    for text in ("[" * 65 + "]" * 65, '{"a":' * 65 + "1" + "}" * 65, "[" * 100_000, "[" * 100_000 + "]" * 100_000):
        with refused(Invalid, "JSON_INVALID"):
            parse(text)


def test_many_brackets_that_do_not_nest_are_fine() -> None:
    assert parse("[" + ",".join(["[]"] * 200) + "]") == [[]] * 200
    assert parse('"' + "[" * 200 + '"') == "[" * 200


@pytest.mark.parametrize(
    ("text", "at"),
    [
        (b"", "line 1 column 1"),
        (b" ", "line 1 column 2"),
        (b"{", "line 1 column 2"),
        (b"[1,]", "line 1 column 4"),
        (b"{'a':1}", "line 1 column 2"),
        (b"1 2", "line 1 column 3"),
        (b"\n\n  x", "line 3 column 3"),
        (b"[01]", "line 1 column 3"),
        (b"[+1]", "line 1 column 2"),
        (b"[.5]", "line 1 column 2"),
        (b"[1.]", "line 1 column 3"),
        (b'"\x00"', "line 1 column 2"),
        (b'"\\x"', "line 1 column 2"),
        (b"// c\n1", "line 1 column 1"),
        (b'{"a":1,"a":2}', "$..a"),
        (b'{"b":{"a":1,"c":0,"a":1}}', "$..a"),
        (b"NaN", "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"[-Infinity]", "-Infinity"),
        (b"1e400", "1e400"),
        (b"-1e400", "-1e400"),
        (b"9007199254740992", "9007199254740992"),
        (b"9007199254740992.0", "9007199254740992.0"),
        (b"1e20", "1e20"),
        (b"-9007199254740992", "-9007199254740992"),
        (b"123456789012345678901234567890", "123456789012345678901234567890"),
        (b'"\\ud800"', "$"),
        (b'{"a":["\\udc00\\ud800"]}', "$.a[0]"),
        (b'{"\\ud800":1}', "$"),
        (b"\xef\xbb\xbf{}", "line 1 column 1"),
        (b'"\xff"', "$"),
        (b'"\xc0\xae"', "$"),
        (b'"\xed\xa0\x80"', "$"),
        ('{"a":1}'.encode("utf-16"), "$"),
        ('{"a":1}'.encode("utf-16-le"), "line 1 column 2"),
    ],
)
def test_text_that_readers_would_read_differently_is_refused(text: bytes, at: str) -> None:
    with refused(Invalid, "JSON_INVALID", at=at):
        parse(text)


def test_half_a_surrogate_pair_in_a_text_is_refused() -> None:
    with refused(Invalid, "JSON_INVALID", at="$"):
        parse('"\ud800"')


@pytest.mark.slow
def test_a_megabyte_of_digits_is_refused_at_once() -> None:
    for text in (b"9" * 1_000_000, b"-" + b"9" * 1_000_000, b"[" + b"0" * 1_000_000 + b"]"):
        with refused(Invalid, "JSON_INVALID"):
            parse(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"-0", 0),
        (b"-0.0", 0.0),
        (b"1E2", 100.0),
        (b"1e-400", 0.0),
        (b"9007199254740991", 2**53 - 1),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b' {"a" : [ ] } ', {"a": []}),
        ("é", None),
        ('"é"', "é"),
        (b"12345678901234567e5", 1234567890123456700000.0),
    ],
)
def test_strict_json_is_read(text: bytes | str, value: object) -> None:
    if value is None:
        with refused(Invalid, "JSON_INVALID"):
            parse(text)
    else:
        assert parse(text) == value


def test_the_size_is_bounded_in_bytes() -> None:
    assert parse('"é"', max_bytes=4) == "é"
    for text in ('"é"', '"é"'.encode()):
        with refused(Invalid, "JSON_INVALID", at="$"):
            parse(text, max_bytes=3)


def test_an_object_is_read_where_one_is_needed() -> None:
    assert parse_object(b'{"a":1}') == {"a": 1}
    for text in (b"[]", b"null", b"1", b'"a"'):
        with refused(Invalid, "JSON_INVALID", at="$"):
            parse_object(text)


def test_what_was_parsed_is_made_of_plain_types() -> None:
    def types(value: object) -> Iterator[type]:
        yield type(value)
        for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from types(each)

    text = b'{"a":[1,1.5,true,null,"x",{"b":{}}]}'
    assert set(types(parse(text))) == {dict, list, int, float, bool, type(None), str}
    assert json.loads(text) == parse(text)


def test_the_fast_way_is_taken_only_for_what_it_writes_alike() -> None:
    fast = [1, "x", None, True, {"a": [1.5]}, 0.00001, 999999999999999.5]
    slow = [1.0, -0.0, 1e-6, 1e15 + 0.5, 2**53, {"é": 1}, Colour.RED, {Colour.RED: 1}, float("nan"), b"x"]
    assert all(jcs._plain(value, 64, floats=True) for value in fast)
    assert not any(jcs._plain(value, 64, floats=True) for value in slow)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (b"{", "syntax"),
        (b"\xef\xbb\xbf{}", "syntax"),
        (b'"\xff"', "utf8"),
        (b'{"a":1,"a":1}', "duplicate_key"),
        (b'"\\ud800"', "surrogate"),
        (b"9007199254740992", "safe_integer"),
        (b"9007199254740992.0", "safe_integer"),
        (b"NaN", "finite"),
        (b"1e400", "finite"),
        (b"[" * 65 + b"]" * 65, "depth"),
        (b"[" * 100_000, "depth"),
        (b'"' + b"x" * 1_000_000 + b'"', "size"),
        (b"[]", "object"),
    ],
)
def test_a_text_is_refused_by_its_rule(text: bytes, rule: str) -> None:
    with refused(Invalid, "JSON_INVALID", rule=rule):
        parse_object(text, max_bytes=999_999)


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (0.5, "float"),
        (1e300, "float"),
        (float("nan"), "finite"),
        (2**53, "safe_integer"),
        (1e20, "safe_integer"),
        ("\udc00", "surrogate"),
        (b"x", "type"),
        ({1: 1}, "key"),
        (_nested(65), "depth"),
    ],
)
def test_a_value_is_refused_by_its_rule(value: object, rule: str) -> None:
    with refused(Invalid, "JSON_INVALID", rule=rule):
        canonical(value, floats=False)


def test_what_stands_within_others_nests_less() -> None:
    assert parse(b'{"a":' + canonical(_nested(63), within=1) + b"}") == {"a": _nested(63)}
    for deep in (_nested(64), _nested(64, leaf="\u00e9"), _nested(63, leaf=[])):
        with refused(Invalid, "JSON_INVALID", rule="depth"):
            canonical(deep, within=1)
