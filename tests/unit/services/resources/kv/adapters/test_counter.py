"""Counters by hand: exact, within int64, canonical text only."""

import pytest

from services.resources.kv.adapters import counter, refusals
from services.resources.kv.ports import KVQuotas
from theory.core.adapters import KVIncr
from theory.core.errors import NotReady, OutOfRange

INT64_MAX = (1 << 63) - 1


@pytest.mark.parametrize(
    ("value", "by", "expected"),
    [
        (None, -3, -3),
        (b"0", 0, 0),
        (b"-9223372036854775808", INT64_MAX, -1),
        (b"9223372036854775806", 1, INT64_MAX),
    ],
)
def test_a_sum_is_exact(value: bytes | None, by: int, expected: int) -> None:
    assert counter.add(value, by) == expected


@pytest.mark.parametrize("value", [b"", b"+1", b"01", b"-0", b"1 ", b"1\n", b"\xd9\xa3", b"9223372036854775808"])
def test_what_is_no_decimal_int64_is_no_counter(value: bytes) -> None:
    assert isinstance(counter.add(value, 1), NotReady)


@pytest.mark.parametrize(("value", "by"), [(b"9223372036854775807", 1), (b"-1", -INT64_MAX - 1), (b"1", INT64_MAX)])
def test_a_sum_outside_int64_is_refused(value: bytes, by: int) -> None:
    assert isinstance(counter.add(value, by), OutOfRange)


def test_remembered_answers_read_as_they_were() -> None:
    answers = [INT64_MAX, counter.add(b"x", 1), -1, counter.add(b"9223372036854775807", 1)]
    answers += [refusals.too_many_keys(KVQuotas(keys=7)), 0, refusals.too_many_bytes(KVQuotas(size_bytes=9))]
    assert repr(counter.unpack(counter.pack(answers))) == repr(answers)


def test_a_digest_tells_additions_apart() -> None:
    lists = [
        [KVIncr("a", 1)],
        [KVIncr("a", 2)],
        [KVIncr("b", 1)],
        [KVIncr("a", 1, 1)],
        [KVIncr("a", 1), KVIncr("a", 1)],
        [KVIncr('a","1', 1)],
        [KVIncr("a", INT64_MAX)],
    ]
    assert len({counter.digest(items) for items in lists}) == len(lists)
    assert counter.digest([KVIncr("a")]) == counter.digest([KVIncr("a", 1, None)])
