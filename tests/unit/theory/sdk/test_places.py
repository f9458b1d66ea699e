"""Coalescers by place."""

import asyncio
from collections.abc import Sequence

import pytest

from theory.core.errors import NotFound, TheoryError
from theory.sdk.places import PlaceCoalescer

Batch = tuple[str, tuple[int, ...]]


class Doubling:
    """Notes its batches and doubles what is in them."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    async def load(self, place: str, items: Sequence[int]) -> Sequence[int | TheoryError]:
        self.batches.append((place, tuple(items)))
        await asyncio.sleep(0)
        return [NotFound("SPEC_UNKNOWN", "none") if item < 0 else 2 * item for item in items]


async def test_items_of_one_place_and_turn_make_one_batch() -> None:
    doubling = Doubling()
    coalescer = PlaceCoalescer(doubling.load, max_items=10)
    asked = [coalescer(place, item) for place, item in (("a", 1), ("b", 2), ("a", 3))]
    assert await asyncio.gather(*asked) == [2, 4, 6]
    assert doubling.batches == [("a", (1, 3)), ("b", (2,))]


async def test_batches_keep_their_limits() -> None:
    doubling = Doubling()
    coalescer = PlaceCoalescer(doubling.load, max_items=2, max_bytes=5, size_of=lambda item: item)
    await asyncio.gather(*(coalescer("a", item) for item in (1, 1, 1, 4, 3)))
    assert [items for _, items in doubling.batches] == [(1, 1), (1, 4), (3,)]


async def test_an_error_of_an_item_is_raised_at_its_caller() -> None:
    coalescer = PlaceCoalescer(Doubling().load, max_items=10)
    good, bad = coalescer("a", 1), coalescer("a", -1)
    assert await good == 2
    with pytest.raises(NotFound):
        await bad


async def test_a_place_where_nothing_happens_costs_nothing() -> None:
    coalescer = PlaceCoalescer(Doubling().load, max_items=10)
    await asyncio.gather(*(coalescer(f"place {idx}", idx) for idx in range(100)))
    await asyncio.sleep(0)
    assert len(coalescer._coalescers) == 0
    assert await coalescer("place 1", 1) == 2
