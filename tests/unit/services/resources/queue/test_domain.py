"""Limits of queues, and handles that fit their own place alone."""

import pytest

from services.resources.queue.adapters.memory import MemoryQueue
from services.resources.queue.domain import Queue
from services.resources.queue.ports import QueueStore
from theory.core.adapters import Message, QueueExtend, QueueNack, QueuePublish
from theory.core.clock import FakeClock
from theory.core.errors import Invalid, TheoryError
from theory.core.ids import SequenceIds

KEY = b"k" * 32


@pytest.fixture
def store() -> QueueStore:
    return MemoryQueue(FakeClock(), SequenceIds())


async def delivered(queue: Queue, plan_id: str = "p", topic: str = "t") -> Message:
    await queue.publish_many(plan_id, topic, [QueuePublish(b"1")])
    [message] = await queue.consume(plan_id=plan_id, topic=topic)
    return message


def reason(answer: object) -> str:
    assert isinstance(answer, TheoryError)
    return answer.reason


@pytest.mark.parametrize(("plan_id", "topic"), [("p", "u"), ("q", "t"), ("pt", "t"), ("p", "tt")])
async def test_a_handle_of_another_place_is_invalid(store: QueueStore, plan_id: str, topic: str) -> None:
    queue = Queue(store, key=KEY)
    handle = (await delivered(queue)).receipt_handle
    for [answer] in (
        await queue.ack_many(plan_id, topic, [handle]),
        await queue.nack_many(plan_id, topic, [QueueNack(handle)]),
        await queue.extend_many(plan_id, topic, [QueueExtend(handle, 1)]),
    ):
        assert reason(answer) == "RECEIPT_INVALID"
    assert await queue.ack_many("p", "t", [handle]) == [None]


async def test_a_handle_under_another_key_is_invalid(store: QueueStore) -> None:
    handle = (await delivered(Queue(store, key=KEY))).receipt_handle
    [answer] = await Queue(store, key=b"l" * 32).ack_many("p", "t", [handle])
    assert reason(answer) == "RECEIPT_INVALID"
    assert await Queue(store, key=KEY).ack_many("p", "t", [handle]) == [None]


async def test_nobody_makes_a_handle_from_what_is_known(store: QueueStore) -> None:
    queue = Queue(store, key=KEY)
    message = await delivered(queue)
    bare, _, seal = message.receipt_handle.rpartition(".")
    assert bare == f"{message.message_id}:1"
    forged = [
        bare,
        f"{message.message_id}:2.{seal}",
        f"{bare}.{seal[:-1]}",
        f"{bare}.{seal.upper()}",
        f".{seal}",
        "\u0663",
    ]
    answers = await queue.ack_many("p", "t", forged)
    assert [reason(answer) for answer in answers] == ["RECEIPT_INVALID"] * len(forged)


async def test_a_long_handle_is_not_even_hashed(store: QueueStore) -> None:
    queue = Queue(store, key=KEY)
    sealed = queue._seal("p", "t").put_on("x" * 2_000)
    [answer] = await queue.ack_many("p", "t", [sealed])
    assert reason(answer) == "RECEIPT_INVALID"


async def test_answers_stand_where_their_items_do(store: QueueStore) -> None:
    queue = Queue(store, key=KEY)
    handle = (await delivered(queue)).receipt_handle
    items = [QueueNack("x"), QueueNack(handle, -1), QueueNack(handle, 0)]
    answers = await queue.nack_many("p", "t", items)
    assert [reason(each) for each in answers[:2]] == ["RECEIPT_INVALID", "DELAY_INVALID"]
    assert answers[2] is None


@pytest.mark.parametrize("topic", ["", "a b", "a/b", "a:b", "\u00e9", "a\n", "t" * 129])
async def test_a_topic_has_a_form(store: QueueStore, topic: str) -> None:
    with pytest.raises(Invalid) as raised:
        await Queue(store, key=KEY).publish_many("p", topic, [QueuePublish(b"")])
    assert raised.value.reason == "TOPIC_INVALID"


@pytest.mark.parametrize("count", [0, 101])
async def test_a_batch_has_a_size(store: QueueStore, count: int) -> None:
    with pytest.raises(Invalid) as raised:
        await Queue(store, key=KEY).ack_many("p", "t", ["a"] * count)
    assert (raised.value.reason, raised.value.metadata) == ("BATCH_SIZE", {"max": "100"})


@pytest.mark.parametrize(("count", "timeout_s"), [(0, 30), (31, 30), (1, 0), (1, 43_201)])
async def test_a_consume_has_bounds(store: QueueStore, count: int, timeout_s: int) -> None:
    with pytest.raises(Invalid):
        await Queue(store, key=KEY).consume(plan_id="p", topic="t", max_messages=count, visibility_timeout_s=timeout_s)
