"""What every queue answers to what is malformed or too much: the same, whatever store is behind it."""

from collections.abc import Awaitable, Iterable
from typing import Any

from theory.api.resources.v1 import queue_pb2
from theory.api.resources.v1.queue_pb2_grpc import QueueServiceStub
from theory.core.adapters import QueueExtend, QueueNack, QueuePublish
from theory.core.errors import Invalid
from theory.sdk.queue import QueueClient
from theory.testing.case import Target, case
from theory.testing.cases.queue_topic import LARGEST_BYTES, LONGEST_S, Topic, published
from theory.testing.refusals import refusal, refused
from theory.wire.channel import call
from theory.wire.identity import Role


@case()
async def a_consume_gives_no_more_than_asked_for(target: Target) -> None:
    """At most `max_messages`, 1 where it is 0; less than 0 or more than 30 is `Invalid` (I-89)."""
    topic, stub = Topic(target), QueueServiceStub(target.channel())
    await topic.queue.publish_many(topic.plan_id, topic.name, [QueuePublish(b"")] * 40)
    place: dict[str, Any] = {"plan_id": topic.plan_id, "topic": topic.name}
    for count in (-1, 31, 1 << 30):
        asked = call(stub.Consume, queue_pb2.ConsumeRequest(**place, max_messages=count))
        assert (await refusal(asked, Invalid, "MAX_MESSAGES_INVALID")).metadata == {"min": "1", "max": "30"}
    answered = await call(stub.Consume, queue_pb2.ConsumeRequest(**place, wait_s=target.slack_s))
    assert len(answered.messages) == 1
    for most in (3, 30):
        assert 0 < len(await topic.consume(most)) <= most
    answered = await call(stub.Consume, queue_pb2.ConsumeRequest(**place, max_messages=30))
    assert len(answered.messages) <= 6


@case()
async def bodies_delays_and_keys_have_limits(target: Target) -> None:
    """The largest of each is accepted, one more is `Invalid`, names the limit and stops no other (I-86, I-89)."""
    topic, bounds = Topic(target), {"min": "0", "max": str(LONGEST_S)}
    sound = [QueuePublish(b"x" * LARGEST_BYTES, "k" * 128, LONGEST_S), QueuePublish(b"1", "!~ ")]
    bad = [
        (QueuePublish(b"x" * (LARGEST_BYTES + 1)), "BODY_TOO_LARGE", {"max_bytes": str(LARGEST_BYTES)}),
        *((QueuePublish(b"", delay_s=s), "DELAY_INVALID", bounds) for s in (-1, LONGEST_S + 1, 1 << 40)),
        *(
            (QueuePublish(b"", key), "IDEMPOTENCY_KEY_INVALID", {})
            for key in ("", "k" * 129, "\u00e9", "a\nb", "\x00", "\x7f", "\ud800")
        ),
    ]
    items = [sound[0], *(item for item, _, _ in bad), sound[1]]
    answers = await topic.queue.publish_many(topic.plan_id, topic.name, items)
    assert not published(answers[0]).duplicate
    assert not published(answers[-1]).duplicate
    for answer, (_, reason, metadata) in zip(answers[1:-1], bad, strict=True):
        assert refused(answer, Invalid, reason).metadata == metadata
    assert (await topic.only()).body == b"1"
    assert await topic.is_empty()


@case()
async def timeouts_and_delays_of_deliveries_have_limits(target: Target) -> None:
    """1 to 43,200 seconds hidden, 0 to 43,200 delayed; anything else is `Invalid` and changes nothing (I-89)."""
    topic, bounds = Topic(target), {"min": "1", "max": str(LONGEST_S)}
    place = topic.plan_id, topic.name
    await topic.publish()
    for timeout_s in (0, -1, LONGEST_S + 1, 1 << 40):
        asked = topic.consume(visibility_timeout_s=timeout_s)
        assert (await refusal(asked, Invalid, "VISIBILITY_INVALID")).metadata == bounds
    message = await topic.only(visibility_timeout_s=LONGEST_S)
    extends = [QueueExtend(message.receipt_handle, timeout_s) for timeout_s in (0, -1, LONGEST_S + 1, 1 << 40)]
    for answer in await topic.queue.extend_many(*place, extends):
        assert refused(answer, Invalid, "VISIBILITY_INVALID").metadata == bounds
    nacks = [QueueNack(message.receipt_handle, delay_s) for delay_s in (-1, LONGEST_S + 1, 1 << 40)]
    for answer in await topic.queue.nack_many(*place, nacks):
        assert refused(answer, Invalid, "DELAY_INVALID").metadata == {"min": "0", "max": str(LONGEST_S)}
    assert await topic.is_empty()
    await topic.extend(message, LONGEST_S)
    await topic.nack(message, LONGEST_S)


@case()
async def names_are_checked(target: Target) -> None:
    """A malformed topic is `Invalid TOPIC_INVALID`, a malformed plan id `Invalid ID_INVALID`, in each call (I-89)."""
    topic = Topic(target)
    for name in ("", "a b", "a/b", "a\x00", "a\n", "\u00e9", "t" * 129, "\ud800", "*", "a:b", "{a}"):
        for asked in _each_method(topic.queue, topic.plan_id, name):
            await refusal(asked, Invalid, "TOPIC_INVALID")
    executor = QueueClient(target.channel(Role.EXECUTOR))
    for bad in ("", "-a", "A", "a.b", "a\x00", "a" * 65, "\u00e9", "\ud800"):
        of_plan = (topic.queue.stats(bad), executor.begin_plan(bad), executor.end_plan(bad))
        for asked in (*_each_method(topic.queue, bad, topic.name), *of_plan):
            assert (await refusal(asked, Invalid, "ID_INVALID")).metadata["field"] == "plan_id"
    for name in ("a", "Z-9._", "..", "t" * 128):
        place = topic.beside(name=name)
        await place.publish(name.encode())
        assert (await place.only()).body == name.encode()


@case()
async def an_unknown_topic_is_empty(target: Target) -> None:
    """Nothing is handed out of it, nothing is counted, and looking at it does not make it (I-35)."""
    topic = Topic(target)
    for dead_letters in (False, True):
        assert await topic.is_empty(dead_letters=dead_letters)
    assert await topic.queue.stats(topic.plan_id) == []
    await topic.publish(max_receives=5)


@case()
async def a_batch_has_one_to_a_hundred_items(target: Target) -> None:
    """An empty batch and one of 101 are `Invalid BATCH_SIZE`; one of 100 is served (I-89)."""
    topic, stub = Topic(target), QueueServiceStub(target.channel())
    place: dict[str, Any] = {"plan_id": topic.plan_id, "topic": topic.name}
    for count in (0, 101):
        publish = queue_pb2.PublishRequest(**place)
        nack, extend = queue_pb2.NackRequest(**place), queue_pb2.ExtendRequest(**place)
        for _ in range(count):
            publish.items.add()
            nack.items.add()
            extend.items.add()
        handles = ["a"] * count
        for asked in (
            call(stub.Publish, publish),
            call(stub.Ack, queue_pb2.AckRequest(**place, receipt_handles=handles)),
            call(stub.Nack, nack),
            call(stub.Extend, extend),
            call(stub.Redrive, queue_pb2.RedriveRequest(**place, receipt_handles=handles)),
        ):
            assert (await refusal(asked, Invalid, "BATCH_SIZE")).metadata == {"max": "100"}
    assert len(set(await topic.publish_all(*[b""] * 100))) == 100


@case()
async def how_often_events_are_made_has_limits(target: Target) -> None:
    """Less than 0 and more than 1,000,000 are `Invalid EVENT_SAMPLING_INVALID` (I-89)."""
    queue, plan_id = QueueClient(target.channel(Role.EXECUTOR)), target.fresh("plan")
    for figure in (-1, 1_000_001, 1 << 30):
        error = await refusal(queue.begin_plan(plan_id, event_every=figure), Invalid, "EVENT_SAMPLING_INVALID")
        assert error.metadata == {"min": "0", "max": "1000000"}
    await queue.begin_plan(plan_id, event_every=1_000_000)


def _each_method(queue: QueueClient, plan_id: str, topic: str) -> Iterable[Awaitable[object]]:
    return (
        queue.publish_many(plan_id, topic, [QueuePublish(b"")]),
        queue.consume(plan_id=plan_id, topic=topic),
        queue.ack_many(plan_id, topic, ["a"]),
        queue.nack_many(plan_id, topic, [QueueNack("a")]),
        queue.extend_many(plan_id, topic, [QueueExtend("a", 1)]),
        queue.redrive_many(plan_id, topic, ["a"]),
    )
