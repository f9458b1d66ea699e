"""Keys on Modal across replicas: what the common promises do not say, and what a hostile value does."""

import asyncio
import pickle
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from grpclib import Status

from services.resources.kv.adapters import open_store
from services.resources.kv.ports import KVQuotas, KVStore
from tests.fakes.modal import FakeModal, Fault
from tests.fakes.modal.replicas import replica, url_of
from tests.surroundings import Notes
from theory.core.adapters import KVIncr, KVPut, KVValue
from theory.core.clock import FakeClock
from theory.core.errors import Corrupt, NotReady, Unavailable

pytestmark = pytest.mark.slow

_DAY_S = 86_400
_executed: list[str] = []


def _deed(name: str) -> None:
    _executed.append(name)


class Hostile:
    def __reduce__(self) -> tuple[object, ...]:
        return _deed, ("kv",)


@pytest.fixture
def fake() -> Iterator[FakeModal]:
    with FakeModal() as made:
        yield made


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
async def stores(fake: FakeModal, clock: FakeClock, notes: Notes) -> AsyncIterator[list[KVStore]]:
    async with AsyncExitStack() as stack:
        openings = [await stack.enter_async_context(replica(clock, notes)) for _ in range(3)]
        yield [await open_store(url_of(fake), each, KVQuotas()) for each in openings]


async def test_a_call_costs_one_rpc_for_each_key(fake: FakeModal, stores: list[KVStore]) -> None:
    one = stores[0]
    keys = [f"k{idx}" for idx in range(5)]
    await one.put_many("p", [KVPut(key, b"1") for key in keys])
    for work, expected in (
        (one.get_many("p", keys), {"DictGet": 5}),
        (one.put_many("p", [KVPut(key, b"2") for key in keys]), {"DictUpdate": 5}),
        (one.incr_many("p", [KVIncr(key) for key in keys * 20]), {"DictUpdate": 5}),
        (one.delete_many("p", keys), {"DictUpdate": 5}),
    ):
        since = len(fake.hub.calls)
        await work
        assert fake.hub.counts(since) == expected


async def test_a_replica_reads_what_another_wrote(stores: list[KVStore]) -> None:
    one, two, _ = stores
    await one.put_many("p", [KVPut("a", b"1")])
    assert await two.get_many("p", ["a"]) == [KVValue(b"1")]
    await two.delete_many("p", ["a"])
    assert await one.get_many("p", ["a"]) == [None]


async def test_increments_of_all_replicas_count(stores: list[KVStore]) -> None:
    answers = await asyncio.gather(*(stores[idx % 3].incr_many("p", [KVIncr("n")]) for idx in range(30)))
    assert sorted(total for [total] in answers if isinstance(total, int)) == list(range(1, 31))


async def test_a_request_is_done_once_whichever_replica_is_asked(stores: list[KVStore]) -> None:
    items = [KVIncr("n", 2), KVIncr("m"), KVIncr("n", 3)]
    answers = await asyncio.gather(*(each.incr_many("p", items, "r") for each in stores * 2))
    assert answers == [[2, 1, 5]] * 6
    await stores[0].incr_many("p", [KVIncr("n", 100)])
    assert await stores[1].incr_many("p", items, "r") == [2, 1, 5]
    assert await stores[2].get_many("p", ["n", "m"]) == [KVValue(b"105"), KVValue(b"1")]


async def test_a_request_that_a_crash_cut_short_is_finished_by_its_repeat(
    fake: FakeModal, stores: list[KVStore]
) -> None:
    one, two, _ = stores
    items = [KVIncr("n", 2), KVIncr("m", 4)]
    await two.put_many("p", [KVPut("m", b"10")])

    def answers(request: object) -> bool:
        updates: Any = getattr(request, "updates", ())
        return any(b"a:" in each.key for each in updates)

    fault = Fault("DictUpdate", "before", Status.ABORTED, times=3, match=answers)
    fake.call(lambda: fake.hub.faults.arm(fault))
    with pytest.raises(Unavailable):
        await one.incr_many("p", items, "r")
    for _ in range(10):
        await two.incr_many("p", [KVIncr("n", 100)])
    assert await two.incr_many("p", items, "r") == [2, 14]
    assert await one.incr_many("p", items, "r") == [2, 14]
    assert await one.get_many("p", ["n", "m"]) == [KVValue(b"1002"), KVValue(b"14")]


async def test_a_request_is_answered_after_its_plan_by_every_replica(fake: FakeModal, stores: list[KVStore]) -> None:
    one, two, three = stores
    await one.incr_many("p", [KVIncr("n", 5)], "r")
    await two.end_plan("p")
    assert await three.incr_many("p", [KVIncr("n", 5)], "r") == [5]
    with pytest.raises(NotReady):
        await three.incr_many("p", [KVIncr("n", 5)], "other")
    assert await three.get_many("p", ["n"]) == [None]


async def test_an_end_holds_for_every_replica(fake: FakeModal, stores: list[KVStore]) -> None:
    one, two, _ = stores
    await asyncio.gather(*(each.put_many("p", [KVPut("a", b"1")]) for each in stores))
    await one.end_plan("p")
    assert await two.get_many("p", ["a"]) == [None]
    for each in stores:
        for work in (each.put_many("p", [KVPut("a", b"1")]), each.incr_many("p", [KVIncr("n")])):
            with pytest.raises(NotReady) as caught:
                await work
            assert (caught.value.reason, caught.value.metadata) == ("PLAN_ENDED", {"plan_id": "p"})
    names = fake.call(lambda: {each.name for each in fake.plane.dicts.by_id.values()})
    assert names == {"theory-kv-plans"}


async def test_events_of_a_plan_follow_its_figure(clock: FakeClock, notes: Notes, stores: list[KVStore]) -> None:
    one, two, _ = stores
    await one.begin_plan("p", 2)
    await one.put_many("p", [KVPut("a", b"1"), KVPut("a", b"2"), KVPut("b", b"3")])
    await one.delete_many("p", ["a", "a", "nobody"])
    await two.incr_many("p", [KVIncr("b"), KVIncr("b")])
    bodies = [each.event.body for each in notes.emitted]
    assert bodies == [{"key": "a", "op": "put"}, {"key": "a", "op": "delete"}, {"key": "b", "op": "incr"}]


async def test_a_key_that_nobody_touches_for_a_week_is_gone_and_never_comes_back(
    fake: FakeModal, clock: FakeClock, stores: list[KVStore]
) -> None:
    one, two, _ = stores
    await one.incr_many("p", [KVIncr("n", 7), KVIncr("n", 7)])
    clock.advance(8 * _DAY_S)
    fake.hub.skew_s = 8 * _DAY_S
    assert await two.get_many("p", ["n"]) == [None]
    assert await two.incr_many("p", [KVIncr("n")]) == [1]
    assert await one.incr_many("p", [KVIncr("n")]) == [2]


async def test_a_hostile_value_is_refused_and_never_run(fake: FakeModal, stores: list[KVStore]) -> None:
    one, two, _ = stores
    await one.put_many("p", [KVPut("a", b"1"), KVPut("b", b"2")])
    _plant(fake, b"v:a:", pickle.dumps(Hostile()))
    [hostile, sound] = await two.get_many("p", ["a", "b"])
    assert isinstance(hostile, Corrupt)
    assert sound == KVValue(b"2")
    [refused] = await two.put_many("p", [KVPut("a", b"3")])
    assert isinstance(refused, Corrupt)
    [refused_sum] = await two.incr_many("p", [KVIncr("a")], "r")
    assert isinstance(refused_sum, Corrupt)
    [refused_delete] = await two.delete_many("p", ["a"])
    assert isinstance(refused_delete, Corrupt)
    assert _executed == []
    pickle.loads(pickle.dumps(Hostile()))
    assert _executed == ["kv"]


async def test_values_that_do_not_fit_an_answer_are_not_loaded_for_ever(fake: FakeModal, stores: list[KVStore]) -> None:
    one, two, _ = stores
    keys = [f"k{idx}" for idx in range(40)]
    for key in keys:
        await one.put_many("p", [KVPut(key, bytes(1 << 20))])
    since = len(fake.hub.calls)
    answers = await two.get_many("p", keys)
    assert sum(isinstance(each, KVValue) for each in answers) == 6
    assert fake.hub.counts(since)["DictGet"] < 16 * 4 + 8


def _plant(fake: FakeModal, key: bytes, data: bytes) -> None:
    def plant() -> None:
        for entry in fake.plane.dicts.by_id.values():
            for held, value in entry.thing.values.items():
                if key in held:
                    value.data = data

    fake.call(plant)
