"""An idempotency key has one holder at a time, whichever replica and whichever clock."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from services.drivers.modal_objects import Dictionary, drop_dictionary, find_dictionary
from services.resources.queue.adapters.modal.keys import holder_of
from services.resources.queue.adapters.modal.messages import new_ids
from tests.fakes.modal import FakeModal
from tests.fakes.modal.replicas import connected
from theory.core.adapters import QueuePublish
from theory.core.errors import Corrupt
from theory.core.ids import SystemIds

pytestmark = pytest.mark.slow

_SLOT_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_KEPT = timedelta(minutes=10)
_MOMENT = timedelta(microseconds=1)


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeModal]:
    with FakeModal() as made:
        yield made


@pytest.fixture
async def states(fake: FakeModal) -> AsyncIterator[Dictionary]:
    async with connected(fake) as connection:
        yield await find_dictionary(connection, "states", create=True)
        await drop_dictionary(connection, "states")


def _id(at: datetime) -> str:
    return new_ids(at, [QueuePublish(b"")], SystemIds())[0]


@pytest.mark.parametrize("into_slot", [timedelta(0), timedelta(minutes=4), _KEPT - _MOMENT])
async def test_a_key_is_held_for_ten_minutes_from_its_first_use(states: Dictionary, into_slot: timedelta) -> None:
    begin = _SLOT_BEGIN + into_slot
    first = _id(begin)
    assert await holder_of(states, "t", "k", first) == first
    for later in (timedelta(0), timedelta(minutes=5), _KEPT - _MOMENT):
        assert await holder_of(states, "t", "k", _id(begin + later)) == first
    again = _id(begin + _KEPT)
    assert await holder_of(states, "t", "k", again) == again
    assert await holder_of(states, "t", "k", _id(begin + _KEPT + _MOMENT)) == again


async def test_a_key_is_of_its_topic(states: Dictionary) -> None:
    ids = [_id(_SLOT_BEGIN) for _ in range(3)]
    held = [
        await holder_of(states, *at, each) for at, each in zip((("a", "k"), ("b", "k"), ("a", "l")), ids, strict=True)
    ]
    assert held == ids


async def test_of_many_at_once_one_holds_it(fake: FakeModal, states: Dictionary) -> None:
    ids = [_id(_SLOT_BEGIN + _KEPT + offset * _MOMENT) for offset in range(-4, 4)]
    held = await asyncio.gather(*(holder_of(states, "t", "k", each) for each in ids))
    assert len(set(held)) == 1
    assert held[0] in ids


async def test_a_clock_behind_finds_the_slot_closed(states: Dictionary) -> None:
    ahead, behind = _id(_SLOT_BEGIN + _KEPT), _id(_SLOT_BEGIN)
    assert await holder_of(states, "t", "k", ahead) == ahead
    assert await holder_of(states, "t", "k", behind) == ahead


async def test_what_is_no_id_is_not_ours(states: Dictionary) -> None:
    first = _id(_SLOT_BEGIN)
    await holder_of(states, "t", "k", first)
    [key] = [each for each in await states.keys() if await states.get(each) == first.encode()]
    await states.put(key, b"planted")
    with pytest.raises(Corrupt):
        await holder_of(states, "t", "k", _id(_SLOT_BEGIN))
