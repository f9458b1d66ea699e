"""Dicts and Queues of Modal that hold bytes: who was first, and what is not ours."""

import pickle
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from grpclib import Status

from services.drivers.modal import Absent, Connection
from services.drivers.modal_objects import (
    MAX_WRITE_BYTES,
    Dictionary,
    Standing,
    drop_dictionary,
    drop_hints,
    find_dictionary,
    find_hints,
    together,
)
from tests.fakes.modal import FakeModal, Fault
from tests.fakes.modal.replicas import connected
from theory.core.errors import Corrupt, Unavailable

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeModal]:
    with FakeModal() as made:
        yield made


@pytest.fixture
async def connection(fake: FakeModal) -> AsyncIterator[Connection]:
    async with connected(fake) as made:
        yield made


@pytest.fixture
async def dictionary(connection: Connection) -> AsyncIterator[Dictionary]:
    yield await find_dictionary(connection, "d", create=True)
    await drop_dictionary(connection, "d")


async def test_the_first_claim_of_a_key_stands(dictionary: Dictionary) -> None:
    assert await dictionary.claim("k", b"one") == b"one"
    assert await dictionary.claim("k", b"two") == b"one"
    assert await dictionary.get("k") == b"one"


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_claim_is_settled_whatever_is_lost(fake: FakeModal, dictionary: Dictionary, when: str) -> None:
    fake.call(lambda: fake.hub.faults.arm(Fault("DictUpdate", when, Status.ABORTED, times=2)))
    assert await dictionary.claim("k", b"mine") == b"mine"


async def test_a_claim_that_cannot_be_settled_is_unavailable(fake: FakeModal, dictionary: Dictionary) -> None:
    fake.call(lambda: fake.hub.faults.arm(Fault("DictUpdate", "after", Status.ABORTED, times=3)))
    fake.call(lambda: fake.hub.faults.arm(Fault("DictGet", "before", Status.ABORTED, times=9)))
    with pytest.raises(Unavailable):
        await dictionary.claim("k", b"mine")
    fake.call(fake.hub.faults.clear)
    assert await dictionary.claim("k", b"theirs") == b"mine"


async def test_many_entries_take_as_few_writes_as_their_weight_allows(fake: FakeModal, dictionary: Dictionary) -> None:
    since = len(fake.hub.calls)
    await dictionary.put_all({str(idx): bytes(MAX_WRITE_BYTES // 4) for idx in range(9)})
    assert fake.hub.counts(since) == {"DictUpdate": 3}
    assert sorted(await dictionary.keys()) == [str(idx) for idx in range(9)]


async def test_a_removed_key_is_gone(dictionary: Dictionary) -> None:
    await dictionary.put("k", b"")
    assert await dictionary.has("k")
    for _ in range(2):
        await dictionary.remove("k")
    assert not await dictionary.has("k")
    assert await dictionary.get("k") is None


@pytest.mark.parametrize("planted", ["text", 7, None, [b"bytes"]])
async def test_what_is_no_bytes_is_not_ours(fake: FakeModal, dictionary: Dictionary, planted: object) -> None:
    await dictionary.put("k", b"")
    _plant(fake, pickle.dumps(planted))
    if planted is None:
        assert await dictionary.get("k") is None
    else:
        with pytest.raises(Corrupt):
            await dictionary.get("k")
    await dictionary.remove("k")
    assert not await dictionary.has("k")


async def test_hints_go_once_and_by_partition(connection: Connection) -> None:
    hints = await find_hints(connection, "q", create=True)
    await hints.put("a", [b"1", b"2"])
    assert await hints.take("b", 5) == []
    assert await hints.take("a", 1) == [b"1"]
    assert await hints.take("a", 5) == [b"2"]
    await drop_hints(connection, "q")
    with pytest.raises(Absent):
        await hints.take("a", 1)


async def test_what_is_dropped_is_dropped_once(connection: Connection) -> None:
    for _ in range(2):
        await drop_dictionary(connection, "nobody")
        await drop_hints(connection, "nobody")


async def test_a_standing_dict_that_somebody_deleted_is_made_anew(connection: Connection) -> None:
    standing = Standing(connection, "standing")
    await standing.asked(lambda held: held.put("k", b"1"))
    await drop_dictionary(connection, "standing")
    with pytest.raises(Unavailable):
        await standing.asked(lambda held: held.get("k"))
    assert await standing.asked(lambda held: held.get("k")) is None


async def test_all_have_ended_before_a_failure_is_raised() -> None:
    ended = []

    async def work(idx: int) -> int:
        ended.append(idx)
        if idx == 1:
            raise KeyError
        return idx

    assert await together(work(idx) for idx in (0, 2)) == [0, 2]
    with pytest.raises(KeyError):
        await together(work(idx) for idx in (1, 3))
    assert ended == [0, 2, 1, 3]


def _plant(fake: FakeModal, data: bytes) -> None:
    def plant() -> None:
        [entry] = [each for each in fake.plane.dicts.by_id.values() if each.name == "d"]
        held: Any = entry.thing.values
        for value in held.values():
            value.data = data

    fake.call(plant)
