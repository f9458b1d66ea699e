"""What the SQL store of messages keeps and for how long, what it counts and tells, how it finds; on every product."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select

from services.drivers.opening import Opening
from services.drivers.sql import Database
from services.drivers.sqlite import driver_of
from services.resources.queue.adapters import open_store
from services.resources.queue.adapters.sql import SqlQueue, messages, schema
from services.resources.queue.ports import Consumed, QueueFeature, QueueQuotas
from tests.servers import Servers
from tests.surroundings import Notes, opening
from tests.turned_postgres import TurnedPostgres
from theory.core.adapters import Published, QueueExtend, QueueNack, QueuePublish, TopicStats
from theory.core.clock import FakeClock
from theory.core.errors import AlreadyExists, Exhausted, NotReady, TheoryError

PRODUCTS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]


@dataclass
class Place:
    """A database, and its surroundings."""

    url: str
    clock: FakeClock
    notes: Notes
    opening: Opening

    def elsewhere(self) -> Opening:
        """The surroundings of another process; ids that count would be given twice."""
        return Opening(self.clock, self.opening.ids, self.notes.append, self.notes.emit)

    async def store(self, surroundings: Opening | None = None, **quotas: int) -> SqlQueue:
        made = await open_store(self.url, surroundings or self.opening, QueueQuotas(**quotas))
        assert isinstance(made, SqlQueue)
        return made


@pytest.fixture(params=PRODUCTS)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    url, clock = f"sqlite:///{tmp_path}/queue.db", FakeClock()
    if request.param == "postgresql":
        servers: Servers = request.getfixturevalue("servers")
        url = servers.postgres()
        clock = TurnedPostgres(url)
    notes = Notes()
    made = Place(url, clock, notes, opening(clock, notes))
    yield made
    await made.opening.close()
    if isinstance(clock, TurnedPostgres):
        clock.close()


@pytest.fixture
async def queue(place: Place) -> SqlQueue:
    return await place.store()


async def rows(queue: SqlQueue) -> dict[str, int]:
    counted = {name: select(func.count()).select_from(table) for name, table in schema.METADATA.tables.items()}
    return await queue._shared.database.read(
        lambda connection: {
            name.removeprefix("queue_"): connection.execute(count).scalar_one() for name, count in counted.items()
        }
    )


async def look(queue: SqlQueue, count: int = 30, *, dead_letters: bool = False, topic: str = "t") -> Consumed:
    return await queue.consume(
        plan_id="p", topic=topic, dead_letters=dead_letters, max_messages=count, visibility_timeout_s=60
    )


async def consumed(queue: SqlQueue, count: int = 30, *, dead_letters: bool = False) -> list[str]:
    return [each.receipt_handle for each in (await look(queue, count, dead_letters=dead_letters)).messages]


async def publish(queue: SqlQueue, *bodies: bytes, max_receives: int | None = None) -> list[Published | TheoryError]:
    return await queue.publish_many("p", "t", [QueuePublish(each) for each in bodies], max_receives)


async def test_it_says_what_it_keeps(place: Place, queue: SqlQueue) -> None:
    assert (queue.kind, queue.durable) == ("sql", True)
    assert (QueueFeature.STABLE in queue.features) is place.url.startswith("postgresql:")


async def test_a_body_goes_with_its_message(queue: SqlQueue) -> None:
    await queue.publish_many("p", "t", [QueuePublish(b"1"), QueuePublish(b"2", "k"), QueuePublish(b"3")], None)
    await queue.ack_many("p", "t", await consumed(queue, 2), dead_letters=False)
    assert await rows(queue) == {"plan": 1, "topic": 1, "item": 1, "body": 1, "idempotency": 1}
    await queue.end_plan("p")
    assert await rows(queue) == {"plan": 1, "topic": 0, "item": 0, "body": 0, "idempotency": 1}


async def test_old_keys_go_with_the_publishes_of_others(place: Place, queue: SqlQueue) -> None:
    await queue.publish_many("p", "t", [QueuePublish(b"", f"k{idx}") for idx in range(20)], None)
    place.clock.advance(600)
    for expected in (5, 2):
        await queue.publish_many("other", "t", [QueuePublish(b"", str(expected))], None)
        assert (await rows(queue))["idempotency"] == expected


async def test_an_ended_plan_is_hidden_at_once_and_removed_bit_by_bit(place: Place, queue: SqlQueue) -> None:
    for topic in "tuv":
        for _ in range(5):
            await queue.publish_many("p", topic, [QueuePublish(b"1")] * 100, None)
    [handle] = await consumed(queue, 1)
    await queue.end_plan("p")
    for topic in "tuv":
        assert await look(queue, topic=topic) == Consumed([], None)
    [answer] = await queue.ack_many("p", "t", [handle], dead_letters=False)
    assert answer is not None
    assert answer.reason == "MESSAGE_UNKNOWN"
    assert await queue.stats("p") == []
    left = await rows(queue)
    assert 0 < left["item"] == left["body"] <= 500
    place.clock.advance(1)
    for _ in range(4):
        await queue.extend_many("other", "t", [QueueExtend("x:1", 1)], dead_letters=False)
    assert await rows(queue) == {"plan": 1, "topic": 0, "item": 0, "body": 0, "idempotency": 0}


async def test_the_end_of_a_plan_is_known_for_a_week(place: Place, queue: SqlQueue) -> None:
    await publish(queue, b"1")
    await queue.end_plan("p")
    await queue.end_plan("p")
    place.clock.advance(7 * 24 * 3_600 - 1)
    for refused in (publish(queue, b""), queue.begin_plan("p", 1)):
        with pytest.raises(NotReady) as caught:
            await refused
        assert (caught.value.reason, caught.value.metadata) == ("PLAN_ENDED", {"plan_id": "p"})
    place.clock.advance(1)
    await queue.ack_many("other", "t", ["x:1"], dead_letters=False)
    assert (await rows(queue))["plan"] == 0
    assert isinstance((await publish(queue, b""))[0], Published)


async def test_messages_come_in_the_order_in_which_they_became_visible(place: Place, queue: SqlQueue) -> None:
    for idx in range(3):
        await publish(queue, *(f"{idx}{item}".encode() for item in range(3)))
        place.clock.advance(1)
    found = (await look(queue)).messages
    assert [each.body for each in found] == sorted(each.body for each in found)


async def test_who_finds_nothing_learns_when_to_look_again(place: Place, queue: SqlQueue) -> None:
    assert (await look(queue)).next_visible_s is None
    await queue.publish_many("p", "t", [QueuePublish(b"", delay_s=9)], None)
    place.clock.advance(2)
    assert (await look(queue)).next_visible_s == 7
    assert (await look(queue, dead_letters=True)).next_visible_s is None


async def test_a_topic_keeps_the_figure_of_its_first_publish(queue: SqlQueue) -> None:
    await publish(queue, b"", max_receives=3)
    await publish(queue, b"")
    await publish(queue, b"", max_receives=3)
    for other in (0, 4):
        with pytest.raises(AlreadyExists) as caught:
            await publish(queue, b"", max_receives=other)
        assert (caught.value.reason, caught.value.metadata) == ("TOPIC_TAKEN", {"max_receives": "3"})
    await queue.publish_many("p", "never", [QueuePublish(b"")], None)
    with pytest.raises(AlreadyExists):
        await queue.publish_many("p", "never", [QueuePublish(b"")], 1)
    assert len(await consumed(queue)) == 3


async def test_a_spent_message_goes_and_the_next_one_comes(queue: SqlQueue) -> None:
    await publish(queue, b"spent", max_receives=1)
    [handle] = await consumed(queue)
    await queue.nack_many("p", "t", [QueueNack(handle)], dead_letters=False)
    await publish(queue, b"1", b"2", b"3")
    found = (await look(queue, 2)).messages
    assert [each.body for each in found] == [b"1", b"2"]
    assert await queue.stats("p") == [TopicStats("t", visible=1, hidden=2, delayed=0, dead=1)]
    [dead] = (await look(queue, dead_letters=True)).messages
    assert (dead.body, dead.receive_count) == (b"spent", 2)


async def test_a_dead_letter_comes_back_behind_its_old_handles(queue: SqlQueue) -> None:
    await publish(queue, b"1", max_receives=1)
    [first] = await consumed(queue)
    await queue.nack_many("p", "t", [QueueNack(first)], dead_letters=False)
    assert await consumed(queue) == []
    [dead] = await consumed(queue, dead_letters=True)
    answers = await queue.redrive_many("p", "t", [dead, dead])
    assert [each and each.reason for each in answers] == [None, "MESSAGE_UNKNOWN"]
    [message] = (await look(queue)).messages
    assert message.receive_count == 1
    assert message.receipt_handle not in {first, dead}
    acked = await queue.ack_many("p", "t", [first, dead, message.receipt_handle], dead_letters=False)
    assert [each and each.reason for each in acked] == ["RECEIPT_SUPERSEDED", "RECEIPT_SUPERSEDED", None]


async def test_a_dead_letter_is_settled_like_any_message(place: Place, queue: SqlQueue) -> None:
    await publish(queue, b"1", max_receives=1)
    [handle] = await consumed(queue)
    await queue.nack_many("p", "t", [QueueNack(handle)], dead_letters=False)
    await look(queue)
    for _ in range(3):
        [dead] = await consumed(queue, dead_letters=True)
        assert await queue.nack_many("p", "t", [QueueNack(dead)], dead_letters=True) == [None]
    [dead] = await consumed(queue, dead_letters=True)
    assert await queue.extend_many("p", "t", [QueueExtend(dead, 120)], dead_letters=True) == [None]
    place.clock.advance(100)
    assert await consumed(queue, dead_letters=True) == []
    assert await queue.ack_many("p", "t", [dead], dead_letters=True) == [None]
    assert await queue.stats("p") == [TopicStats("t")]


async def test_room_is_given_back(place: Place) -> None:
    queue = await place.store(topics=1, messages=2, size_bytes=3)
    _, _, third = await publish(queue, b"1", b"1", b"")
    assert isinstance(third, Exhausted)
    assert third.metadata == {"quota": "messages", "limit": "2"}
    [other] = await queue.publish_many("p", "u", [QueuePublish(b"")], None)
    assert isinstance(other, Exhausted)
    assert other.metadata == {"quota": "topics", "limit": "1"}
    [handle] = await consumed(queue, 1)
    await queue.ack_many("p", "t", [handle], dead_letters=False)
    [large] = await publish(queue, b"123")
    assert isinstance(large, Exhausted)
    assert large.metadata == {"quota": "bytes", "limit": "3"}
    [fits] = await publish(queue, b"12")
    assert isinstance(fits, Published)


async def test_each_change_is_told_without_its_body_when_the_ledger_takes_it(place: Place, queue: SqlQueue) -> None:
    await queue.begin_plan("p", 1)
    await publish(queue, b"one", b"secret", max_receives=1)
    handles = await consumed(queue)
    await queue.nack_many("p", "t", [QueueNack(handles[0], 5)], dead_letters=False)
    await queue.nack_many("p", "t", [QueueNack(handles[1], 0)], dead_letters=False)
    await look(queue)
    await publish(queue, b"")
    assert place.notes.emitted == []
    place.opening.start()
    await place.clock.until_sleepers(1)
    assert [(each.event.event_id, each.event.kind, each.event.body) for each in place.notes.appended] == [
        ("queue/1", "scratch.queue.published", {"topic": "t", "bytes": 3, "approx_size": 1}),
        ("queue/2", "scratch.queue.published", {"topic": "t", "bytes": 6, "approx_size": 2}),
        ("queue/3", "scratch.queue.retry", {"topic": "t", "delay_s": 5, "receive_count": 1}),
        ("queue/4", "scratch.queue.retry", {"topic": "t", "delay_s": 0, "receive_count": 1}),
        ("queue/5", "scratch.queue.deadletter", {"topic": "t", "receive_count": 1}),
        ("queue/6", "scratch.queue.published", {"topic": "t", "bytes": 0, "approx_size": 2}),
    ]


async def test_replicas_hand_out_each_message_once(place: Place, queue: SqlQueue) -> None:
    surroundings = place.elsewhere()
    other = await place.store(surroundings)
    both = (queue, other)
    published = await asyncio.gather(
        *(
            both[idx % 2].publish_many("p", "t", [QueuePublish(f"{idx}".encode(), f"k{idx // 2}")], 5)
            for idx in range(80)
        )
    )
    assert len({each.message_id for [each] in published if isinstance(each, Published)}) == 40
    found = await asyncio.gather(*(look(both[idx % 2], 3) for idx in range(20)))
    handed_out = [message for each in found for message in each.messages]
    assert sorted(each.message_id for each in handed_out) == sorted({each.message_id for each in handed_out})
    assert len(handed_out) == 40
    handles = [each.receipt_handle for each in handed_out]
    acked = await asyncio.gather(*(both[idx % 2].ack_many("p", "t", handles, dead_letters=False) for idx in range(4)))
    assert sum(answer is None for answers in acked for answer in answers) == 40
    assert await other.stats("p") == [TopicStats("t")]
    await queue.end_plan("p")
    with pytest.raises(NotReady):
        await other.publish_many("p", "t", [QueuePublish(b"")], None)
    await surroundings.close()


async def test_replicas_bury_each_message_once(place: Place, queue: SqlQueue) -> None:
    surroundings = place.elsewhere()
    other = await place.store(surroundings)
    await queue.begin_plan("p", 1)
    await publish(queue, *[b"x"] * 20, max_receives=1)
    handles = await consumed(queue)
    await other.nack_many("p", "t", [QueueNack(each) for each in handles], dead_letters=False)
    await asyncio.gather(*(look((queue, other)[idx % 2], 4) for idx in range(10)))
    assert await other.stats("p") == [TopicStats("t", dead=20)]
    place.opening.start()
    await place.clock.until_sleepers(1)
    told = [each.event.body["topic"] for each in place.notes.appended if each.event.kind == "scratch.queue.deadletter"]
    assert len(told) == 20
    assert [each.event.event_id for each in place.notes.appended] == [f"queue/{number}" for number in range(1, 61)]
    await surroundings.close()


async def test_a_consume_reads_the_messages_that_are_due_and_no_others(tmp_path: Path) -> None:
    database = await Database.open(f"sqlite:///{tmp_path}/q.db", schema.METADATA, durable=False)

    def explain(connection: Connection) -> str:
        spelled = messages._DUE._spelling(connection)
        asked = {"plan": "p", "name": "t", "of_side": 0, "now": 0, "most": 1}
        found = driver_of(connection).execute(f"EXPLAIN QUERY PLAN {spelled.text}", spelled.bound(asked))  # type: ignore[arg-type]
        return str(found.fetchall())

    steps = await database.read(explain)
    assert "queue_item_visible (topic=? AND side=? AND visible_us<?)" in steps
    assert "SCAN queue_item" not in steps
    assert "SCAN queue_body" not in steps
    await database.close()


@pytest.mark.parametrize("place", PRODUCTS[1:], indirect=True)
async def test_what_becomes_visible_wakes_the_other_replica(place: Place, queue: SqlQueue) -> None:
    surroundings = place.elsewhere()
    other = await place.store(surroundings)
    woken: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    other.subscribe(lambda plan_id, topic: woken.put_nowait((plan_id, topic)))
    surroundings.start()
    async with asyncio.timeout(10):
        while woken.empty():  # until it listens
            await queue.publish_many("p", "first", [QueuePublish(b"")], None)
        await queue.publish_many("p", "later", [QueuePublish(b"", delay_s=9)], None)
        await publish(queue, b"1", max_receives=1)
        while await woken.get() != ("p", "t"):
            pass
        [handle] = await consumed(queue)
        await queue.nack_many("p", "t", [QueueNack(handle)], dead_letters=False)
        assert await woken.get() == ("p", "t")
        await look(queue)
        assert await woken.get() == ("p", "t")
    await surroundings.close()
