"""Seals: what went out for one place, and what did not."""

import pytest

from services.resources.queue.domain.seal import Opened, Sealer
from theory.core.errors import Invalid

SEALER = Sealer(b"k" * 32)


@pytest.mark.parametrize("dead_letters", [False, True])
@pytest.mark.parametrize("handle", ["id:1", "a.b.c:7", ""])
def test_a_handle_comes_back_with_its_side(handle: str, dead_letters: bool) -> None:
    seal = SEALER.of("p", "t")
    assert seal.take_off(seal.put_on(handle, dead_letters=dead_letters)) == Opened(handle, dead_letters)


def test_the_side_cannot_be_changed() -> None:
    seal = SEALER.of("p", "t")
    live, dead = (seal.put_on("id:1", dead_letters=side) for side in (False, True))
    assert isinstance(seal.take_off("dead!" + live), Invalid)
    assert isinstance(seal.take_off(dead.removeprefix("dead!")), Invalid)


@pytest.mark.parametrize(("plan_id", "topic"), [("p", "u"), ("q", "t"), ("pt", "t"), ("p", "tt")])
def test_another_place_is_another_seal(plan_id: str, topic: str) -> None:
    sealed = SEALER.of("p", "t").put_on("id:1", dead_letters=False)
    assert isinstance(SEALER.of(plan_id, topic).take_off(sealed), Invalid)


def test_a_long_handle_is_not_even_hashed() -> None:
    seal = SEALER.of("p", "t")
    assert isinstance(seal.take_off(seal.put_on("x" * 5_000, dead_letters=False)), Invalid)
