"""Messages on Modal across replicas: fences, lost answers, dead consumers, hostile values, and what a call costs."""

import asyncio
import pickle
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest
from grpclib import Status

from services.resources.queue.adapters import open_store
from services.resources.queue.ports import QueueQuotas, QueueStore
from tests.fakes.modal import Chaos, FakeModal, Fault
from tests.fakes.modal.replicas import replica, url_of
from tests.surroundings import Notes
from theory.core.adapters import Message, Published, QueueExtend, QueueNack, QueuePublish, TopicStats
from theory.core.clock import FakeClock
from theory.core.errors import NotFound, NotReady, TheoryError, Unavailable

pytestmark = pytest.mark.slow

_executed: list[str] = []


def _deed(name: str) -> None:
    _executed.append(name)


class Hostile:
    def __reduce__(self) -> tuple[object, ...]:
        return _deed, ("queue",)


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
async def stores(fake: FakeModal, clock: FakeClock, notes: Notes) -> AsyncIterator[list[QueueStore]]:
    async with AsyncExitStack() as stack:
        openings = [await stack.enter_async_context(replica(clock, notes)) for _ in range(3)]
        yield [await open_store(url_of(fake), each, QueueQuotas()) for each in openings]


async def test_what_each_call_costs(fake: FakeModal, stores: list[QueueStore]) -> None:
    one = stores[0]
    await _publish(one, b"first")
    await _ack(one, await _only(one))

    async def cost(work: object) -> dict[str, int]:
        since = len(fake.hub.calls)
        await work  # type: ignore[misc]
        return dict(fake.hub.counts(since))

    assert await cost(_publish(one, *[b"x"] * 30)) == {"DictUpdate": 1, "QueuePut": 1}
    assert await cost(_consume(one, 1)) == {"QueueGet": 1, "DictGet": 1, "DictUpdate": 1}
    messages = await _consume(one, 10)
    assert await cost(_consume(one, 10)) == {"QueueGet": 1, "DictGet": 10, "DictUpdate": 10}
    assert await cost(_ack(one, messages[0])) == {"DictUpdate": 1, "DictPop": 1}
    assert await cost(one.extend_many("p", "t", _extends(messages[1], 9), dead_letters=False)) == {"DictUpdate": 1}
    assert await cost(_nack(one, messages[2])) == {"DictUpdate": 1, "QueuePut": 1}
    assert await cost(_nack(one, messages[3], 9)) == {"DictUpdate": 1}
    keyed = one.publish_many("p", "t", [QueuePublish(b"", "k")], None)
    assert await cost(keyed) == {"DictUpdate": 3, "QueuePut": 1}


async def test_a_replica_gets_what_another_published(stores: list[QueueStore]) -> None:
    one, two, _ = stores
    await _publish(one, b"a", b"b")
    assert [each.body for each in await _consume(two, 5)] == [b"a", b"b"]
    assert await _consume(one, 5) == []


async def test_what_a_dead_replica_had_comes_again_within_the_slack(clock: FakeClock, stores: list[QueueStore]) -> None:
    one, two, _ = stores
    await _publish(one, b"a")
    await _only(one, timeout_s=10)
    assert await _consume(two) == []
    clock.advance(9)
    assert await _consume(two) == []
    clock.advance(1 + two.redelivery_slack_s)
    [again] = await _consume(two)
    assert (again.body, again.receive_count) == (b"a", 2)


async def test_a_handle_that_another_replica_superseded_never_touches_the_newer_delivery(
    fake: FakeModal, clock: FakeClock, stores: list[QueueStore]
) -> None:
    one, two, _ = stores
    await _publish(one, b"a")
    old = await _only(one, timeout_s=1)
    clock.advance(1 + two.redelivery_slack_s)
    new = await _only(two, timeout_s=60)
    for answer in (
        *await one.ack_many("p", "t", [old.receipt_handle], dead_letters=False),
        *await one.nack_many("p", "t", [QueueNack(old.receipt_handle)], dead_letters=False),
        *await one.extend_many("p", "t", _extends(old, 1), dead_letters=False),
    ):
        assert isinstance(answer, NotReady)
        assert answer.reason == "RECEIPT_SUPERSEDED"
    clock.advance(30)
    assert [await _consume(each) for each in stores] == [[], [], []]
    await _ack(two, new)
    assert _bodies(fake) == []
    [answer] = await one.ack_many("p", "t", [old.receipt_handle], dead_letters=False)
    assert isinstance(answer, NotFound)


async def test_an_extension_by_one_replica_holds_against_another(clock: FakeClock, stores: list[QueueStore]) -> None:
    one, two, three = stores
    await _publish(one, b"a")
    message = await _only(one, timeout_s=10)
    clock.advance(8)
    assert await _consume(two) == []
    await three.extend_many("p", "t", _extends(message, 60), dead_letters=False)
    clock.advance(40)
    assert [await _consume(each) for each in stores] == [[], [], []]
    await _ack(one, message)


async def test_a_handle_is_good_at_every_replica(stores: list[QueueStore]) -> None:
    one, two, three = stores
    await _publish(one, b"a")
    message = await _only(one)
    await _nack(two, message)
    again = await _only(three)
    assert again.receive_count == 2
    await _ack(one, again)


async def test_however_much_a_dead_replica_had_no_consumer_goes_away_with_nothing(
    clock: FakeClock, stores: list[QueueStore]
) -> None:
    one, two, _ = stores
    bodies = [f"{number}".encode() for number in range(200)]
    await _publish(one, *bodies)
    assert len([each for _ in range(4) for each in await _consume(one, 50, timeout_s=1)]) == 200
    clock.advance(1 + two.redelivery_slack_s)
    found: list[bytes] = []
    while messages := await _consume(two, 50):
        found += [each.body for each in messages]
    assert sorted(found) == sorted(bodies)


@pytest.mark.parametrize("lost", ["before", "after"])
async def test_a_lost_hint_delays_and_loses_nothing(
    fake: FakeModal, clock: FakeClock, stores: list[QueueStore], lost: str
) -> None:
    one, two, _ = stores
    await _publish(one, b"first")
    fake.call(lambda: fake.hub.faults.arm(Fault("QueuePut", lost, Status.ABORTED), Fault("QueueGet", times=1)))
    await _publish(one, b"second")
    clock.advance(two.redelivery_slack_s)
    found = await _consume(two, 5)
    clock.advance(two.redelivery_slack_s)
    assert sorted(each.body for each in found + await _consume(two, 5)) == [b"first", b"second"]


async def test_a_queue_that_fails_altogether_only_delays(
    fake: FakeModal, clock: FakeClock, stores: list[QueueStore]
) -> None:
    one, two, _ = stores
    fake.hub.faults.chaos = Chaos(2.0, rpcs={"QueuePut", "QueueGet"})
    await _publish(one, b"a", b"b")
    assert [each.body for each in await _consume(one, 1)] == [b"a"]
    clock.advance(two.redelivery_slack_s)
    assert b"b" in [each.body for each in await _consume(two, 5)]


async def test_what_an_acknowledgement_left_behind_is_swept(
    fake: FakeModal, clock: FakeClock, stores: list[QueueStore]
) -> None:
    one, two, _ = stores
    await _publish(one, b"a")
    message = await _only(one)
    fake.call(lambda: fake.hub.faults.arm(Fault("DictPop", "before", Status.ABORTED)))
    await _ack(one, message)
    assert len(_bodies(fake)) == 1
    clock.advance(two.redelivery_slack_s)
    assert await _consume(two) == []
    assert _bodies(fake) == []


async def test_a_failure_of_one_message_stops_no_other(fake: FakeModal, stores: list[QueueStore]) -> None:
    one = stores[0]
    await _publish(one, b"a", b"b", b"c")
    fake.call(lambda: fake.hub.faults.arm(Fault("DictGet", "before", Status.ABORTED, times=3, match=_of_a_message)))
    assert len(await _consume(one, 3)) == 3


async def test_a_failure_of_all_is_raised_and_loses_none(fake: FakeModal, stores: list[QueueStore]) -> None:
    one = stores[0]
    await _publish(one, b"a", b"b")
    fake.call(lambda: fake.hub.faults.arm(Fault("DictGet", "before", Status.ABORTED, times=6, match=_of_a_message)))
    with pytest.raises(Unavailable):
        await _consume(one, 2)
    assert len(await _consume(one, 2)) == 2


async def test_a_consumer_that_goes_away_keeps_nothing(clock: FakeClock, stores: list[QueueStore]) -> None:
    one = stores[0]
    await _publish(one, b"a")
    for _ in range(20):
        consumer = asyncio.ensure_future(_consume(one, timeout_s=1))
        await asyncio.sleep(0)
        consumer.cancel()
        await asyncio.gather(consumer, return_exceptions=True)
    clock.advance(1 + one.redelivery_slack_s)
    assert [each.body for each in await _consume(one)] == [b"a"]


async def test_a_key_publishes_once_whichever_replica_is_asked(stores: list[QueueStore]) -> None:
    answers = await asyncio.gather(
        *(each.publish_many("p", "t", [QueuePublish(b"a", "k"), QueuePublish(b"b", "k")], None) for each in stores * 2)
    )
    published = [each for answered in answers for each in answered if isinstance(each, Published)]
    assert len(published) == 12
    assert len({each.message_id for each in published}) == 1
    assert sum(not each.duplicate for each in published) == 1
    messages = [message for each in stores for message in await _consume(each, 5)]
    assert len(messages) == 1
    await _ack(stores[0], messages[0])
    [late] = await stores[1].publish_many("p", "t", [QueuePublish(b"c", "k")], None)
    assert late == Published(messages[0].message_id, duplicate=True)
    assert [await _consume(each) for each in stores] == [[], [], []]


async def test_a_publisher_that_died_with_the_key_is_made_up_for(fake: FakeModal, stores: list[QueueStore]) -> None:
    one, two, _ = stores
    await _publish(one, b"first")
    await _ack(one, await _only(one))
    fault = Fault("DictUpdate", "before", Status.ABORTED, match=_of_a_message)
    fake.call(lambda: fake.hub.faults.arm(fault))
    with pytest.raises(Unavailable):
        await one.publish_many("p", "t", [QueuePublish(b"a", "k")], None)
    assert await _consume(two) == []
    [published] = await two.publish_many("p", "t", [QueuePublish(b"a", "k")], None)
    assert isinstance(published, Published)
    [message] = await _consume(two, 5)
    assert (message.message_id, message.body) == (published.message_id, b"a")


async def test_dead_letters_are_dead_for_every_replica(
    clock: FakeClock, notes: Notes, stores: list[QueueStore]
) -> None:
    one, two, three = stores
    await one.begin_plan("p", 1)
    await one.publish_many("p", "t", [QueuePublish(b"a")], 1)
    await _only(one, timeout_s=1)
    clock.advance(1 + two.redelivery_slack_s)
    assert await _consume(two) == []
    clock.advance(three.redelivery_slack_s)
    [dead] = await _handed_out(three, dead_letters=True)
    assert (dead.body, dead.receive_count) == (b"a", 2)
    [answer] = await one.redrive_many("p", "t", [dead.receipt_handle])
    assert answer is None
    [alive] = await _consume(two)
    assert (alive.message_id, alive.receive_count) == (dead.message_id, 1)
    [superseded] = await one.ack_many("p", "t", [dead.receipt_handle], dead_letters=True)
    assert isinstance(superseded, NotFound)
    await _ack(three, alive)
    kinds = [each.event.kind for each in notes.emitted]
    assert kinds == ["scratch.queue.published", "scratch.queue.deadletter"]


async def test_a_figure_of_a_topic_holds_for_every_replica(stores: list[QueueStore]) -> None:
    answers = await asyncio.gather(
        *(each.publish_many("p", "t", [QueuePublish(b"")], idx + 1) for idx, each in enumerate(stores)),
        return_exceptions=True,
    )
    taken = [each for each in answers if isinstance(each, TheoryError)]
    assert [each.reason for each in taken] == ["TOPIC_TAKEN"] * 2


async def test_an_end_holds_for_every_replica(fake: FakeModal, stores: list[QueueStore]) -> None:
    one, two, _ = stores
    for each in stores:
        await _publish(each, b"a")
    message = (await _consume(two, 1))[0]
    await one.end_plan("p")
    assert [await _consume(each, 5) for each in stores] == [[], [], []]
    assert [await each.stats("p") for each in stores] == [[], [], []]
    for each in stores:
        with pytest.raises(NotReady, match="ended"):
            await _publish(each, b"b")
        [answer] = await each.ack_many("p", "t", [message.receipt_handle], dead_letters=False)
        assert isinstance(answer, NotFound)
    names = fake.call(lambda: {e.name for e in fake.plane.dicts.by_id.values()})
    assert names == {"theory-queue-plans"}
    assert fake.call(lambda: len(fake.plane.queues.by_id)) == 0


async def test_counts_are_about_right(clock: FakeClock, stores: list[QueueStore]) -> None:
    one, two, _ = stores
    await one.publish_many("p", "b", [QueuePublish(b"")], 1)
    await one.publish_many("p", "a", [QueuePublish(b"")] * 3 + [QueuePublish(b"", delay_s=60)], None)
    await one.consume(plan_id="p", topic="a", dead_letters=False, max_messages=1, visibility_timeout_s=30)
    expected = [TopicStats("a", visible=2, hidden=1, delayed=1), TopicStats("b", visible=1)]
    assert await one.stats("p") == expected
    assert await two.stats("p") == expected


async def test_hostile_values_are_passed_over_and_never_run(
    fake: FakeModal, clock: FakeClock, stores: list[QueueStore]
) -> None:
    one, two, _ = stores
    await _publish(one, b"hostile", b"sound")
    _plant(fake, b"hostile", pickle.dumps(Hostile()))

    def plant_hint() -> None:
        for entry in fake.plane.queues.by_id.values():
            for partition in entry.thing.partitions.values():
                partition.items.appendleft((0, pickle.dumps(Hostile())))

    fake.call(plant_hint)
    assert await _consume(two, 5) == []  # the answer with the hostile hint is refused as a whole
    clock.advance(two.redelivery_slack_s)
    assert [each.body for each in await _consume(two, 5)] == [b"sound"]
    clock.advance(two.redelivery_slack_s)
    assert await _consume(two, 5) == []
    assert _executed == []
    pickle.loads(pickle.dumps(Hostile()))
    assert _executed == ["queue"]


async def _publish(store: QueueStore, *bodies: bytes) -> None:
    answers = await store.publish_many("p", "t", [QueuePublish(body) for body in bodies], None)
    assert all(isinstance(each, Published) for each in answers)


async def _handed_out(
    store: QueueStore, most: int = 1, *, timeout_s: int = 30, dead_letters: bool = False
) -> list[Message]:
    consumed = await store.consume(
        plan_id="p", topic="t", dead_letters=dead_letters, max_messages=most, visibility_timeout_s=timeout_s
    )
    return consumed.messages


async def _consume(store: QueueStore, most: int = 1, *, timeout_s: int = 30) -> list[Message]:
    return await _handed_out(store, most, timeout_s=timeout_s)


async def _only(store: QueueStore, *, timeout_s: int = 30) -> Message:
    [message] = await _consume(store, timeout_s=timeout_s)
    return message


async def _ack(store: QueueStore, message: Message) -> None:
    assert await store.ack_many("p", "t", [message.receipt_handle], dead_letters=False) == [None]


async def _nack(store: QueueStore, message: Message, delay_s: int = 0) -> None:
    items = [QueueNack(message.receipt_handle, delay_s)]
    assert await store.nack_many("p", "t", items, dead_letters=False) == [None]


def _extends(message: Message, timeout_s: int) -> list[QueueExtend]:
    return [QueueExtend(message.receipt_handle, timeout_s)]


def _of_a_message(request: object) -> bool:
    keys = [getattr(request, "key", b""), *(each.key for each in getattr(request, "updates", ()))]
    return any(b"m:" in key for key in keys)


def _bodies(fake: FakeModal) -> list[bytes]:
    return fake.call(lambda: [key for e in fake.plane.dicts.by_id.values() for key in e.thing.values if b"m:" in key])


def _plant(fake: FakeModal, body: bytes, data: bytes) -> None:
    def plant() -> None:
        for entry in fake.plane.dicts.by_id.values():
            for value in entry.thing.values.values():
                if body in value.data:
                    value.data = data

    fake.call(plant)
