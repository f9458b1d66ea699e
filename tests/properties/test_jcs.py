"""Canonical JSON against the reference implementation, and the strict reader against hostile text."""

import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest
import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st

from theory.core.errors import Invalid
from theory.core.jcs import MAX_SAFE_INTEGER, canonical, parse

pytestmark = pytest.mark.slow


def _ambiguous(value: float) -> bool:
    """Whether the canonical text has the digits of an integer that not every language reads: those we refuse."""
    return value.is_integer() and MAX_SAFE_INTEGER < abs(value) < 1e21


SAFE = st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
# Near the edges of what two printers print alike.
EDGES = st.builds(
    lambda sign, base, factor: sign * base * factor,
    st.sampled_from((1.0, -1.0)),
    st.sampled_from((1e-5, 1e-6, 1e-7, 1e15, 1e16, 1e20, 1e21, 2.0**53, 5e-324)),
    st.floats(0.9, 1.1),
)
SOUND = (FLOATS | EDGES).filter(lambda value: not _ambiguous(value))
LEAVES = st.none() | st.booleans() | SAFE | SOUND | st.text()
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
# What JSON cannot say, somewhere inside.
WRONG = (
    st.sampled_from((float("nan"), float("inf"), b"x", "\ud800", {1: 2}, {None: 1}, {"\udfff": 1}, {1, 2}))
    | st.integers(min_value=MAX_SAFE_INTEGER + 1)
    | st.integers(max_value=-MAX_SAFE_INTEGER - 1)
)
ANYTHING = st.recursive(
    LEAVES | WRONG, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10
)


@given(DOCUMENTS)
@example({"\U0001f600": 1, "\ufb33": 2})
@example([-0.0, 1.0, 1e15, 1e21, 1e-7])
@settings(deadline=None, max_examples=500)
def test_the_bytes_are_those_of_the_reference(document: object) -> None:
    assert canonical(document) == rfc8785.dumps(document)  # type: ignore[arg-type]


@pytest.mark.long
@given(DOCUMENTS)
@settings(deadline=None, max_examples=20_000)
def test_the_bytes_are_those_of_the_reference_many_times(document: object) -> None:
    assert canonical(document) == rfc8785.dumps(document)  # type: ignore[arg-type]


@given(DOCUMENTS)
@settings(deadline=None, max_examples=300)
def test_what_was_written_is_read_back(document: object) -> None:
    text = canonical(document)
    value = parse(text)
    assert canonical(value) == text
    assert value == orjson.loads(text) == json.loads(text)


@given(FLOATS | EDGES | SAFE.map(float))
@settings(deadline=None, max_examples=1000)
def test_a_float_is_written_as_the_reference_does_or_refused_where_its_digits_are_an_unsafe_integer(
    value: float,
) -> None:
    if _ambiguous(value):
        assert not _accepts(canonical, value)
        assert abs(int(rfc8785.dumps(value))) > MAX_SAFE_INTEGER
    else:
        assert canonical(value) == rfc8785.dumps(value)


@given(ANYTHING)
@settings(deadline=None, max_examples=500)
def test_exactly_what_the_reference_refuses_is_refused(value: object) -> None:
    assert _accepts(canonical, value) == _accepts(rfc8785.dumps, value)


def _accepts(write: Callable[[Any], bytes], value: object) -> bool:
    try:
        write(value)
    except (Invalid, rfc8785.CanonicalizationError, UnicodeEncodeError):
        return False
    return True


PIECES = st.sampled_from(
    [
        *("{", "}", "[", "]", ",", ":", '"', "\\", "a", "0", "1", "-", "+", ".", "e", " ", "null", "true", "NaN"),
        *(
            "Infinity",
            "\\ud800",
            "\\udc00",
            "\\u0000",
            "9007199254740993",
            "1e400",
            "1e20",
            '"a"',
            "\ufeff",
            "é",
            "\x00",
        ),
    ]
)
TEXTS = st.lists(PIECES, max_size=20).map("".join).map(str.encode) | st.binary(max_size=40)


@given(TEXTS | DOCUMENTS.map(canonical))
@settings(deadline=None, max_examples=1000)
def test_what_is_read_can_be_written_and_every_reader_agrees(text: bytes) -> None:
    try:
        value = parse(text)
    except Invalid as error:
        assert error.reason == "JSON_INVALID"  # noqa: PT017  # most texts are refused; those that are not go on
        return
    assert parse(canonical(value)) == value
    assert orjson.loads(text) == value
