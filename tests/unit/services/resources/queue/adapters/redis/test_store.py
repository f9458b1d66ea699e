"""Messages in Redis: what they are like beside messages in memory, who is woken, what a full server lets one do."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

import pytest

from services.drivers.opening import Opening
from services.drivers.redis import Outbox
from services.resources.queue.adapters import redis as hashes
from services.resources.queue.adapters import redis_streams as streams
from services.resources.queue.adapters.memory import MemoryQueue
from services.resources.queue.adapters.redis.scripts import Storage
from services.resources.queue.adapters.redis.store import RedisQueue, read_change
from services.resources.queue.ports import Consumed, QueueQuotas, QueueStore
from tests.servers import redis_server
from tests.surroundings import Notes, opening
from tests.turned_redis import TurnedRedis, become_cluster, full
from theory.core.adapters import Message, Published, QueueExtend, QueueNack, QueuePublish, TopicStats
from theory.core.clock import FakeClock
from theory.core.errors import Exhausted, NotReady, TheoryError
from theory.core.ids import IdSource, SequenceIds
from theory.core.ledger import PlanEvent
from theory.core.scratch import queue_deadletter, queue_published, queue_retry

_PLAN = "p-1"
_TOPIC = "a.b_c-D"
_STORAGES = (hashes.HASH, streams.STREAM)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def redis(url: str, clock: FakeClock) -> AsyncIterator[TurnedRedis]:
    async with TurnedRedis.at(url, clock) as redis:
        yield redis


@pytest.fixture(params=_STORAGES, ids=lambda storage: storage.kind)
def storage(request: pytest.FixtureRequest) -> Storage:
    assert isinstance(request.param, Storage)
    return request.param


def store(
    redis: TurnedRedis,
    storage: Storage,
    notes: Notes | None = None,
    ids: IdSource | None = None,
    quotas: QueueQuotas | None = None,
) -> RedisQueue:
    given = opening(redis.turned, notes)
    outbox = Outbox(redis, place=storage.place, area="queue", read=read_change, append=given.append, clock=given.clock)
    return RedisQueue(redis, outbox, quotas or QueueQuotas(), storage, ids or SequenceIds())


class _StepIds(SequenceIds):
    """The same tokens for two stores that are asked the same."""

    step = 0

    def token_hex(self, nbytes: int) -> str:
        return f"{self.step:0{2 * nbytes}x}"


class _Twins:
    """Two stores that are asked the same: what they answer is compared by bodies, counts and times, not by ids."""

    def __init__(self, one: QueueStore, other: QueueStore) -> None:
        self.stores = (one, other)
        self._names: tuple[dict[str, str], dict[str, str]] = ({}, {})
        self.handed_out: list[tuple[str, bool, tuple[str, str]]] = []
        """Topic, side, and the handle in either store."""

    async def agree(self, call: Callable[[QueueStore, int], Awaitable[object]], context: object) -> None:
        answers = [await self._answer(call(each, idx)) for idx, each in enumerate(self.stores)]
        spoken = [self._spoken(answer, names) for answer, names in zip(answers, self._names, strict=True)]
        assert spoken[0] == spoken[1], context

    async def consume(self, topic: str, most: int, *, dead_letters: bool, context: object) -> None:
        one, other = [
            await each.consume(
                plan_id=_PLAN, topic=topic, dead_letters=dead_letters, max_messages=most, visibility_timeout_s=2
            )
            for each in self.stores
        ]
        spoken = [
            [self._message(each, names) for each in consumed.messages]
            for consumed, names in zip((one, other), self._names, strict=True)
        ]
        assert spoken[0] == spoken[1], context
        # Memory may remember the turn of a message that is gone.
        assert (one.next_visible_s or 0) <= (other.next_visible_s or 1e9), context
        for pair in zip(one.messages, other.messages, strict=True):
            self.handed_out.append((topic, dead_letters, (pair[0].receipt_handle, pair[1].receipt_handle)))

    async def _answer(self, asked: Awaitable[object]) -> object:
        try:
            return await asked
        except TheoryError as error:
            return repr(error)

    def _spoken(self, answer: object, names: dict[str, str]) -> object:
        if not isinstance(answer, list):
            return answer
        for each in answer:
            if isinstance(each, Published) and not each.duplicate:
                names[each.message_id] = f"m{len(names)}"
        return [
            (names[each.message_id], each.duplicate) if isinstance(each, Published) else repr(each) for each in answer
        ]

    def _message(self, message: Message, names: dict[str, str]) -> object:
        delivery = message.receipt_handle.partition(":")[2]
        return names[message.message_id], message.body, delivery, message.receive_count, message.publish_time


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
async def test_any_history_reads_as_in_memory(
    seed: int, storage: Storage, redis: TurnedRedis, clock: FakeClock
) -> None:
    notes, chance, ids = Notes(), random.Random(seed), _StepIds()
    quotas = QueueQuotas(topics=2, messages=12, size_bytes=100)
    one = MemoryQueue(Opening(clock, ids, notes.append, notes.emit), quotas)
    other = store(redis, storage, notes, ids, quotas)
    twins = _Twins(one, other)
    for step in range(500):
        ids.step = step
        clock.advance(chance.choice([0.000001, 0.000001, 0.5, 1, 2 if step % 100 else 600]))
        topic = chance.choice(["a", "a", "a", "b", "c"])
        what = chance.choices(["publish", "consume", "settle", "begin", "end"], [30, 35, 35, 3, step > 450])[0]
        if what == "consume":
            dead_letters = chance.random() < 0.2
            await twins.consume(topic, chance.randint(1, 4), dead_letters=dead_letters, context=(seed, step))
        else:
            await twins.agree(_call(chance, what, topic, twins.handed_out), (seed, step, what))
        await twins.agree(lambda queue, _: queue.stats(_PLAN), (seed, step, "stats"))
    while other._outbox._due:
        await other._outbox._carry()
    assert {each.event.kind.rpartition(".")[2] for each in notes.emitted} == {"published", "retry", "deadletter"}
    assert list(map(_told, notes.appended)) == list(map(_told, notes.emitted))


def _told(event: PlanEvent) -> object:
    """Without the part of the id that a store has for itself."""
    area, _, number = event.event.event_id.split("/")
    return event.plan_id, area, number, event.event.kind, event.event.ts, event.event.body


def _call(
    chance: random.Random, what: str, topic: str, handed_out: Sequence[tuple[str, bool, tuple[str, str]]]
) -> Callable[[QueueStore, int], Awaitable[object]]:
    if what == "begin":
        every = chance.randrange(1, 4)
        return lambda queue, _: queue.begin_plan(_PLAN, every)
    if what == "end":
        return lambda queue, _: queue.end_plan(_PLAN)
    if what == "publish" or not handed_out:
        items = [
            QueuePublish(b"x" * chance.choice([0, 1, 30]), chance.choice([None, "k", "l"]), chance.choice([0, 0, 1, 3]))
            for _ in range(chance.randint(1, 4))
        ]
        max_receives = chance.choice([None, 2, 2, 2, 3])
        return lambda queue, _: queue.publish_many(_PLAN, topic, items, max_receives)
    place, dead_letters, _ = chance.choice(handed_out[-8:])
    handles = [pair for at, side, pair in handed_out[-8:] if (at, side) == (place, dead_letters)]
    handles = [chance.choice(handles) for _ in range(chance.randint(1, 3))]
    after_s = chance.choice([0, 1, 2])
    how = chance.choice(["ack", "nack", "nack", "nack", "extend", "redrive" if dead_letters else "nack"])
    if how == "ack":
        return lambda queue, idx: queue.ack_many(
            _PLAN, place, [pair[idx] for pair in handles], dead_letters=dead_letters
        )
    if how == "nack":
        return lambda queue, idx: queue.nack_many(
            _PLAN, place, [QueueNack(pair[idx], after_s) for pair in handles], dead_letters=dead_letters
        )
    if how == "extend":
        return lambda queue, idx: queue.extend_many(
            _PLAN, place, [QueueExtend(pair[idx], after_s + 1) for pair in handles], dead_letters=dead_letters
        )
    return lambda queue, idx: queue.redrive_many(_PLAN, place, [pair[idx] for pair in handles])


async def test_an_empty_consume_tells_when_to_look_again(
    redis: TurnedRedis, storage: Storage, clock: FakeClock
) -> None:
    queue = store(redis, storage)
    assert await _look(queue) == Consumed([], None)
    await queue.publish_many(_PLAN, _TOPIC, [QueuePublish(b"", delay_s=5), QueuePublish(b"", delay_s=3)], None)
    clock.advance(1.5)
    assert await _look(queue) == Consumed([], 1.5)
    clock.advance(1.5)
    assert len((await _look(queue)).messages) == 1


async def test_bodies_beyond_a_reply_wait_for_the_next(
    redis: TurnedRedis, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.resources.queue.adapters.redis.store.REPLY_BYTES", 10)
    queue = store(redis, storage)
    await queue.publish_many(_PLAN, _TOPIC, [QueuePublish(each) for each in (b"\x00 \r\n", b"five5", b"six666")], None)
    assert [each.body for each in (await _look(queue)).messages] == [b"\x00 \r\n", b"five5"]
    assert [each.body for each in (await _look(queue)).messages] == [b"six666"]


async def test_many_worn_out_messages_go_to_the_dead_letters_in_several_looks(
    redis: TurnedRedis, storage: Storage, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.resources.queue.adapters.redis.store._MOST_MOVES", 4)
    queue = store(redis, storage)
    await queue.publish_many(_PLAN, _TOPIC, [QueuePublish(b"worn")] * 10, 1)
    await _look(queue)
    clock.advance(60)
    await queue.publish_many(_PLAN, _TOPIC, [QueuePublish(b"fresh")], None)
    looks = [await _look(queue, 1) for _ in range(3)]
    assert looks[:2] == [Consumed([], 0.0)] * 2
    assert [each.body for each in looks[2].messages] == [b"fresh"]
    assert await queue.stats(_PLAN) == [TopicStats(_TOPIC, 0, 1, 0, 10)]


async def test_ids_stay_apart_while_the_clock_stands_still(redis: TurnedRedis, storage: Storage) -> None:
    queue = store(redis, storage)
    for _ in range(3):
        await queue.publish_many(_PLAN, _TOPIC, [QueuePublish(b"x")] * 3, None)
    messages = (await _look(queue)).messages
    assert len({each.message_id for each in messages}) == 9
    assert {each.publish_time for each in messages} == {redis.turned.now()}


async def test_a_clock_that_goes_back_loses_nothing(redis: TurnedRedis, storage: Storage, clock: FakeClock) -> None:
    queue = store(redis, storage)
    clock.advance(60)
    await queue.publish_many(_PLAN, _TOPIC, [QueuePublish(b"one")], None)
    clock.advance(-60)
    await queue.publish_many(_PLAN, _TOPIC, [QueuePublish(b"two")], None)
    clock.advance(60)
    assert sorted(each.body for each in (await _look(queue)).messages) == [b"one", b"two"]


async def test_events_say_what_happened(redis: TurnedRedis, storage: Storage, clock: FakeClock) -> None:
    notes = Notes()
    queue = store(redis, storage, notes)
    await queue.begin_plan(_PLAN, 1)
    await queue.publish_many(_PLAN, _TOPIC, [QueuePublish(b"123")], 1)
    [message] = (await _look(queue)).messages
    await queue.nack_many(_PLAN, _TOPIC, [QueueNack(message.receipt_handle, 7)], dead_letters=False)
    clock.advance(7)
    await _look(queue)
    while queue._outbox._due:
        await queue._outbox._carry()
    assert [each.event.event_id.split("/")[::2] for each in notes.appended] == [["queue", str(n)] for n in (1, 2, 3)]
    assert [(each.event.kind, each.event.body) for each in notes.appended] == [
        tuple(each) for each in (queue_published(_TOPIC, 3, 1), queue_retry(_TOPIC, 7, 1), queue_deadletter(_TOPIC, 1))
    ]


async def test_a_plan_that_ended_leaves_its_end_and_its_events(redis: TurnedRedis, storage: Storage) -> None:
    queue = store(redis, storage)
    await queue.begin_plan(_PLAN, 1)
    for topic in ("a", "b"):
        await queue.publish_many(_PLAN, topic, [QueuePublish(b"", "k"), QueuePublish(b"", delay_s=9)], 1)
    await queue.end_plan(_PLAN)
    left = await redis.call("KEYS", "*")
    assert isinstance(left, list)
    assert sorted(left) == [f"theory:{{{_PLAN}}}:{storage.place}{part}".encode() for part in ("", ":events")]
    with pytest.raises(NotReady):
        await queue.publish_many(_PLAN, "a", [QueuePublish(b"")], None)


async def test_looking_at_nothing_keeps_nothing(redis: TurnedRedis, storage: Storage) -> None:
    queue = store(redis, storage)
    await _look(queue)
    await queue.ack_many(_PLAN, _TOPIC, ["a:1"], dead_letters=False)
    await queue.stats(_PLAN)
    assert await redis.call("DBSIZE") == 0


async def test_a_drained_topic_keeps_no_trace_of_its_messages(redis: TurnedRedis, storage: Storage) -> None:
    queue = store(redis, storage)
    await queue.publish_many(_PLAN, _TOPIC, [QueuePublish(b"x" * 9)] * 20, None)
    handles = [each.receipt_handle for each in (await _look(queue)).messages]
    assert await queue.ack_many(_PLAN, _TOPIC, handles, dead_letters=False) == [None] * 20
    left = await redis.call("KEYS", "*:t:*")
    assert left in ([], [f"theory:{{{_PLAN}}}:{storage.place}:t:{_TOPIC}:bodies".encode()])  # a stream may be empty
    assert await redis.call("HMGET", f"theory:{{{_PLAN}}}:{storage.place}", "messages", "bytes") == [b"0", b"0"]


@pytest.mark.slow
async def test_other_replicas_are_woken_and_this_one_is_not(url: str, storage: Storage, clock: FakeClock) -> None:
    woken: list[asyncio.Queue[tuple[str, str]]] = [asyncio.Queue(), asyncio.Queue()]
    async with TurnedRedis.at(url, clock) as one, TurnedRedis.at(url, clock) as other:
        queues = [store(redis, storage, ids=ids) for redis, ids in ((one, _StepIds()), (other, SequenceIds()))]
        for queue, redis, heard in zip(queues, (one, other), woken, strict=True):
            queue.subscribe(lambda *place, heard=heard: heard.put_nowait(place))
            redis.start()
        while await one.call("PUBSUB", "NUMSUB", queues[0]._channel) != [queues[0]._channel.encode(), 2]:
            pass
        await queues[0].publish_many(_PLAN, "later", [QueuePublish(b"", delay_s=9)], None)
        await queues[0].publish_many(_PLAN, _TOPIC, [QueuePublish(b"")], None)
        [message] = (await _look(queues[0])).messages
        await queues[0].nack_many(_PLAN, _TOPIC, [QueueNack(message.receipt_handle)], dead_letters=False)
        assert [await woken[1].get() for _ in range(2)] == [(_PLAN, _TOPIC)] * 2
    assert woken[0].empty()


async def test_a_full_server_can_be_emptied(redis: TurnedRedis, storage: Storage, clock: FakeClock) -> None:
    queue = store(redis, storage)
    await queue.begin_plan(_PLAN, 1)
    await queue.publish_many(_PLAN, _TOPIC, [QueuePublish(b"one"), QueuePublish(b"two")], 1)
    async with full(redis):
        with pytest.raises(Exhausted) as caught:
            await queue.publish_many(_PLAN, _TOPIC, [QueuePublish(b"three")], None)
        assert caught.value.reason == "STORE_FULL"
        one, two = (each.receipt_handle for each in (await _look(queue)).messages)
        assert await queue.ack_many(_PLAN, _TOPIC, [one], dead_letters=False) == [None]
        assert await queue.extend_many(_PLAN, _TOPIC, [QueueExtend(two, 9)], dead_letters=False) == [None]
        assert await queue.nack_many(_PLAN, _TOPIC, [QueueNack(two)], dead_letters=False) == [None]
        assert (await _look(queue)).messages == []
        [dead] = (await _look(queue, dead_letters=True)).messages
        assert await queue.redrive_many(_PLAN, _TOPIC, [dead.receipt_handle]) == [None]
        assert await queue.stats(_PLAN) == [TopicStats(_TOPIC, visible=1)]
        await queue.end_plan(_PLAN)


@pytest.mark.slow
async def test_everything_of_a_plan_is_in_one_slot_of_a_cluster(storage: Storage, clock: FakeClock) -> None:
    with redis_server(options=["--cluster-enabled", "yes"]) as url:
        async with TurnedRedis.at(url, clock) as redis:
            await become_cluster(redis)
            queue = store(redis, storage)
            await queue.begin_plan(_PLAN, 1)
            await queue.publish_many(_PLAN, _TOPIC, [QueuePublish(b"", "k"), QueuePublish(b"", delay_s=9)], 1)
            [message] = (await _look(queue)).messages
            assert await queue.extend_many(
                _PLAN, _TOPIC, [QueueExtend(message.receipt_handle, 1)], dead_letters=False
            ) == [None]
            clock.advance(1)
            await _look(queue)
            [dead] = (await _look(queue, dead_letters=True)).messages
            assert await queue.redrive_many(_PLAN, _TOPIC, [dead.receipt_handle]) == [None]
            [again] = (await _look(queue)).messages
            assert await queue.ack_many(_PLAN, _TOPIC, [again.receipt_handle], dead_letters=False) == [None]
            assert await queue.stats(_PLAN) == [TopicStats(_TOPIC, 0, 0, 1, 0)]
            await queue.end_plan(_PLAN)


async def _look(queue: QueueStore, most: int = 30, *, dead_letters: bool = False) -> Consumed:
    return await queue.consume(
        plan_id=_PLAN, topic=_TOPIC, dead_letters=dead_letters, max_messages=most, visibility_timeout_s=60
    )
