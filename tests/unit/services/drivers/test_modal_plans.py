"""Plans on Modal: every replica knows of an end, and no late write brings a plan back."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from grpclib import Status

from services.drivers.modal import Connection, name_of
from services.drivers.modal_objects import Dictionary, drop_dictionary, find_dictionary
from services.drivers.modal_plans import TRUSTED_S, Mark, Places, Plans, PlanTeller
from tests.fakes.modal import FakeModal, Fault
from tests.fakes.modal.replicas import connected, replica
from tests.surroundings import Notes
from theory.core.clock import FakeClock
from theory.core.errors import NotReady
from theory.core.scratch import kv_changed

pytestmark = pytest.mark.slow


class Objects:
    """One Dict for each plan; `after_make` is what happens between making it and looking for an end."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.after_make: asyncio.Event | None = None
        self.made = asyncio.Event()

    async def make(self, plan_id: str) -> Dictionary:
        made = await find_dictionary(self._connection, name_of("test", plan_id), create=True)
        self.made.set()
        if self.after_make is not None:
            await self.after_make.wait()
        return made

    async def find(self, plan_id: str) -> Dictionary:
        return await find_dictionary(self._connection, name_of("test", plan_id), create=False)

    async def drop(self, plan_id: str) -> None:
        await drop_dictionary(self._connection, name_of("test", plan_id))

    def over(self, plan_id: str) -> NotReady:
        return NotReady("PLAN_ENDED", "it has ended", plan_id=plan_id)


class Replica:
    def __init__(self, connection: Connection, clock: FakeClock) -> None:
        self.plans = Plans(connection, "test", clock)
        self.objects = Objects(connection)
        self.places = Places(self.plans, self.objects)

    async def put(self, plan_id: str) -> None:
        await self.places.writing(plan_id, lambda held: held.put("k", b"1"))

    async def get(self, plan_id: str) -> bytes | None:
        return await self.places.reading(plan_id, lambda held: held.get("k"), None)


@pytest.fixture
def fake() -> Iterator[FakeModal]:
    with FakeModal() as made:
        yield made


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def connection(fake: FakeModal) -> AsyncIterator[Connection]:
    async with connected(fake) as made:
        yield made


async def test_a_write_makes_what_a_read_only_finds(fake: FakeModal, connection: Connection, clock: FakeClock) -> None:
    one, two = Replica(connection, clock), Replica(connection, clock)
    assert await two.get("p") is None
    assert _names(fake) == set()
    await one.put("p")
    assert await two.get("p") == b"1"


async def test_an_end_is_seen_by_a_replica_that_has_the_plan_open(
    fake: FakeModal, connection: Connection, clock: FakeClock
) -> None:
    one, two = Replica(connection, clock), Replica(connection, clock)
    await two.put("p")
    await one.places.end("p")
    assert await two.get("p") is None
    with pytest.raises(NotReady) as caught:
        await two.put("p")
    assert caught.value.metadata == {"plan_id": "p"}
    with pytest.raises(NotReady):
        await two.places.begin("p", 1)
    assert _names(fake) == {"theory-test-plans"}


async def test_an_end_between_the_making_and_the_look_leaves_nothing(
    fake: FakeModal, connection: Connection, clock: FakeClock
) -> None:
    one, two = Replica(connection, clock), Replica(connection, clock)
    two.objects.after_make = asyncio.Event()
    late = asyncio.ensure_future(two.put("p"))
    await two.objects.made.wait()
    await one.places.end("p")
    two.objects.after_make.set()
    with pytest.raises(NotReady):
        await late
    assert _names(fake) == {"theory-test-plans"}


async def test_objects_that_somebody_deleted_are_made_anew(connection: Connection, clock: FakeClock) -> None:
    one = Replica(connection, clock)
    await one.put("p")
    await one.objects.drop("p")
    await one.put("p")
    assert await one.get("p") == b"1"


async def test_the_figure_of_a_plan_is_known_to_all(connection: Connection, clock: FakeClock) -> None:
    one, two = Replica(connection, clock), Replica(connection, clock)
    assert await two.plans.mark("p") == Mark(ended=False, event_every=0)
    await one.places.begin("p", 3)
    assert await one.plans.mark("p") == Mark(ended=False, event_every=3)
    assert await two.plans.mark("p") == Mark(ended=False, event_every=0)
    clock.advance(TRUSTED_S)
    assert await two.plans.mark("p") == Mark(ended=False, event_every=3)
    await one.places.begin("p", 0)
    assert (await two.plans.mark("p", fresh=True)).event_every == 0


async def test_what_is_known_costs_nothing(fake: FakeModal, connection: Connection, clock: FakeClock) -> None:
    one = Replica(connection, clock)
    await one.put("p")
    since = len(fake.hub.calls)
    await one.put("p")
    assert fake.hub.counts(since) == {"DictUpdate": 1}
    await one.places.end("p")
    since = len(fake.hub.calls)
    with pytest.raises(NotReady):
        await one.put("p")
    assert fake.hub.counts(since) == {}


async def test_each_nth_change_is_told(connection: Connection, clock: FakeClock) -> None:
    notes, plans = Notes(), Plans(connection, "test", clock)
    async with replica(clock, notes) as opening:
        one, two = (PlanTeller(plans, "kv", opening) for _ in range(2))
        await one.tell("p", [kv_changed("a", "put")])
        await plans.begin("p", 2)
        await one.tell("p", [kv_changed(key, "put") for key in "abc"])
        await two.tell("p", [kv_changed("z", "put")] * 2)
        one.forget("p")
    assert [each.event.body for each in notes.emitted] == [{"key": key, "op": "put"} for key in "bz"]
    areas = [each.event.event_id.split("/") for each in notes.emitted]
    assert [(each[0], each[2]) for each in areas] == [("kv", "2")] * 2
    assert areas[0][1] != areas[1][1]


async def test_a_change_that_nobody_can_tell_of_is_done_all_the_same(
    fake: FakeModal, connection: Connection, clock: FakeClock
) -> None:
    notes, plans = Notes(), Plans(connection, "test", clock)
    fake.call(lambda: fake.hub.faults.arm(Fault("DictGet", "before", Status.ABORTED, times=6)))
    async with replica(clock, notes) as opening:
        await PlanTeller(plans, "kv", opening).tell("p", [kv_changed("a", "put")])
    assert notes.emitted == []


def _names(fake: FakeModal) -> set[str]:
    return fake.call(lambda: {each.name for each in fake.plane.dicts.by_id.values()})
