"""The client of queues: what travels together, what is split, and what is answered without a call."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.unit.theory.sdk.scratch import resources, served
from theory.core.adapters import Message, Published, QueueAdapter, QueueExtend, QueueNack, QueuePublish, TopicStats
from theory.core.clock import FakeClock
from theory.core.errors import Invalid, NotFound, TheoryError
from theory.sdk.queue import QueueClient

START = datetime(2026, 1, 1, tzinfo=UTC)
KIB = 1 << 10


@pytest.fixture
async def queue(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[QueueClient]:
    caplog.set_level(logging.DEBUG, "theory.wire.rpc")
    async with resources(tmp_path, FakeClock(START)) as server:
        yield QueueClient(server.channel())


async def consumed(queue: QueueClient, count: int = 30) -> list[Message]:
    return await queue.consume(plan_id="p", topic="t", max_messages=count)


def reason(answer: object) -> str:
    assert isinstance(answer, TheoryError)
    return answer.reason


def test_it_is_the_adapter_of_the_mission() -> None:
    adapter: type[QueueAdapter] = QueueClient
    assert adapter is QueueClient


async def test_calls_of_one_turn_travel_together(queue: QueueClient, caplog: pytest.LogCaptureFixture) -> None:
    bodies = [str(idx).encode() for idx in range(30)]
    ids = await asyncio.gather(*(queue.publish(plan_id="p", topic="t", body=body) for body in bodies))
    messages = await consumed(queue)
    assert {each.message_id: each.body for each in messages} == dict(zip(ids, bodies, strict=True))
    place = {"plan_id": "p", "topic": "t"}
    handles = [each.receipt_handle for each in messages]
    await asyncio.gather(*(queue.extend(**place, receipt_handle=each, visibility_timeout_s=9) for each in handles))
    await asyncio.gather(*(queue.nack(**place, receipt_handle=each, delay_s=9) for each in handles))
    await asyncio.gather(*(queue.ack(**place, receipt_handle=each) for each in handles))
    assert served(caplog) == ["Publish", "Consume", "Extend", "Nack", "Ack"]


async def test_consumes_of_one_turn_travel_together(queue: QueueClient, caplog: pytest.LogCaptureFixture) -> None:
    await queue.publish_many("p", "t", [QueuePublish(str(idx).encode()) for idx in range(40)])
    taken = await asyncio.gather(*(queue.consume(plan_id="p", topic="t", max_messages=1) for _ in range(42)))
    assert served(caplog) == ["Publish", "Consume", "Consume", "Consume"]
    assert sorted(map(len, taken)) == [0, 0, *([1] * 40)]
    assert len({each.body for messages in taken for each in messages}) == 40


async def test_consumes_that_differ_or_wait_travel_apart(queue: QueueClient, caplog: pytest.LogCaptureFixture) -> None:
    await queue.publish_many("p", "t", [QueuePublish(b"")] * 4)
    options = [(30, 0), (9, 0), (30, 1), (30, 1)]
    taken = await asyncio.gather(
        *(
            queue.consume(plan_id="p", topic="t", visibility_timeout_s=timeout_s, wait_s=wait_s)
            for timeout_s, wait_s in options
        )
    )
    assert list(map(len, taken)) == [1, 1, 1, 1]
    assert served(caplog) == ["Publish", *(["Consume"] * 4)]


async def test_a_bad_consume_fails_its_caller_alone(queue: QueueClient) -> None:
    await queue.publish(plan_id="p", topic="t", body=b"")
    good, bad = await asyncio.gather(consumed(queue, 1), consumed(queue, 31), return_exceptions=True)
    assert isinstance(good, list)
    assert len(good) == 1
    assert reason(bad) == "MAX_MESSAGES_INVALID"


async def test_topics_travel_apart(queue: QueueClient, caplog: pytest.LogCaptureFixture) -> None:
    places = [("p", "t"), ("p", "u"), ("q", "t"), ("p", "t")]
    await asyncio.gather(*(queue.publish(plan_id=plan_id, topic=topic, body=b"") for plan_id, topic in places))
    assert served(caplog) == ["Publish"] * 3


async def test_a_delivery_has_every_field(queue: QueueClient) -> None:
    message_id = await queue.publish(plan_id="p", topic="t", body=b"\x00\xff")
    [message] = await consumed(queue)
    assert message == Message(message_id, b"\x00\xff", message.receipt_handle, 1, START)


async def test_a_bad_item_fails_its_caller_alone(queue: QueueClient) -> None:
    asked = [
        QueuePublish(b"x" * (256 * KIB + 1)),
        QueuePublish(b"", "\ud800"),
        QueuePublish(b"", ""),
        QueuePublish(b"", delay_s=1 << 31),
        QueuePublish(b"sound"),
    ]
    answers = await queue.publish_many("p", "t", asked)
    expected = ["BODY_TOO_LARGE", "IDEMPOTENCY_KEY_INVALID", "IDEMPOTENCY_KEY_INVALID", "DELAY_INVALID"]
    assert [reason(each) for each in answers[:-1]] == expected
    assert isinstance(answers[-1], Published)
    [message] = await consumed(queue)
    handle = message.receipt_handle
    nacks = await queue.nack_many("p", "t", [QueueNack("\ud800"), QueueNack(handle, 1 << 31)])
    assert [reason(each) for each in nacks] == ["RECEIPT_INVALID", "DELAY_INVALID"]
    extends = await queue.extend_many("p", "t", [QueueExtend("\ud800", 1), QueueExtend(handle, 1 << 31)])
    assert [reason(each) for each in extends] == ["RECEIPT_INVALID", "VISIBILITY_INVALID"]
    assert [reason(each) for each in await queue.ack_many("p", "t", ["\ud800"])] == ["RECEIPT_INVALID"]


@pytest.mark.parametrize(("count", "timeout_s"), [(0, 30), (-1, 30), (31, 30), (1 << 31, 30), (1, 0), (1, 1 << 31)])
async def test_a_consume_out_of_range_is_refused(queue: QueueClient, count: int, timeout_s: int) -> None:
    with pytest.raises(Invalid):
        await queue.consume(plan_id="p", topic="t", max_messages=count, visibility_timeout_s=timeout_s)


async def test_a_name_that_is_no_text_is_refused(queue: QueueClient) -> None:
    for plan_id, topic in (("\ud800", "t"), ("p", "\ud800")):
        with pytest.raises(Invalid):
            await queue.publish(plan_id=plan_id, topic=topic, body=b"")
        with pytest.raises(Invalid):
            await queue.consume(plan_id=plan_id, topic=topic)


async def test_large_batches_are_split_over_calls(queue: QueueClient, caplog: pytest.LogCaptureFixture) -> None:
    published = await queue.publish_many("p", "t", [QueuePublish(b"x" * 256 * KIB)] * 30 + [QueuePublish(b"")] * 170)
    assert len({each.message_id for each in published if isinstance(each, Published)}) == 200
    assert served(caplog) == ["Publish"] * 3
    messages = [message for _ in range(9) for message in await consumed(queue)]
    caplog.clear()
    assert await queue.ack_many("p", "t", [each.receipt_handle for each in messages]) == [None] * 200
    assert served(caplog) == ["Ack"] * 2


async def test_an_empty_batch_is_answered_without_a_call(queue: QueueClient, caplog: pytest.LogCaptureFixture) -> None:
    assert await queue.publish_many("p", "t", []) == await queue.ack_many("p", "t", []) == []
    assert await queue.nack_many("p", "t", []) == await queue.extend_many("p", "t", []) == []
    assert served(caplog) == []


async def test_a_second_ack_finds_the_message_gone(queue: QueueClient) -> None:
    await queue.publish(plan_id="p", topic="t", body=b"")
    [message] = await consumed(queue)
    await queue.ack(plan_id="p", topic="t", receipt_handle=message.receipt_handle)
    with pytest.raises(NotFound):
        await queue.ack(plan_id="p", topic="t", receipt_handle=message.receipt_handle)


async def test_a_dead_letter_comes_back(queue: QueueClient) -> None:
    await queue.publish(plan_id="p", topic="t", body=b"1", max_receives=1)
    [first] = await consumed(queue)
    await queue.nack(plan_id="p", topic="t", receipt_handle=first.receipt_handle)
    assert await consumed(queue) == []
    [dead] = await queue.consume(plan_id="p", topic="t", dead_letters=True)
    assert await queue.stats("p") == [TopicStats("t", dead=1)]
    await queue.redrive(plan_id="p", topic="t", receipt_handle=dead.receipt_handle)
    [again] = await consumed(queue)
    assert (again.message_id, again.receive_count) == (first.message_id, 1)


async def test_what_a_topic_was_made_with_travels_apart(queue: QueueClient, caplog: pytest.LogCaptureFixture) -> None:
    await queue.publish(plan_id="p", topic="t", body=b"", max_receives=2)  # of two at once either may be the first
    asked = [queue.publish(plan_id="p", topic="t", body=b"", max_receives=most) for most in (2, None, 2)]
    await asyncio.gather(*asked)
    assert served(caplog) == ["Publish", "Publish", "Publish"]


@pytest.mark.parametrize("wait_s", [-1, 21, 1 << 31])
async def test_a_wait_out_of_range_is_refused(queue: QueueClient, wait_s: int) -> None:
    with pytest.raises(Invalid) as raised:
        await queue.consume(plan_id="p", topic="t", wait_s=wait_s)
    assert raised.value.reason == "WAIT_INVALID"


async def test_it_knows_what_the_store_offers(queue: QueueClient) -> None:
    told = await queue.capabilities()
    assert {"FENCED_HANDLES", "DEAD_LETTERS", "QUOTAS"} <= told.features
    assert "EVENTS_KEPT" not in told.features
    assert (told.max_wait_s, told.redelivery_slack_s) == (20, 0)
