"""Limits of queues, and handles that fit their own place alone."""

import pytest

from services.resources.queue.adapters.memory import MemoryQueue
from services.resources.queue.domain.queue import Queue
from services.resources.queue.ports import QueueQuotas, QueueStore
from tests.surroundings import opening
from theory.core.adapters import Message, QueueNack, QueuePublish
from theory.core.clock import FakeClock
from theory.core.errors import Invalid, TheoryError

KEY = b"k" * 32


def rules(store: QueueStore, key: bytes = KEY) -> Queue:
    return Queue(store, key=key, clock=FakeClock())


@pytest.fixture
def store() -> QueueStore:
    return MemoryQueue(opening(), QueueQuotas())


async def delivered(queue: Queue, plan_id: str = "p", topic: str = "t") -> Message:
    await queue.publish_many(plan_id, topic, [QueuePublish(b"1")])
    [message] = await queue.consume(plan_id=plan_id, topic=topic)
    return message


def reason(answer: object) -> str:
    assert isinstance(answer, TheoryError)
    return answer.reason


async def test_a_handle_under_another_key_is_invalid(store: QueueStore) -> None:
    handle = (await delivered(rules(store))).receipt_handle
    [answer] = await rules(store, b"l" * 32).ack_many("p", "t", [handle])
    assert reason(answer) == "RECEIPT_INVALID"
    assert await rules(store).ack_many("p", "t", [handle]) == [None]


async def test_nobody_makes_a_handle_from_what_is_known(store: QueueStore) -> None:
    queue = rules(store)
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


async def test_answers_stand_where_their_items_do(store: QueueStore) -> None:
    queue = rules(store)
    handle = (await delivered(queue)).receipt_handle
    items = [QueueNack("x"), QueueNack(handle, -1), QueueNack(handle, 0)]
    answers = await queue.nack_many("p", "t", items)
    assert [reason(each) for each in answers[:2]] == ["RECEIPT_INVALID", "DELAY_INVALID"]
    assert answers[2] is None


@pytest.mark.parametrize("topic", ["", "a b", "a/b", "a:b", "\u00e9", "a\n", "t" * 129])
async def test_a_topic_has_a_form(store: QueueStore, topic: str) -> None:
    with pytest.raises(Invalid) as raised:
        await rules(store).publish_many("p", topic, [QueuePublish(b"")])
    assert raised.value.reason == "TOPIC_INVALID"


@pytest.mark.parametrize("count", [0, 101])
async def test_a_batch_has_a_size(store: QueueStore, count: int) -> None:
    with pytest.raises(Invalid) as raised:
        await rules(store).ack_many("p", "t", ["a"] * count)
    assert (raised.value.reason, raised.value.metadata) == ("BATCH_SIZE", {"max": "100"})


@pytest.mark.parametrize(("count", "timeout_s"), [(0, 30), (31, 30), (1, 0), (1, 43_201)])
async def test_a_consume_has_bounds(store: QueueStore, count: int, timeout_s: int) -> None:
    with pytest.raises(Invalid):
        await rules(store).consume(plan_id="p", topic="t", max_messages=count, visibility_timeout_s=timeout_s)


@pytest.mark.parametrize("wait_s", [-1, 21])
async def test_a_wait_has_bounds(store: QueueStore, wait_s: int) -> None:
    with pytest.raises(Invalid) as raised:
        await rules(store).consume(plan_id="p", topic="t", wait_s=wait_s)
    assert (raised.value.reason, raised.value.metadata) == ("WAIT_INVALID", {"min": "0", "max": "20"})


async def test_no_wait_outlives_its_call(store: QueueStore) -> None:
    assert await rules(store).consume(plan_id="p", topic="t", wait_s=20, time_left_s=0.2) == []


@pytest.mark.parametrize("most", [-1, 1_001])
async def test_max_receives_has_bounds(store: QueueStore, most: int) -> None:
    with pytest.raises(Invalid) as raised:
        await rules(store).publish_many("p", "t", [QueuePublish(b"")], max_receives=most)
    assert raised.value.reason == "MAX_RECEIVES_INVALID"


@pytest.mark.parametrize("every", [-1, 1_000_001])
async def test_sampling_has_bounds(store: QueueStore, every: int) -> None:
    with pytest.raises(Invalid) as raised:
        await rules(store).begin_plan("p", event_every=every)
    assert raised.value.reason == "EVENT_SAMPLING_INVALID"


async def test_handles_of_both_sides_may_share_a_batch(store: QueueStore) -> None:
    queue = rules(store)
    await queue.publish_many("p", "t", [QueuePublish(b"dies"), QueuePublish(b"lives")], max_receives=1)
    by_body = {each.body: each for each in await queue.consume(plan_id="p", topic="t", max_messages=2)}
    await queue.nack_many("p", "t", [QueueNack(by_body[b"dies"].receipt_handle)])
    assert await queue.consume(plan_id="p", topic="t") == []
    [dead] = await queue.consume(plan_id="p", topic="t", dead_letters=True)
    live = by_body[b"lives"].receipt_handle
    answers = await queue.ack_many("p", "t", [dead.receipt_handle, "x", live, dead.receipt_handle])
    assert [each and each.reason for each in answers] == [None, "RECEIPT_INVALID", None, "MESSAGE_UNKNOWN"]
    [refused] = await queue.redrive_many("p", "t", [live])
    assert reason(refused) == "RECEIPT_INVALID"
