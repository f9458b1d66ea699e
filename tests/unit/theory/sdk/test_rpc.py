"""Answers of batches, and batches that fit."""

from collections.abc import Sequence

import pytest

from theory.api.core.v1.item_status_pb2 import ItemStatus
from theory.api.resources.v1 import kv_pb2
from theory.core.errors import Exhausted, NotFound, TheoryError
from theory.sdk.rpc import answers, fitting, outcomes, unwrapped, whole
from theory.wire.status import item_ok, item_status

_GONE = item_status(NotFound("SPEC_UNKNOWN", "gone", ref="a@1"))


def test_each_result_becomes_its_value_or_its_error() -> None:
    results = [kv_pb2.IncrResponse.Result(status=item_ok(), value=0), kv_pb2.IncrResponse.Result(status=_GONE)]
    value, error = answers(results, lambda result: result.value)
    assert value == 0
    assert isinstance(error, NotFound)
    assert error.metadata == {"ref": "a@1"}


def test_each_status_becomes_its_outcome() -> None:
    fine, gone = outcomes([ItemStatus(), _GONE])
    assert fine is None
    assert isinstance(gone, NotFound)


def test_unwrapping_raises_the_first_error() -> None:
    assert unwrapped([1, 2]) == [1, 2]
    first: list[int | TheoryError] = [1, NotFound("A_B", "first"), NotFound("A_B", "second")]
    with pytest.raises(NotFound, match="first"):
        unwrapped(first)


@pytest.mark.parametrize(
    ("items", "expected"),
    [([], []), ([1, 1, 1, 1, 1], [[1, 1, 1], [1, 1]]), ([9, 9, 1], [[9], [9, 1]]), ([50, 1, 50], [[50], [1], [50]])],
)
def test_batches_respect_both_limits(items: list[int], expected: list[list[int]]) -> None:
    assert list(fitting(items, max_items=3, max_bytes=10, size_of=lambda n: n)) == expected


def test_batches_without_a_size_respect_the_count() -> None:
    assert list(fitting("abcde", max_items=2)) == [["a", "b"], ["c", "d"], ["e"]]


async def test_what_a_reply_had_no_room_for_is_asked_for_again() -> None:
    asked: list[Sequence[int]] = []

    async def send(batch: Sequence[int]) -> list[int | TheoryError]:
        asked.append(batch)
        return [-batch[0], *(Exhausted("REPLY_FULL", "full") for _ in batch[1:])]

    assert await whole([1, 2, 3], send) == [-1, -2, -3]
    assert asked == [[1, 2, 3], [2, 3], [3]]


async def test_what_never_finds_room_is_not_asked_for_ever() -> None:
    async def send(batch: Sequence[int]) -> list[int | TheoryError]:
        return [Exhausted("REPLY_FULL", "full") for _ in batch]

    answers = await whole([1, 2], send)
    assert all(isinstance(each, Exhausted) for each in answers)
