"""What every store of messages promises, over the wire."""

import asyncio
from collections.abc import Awaitable, Iterable

from theory.api.resources.v1 import queue_pb2
from theory.api.resources.v1.queue_pb2_grpc import QueueServiceStub
from theory.core.adapters import Message, Published, QueueExtend, QueueNack, QueuePublish
from theory.core.errors import Denied, Invalid, NotFound, NotReady, TheoryError
from theory.sdk.queue import QueueClient
from theory.testing.case import Target, case
from theory.testing.refusals import refusal, refused
from theory.wire.channel import call
from theory.wire.identity import Role

_KIB = 1 << 10
_LARGEST = 256 * _KIB
_LONGEST_S = 43_200
_TOPIC = "work"


@case()
async def a_published_message_is_delivered(target: Target) -> None:
    """It arrives as it was published, with its id, the time, and a receive count of 1 (I-35, I-42)."""
    queue, plan_id = QueueClient(target.channel()), target.fresh("plan")
    published = [await _publish(queue, plan_id, body) for body in (b"", b"\x00\xff one")]
    messages = await _consume(queue, plan_id, 30)
    assert {each.message_id: each.body for each in messages} == dict(
        zip(published, (b"", b"\x00\xff one"), strict=True)
    )
    assert {each.receive_count for each in messages} == {1}
    await target.advance(1.1)
    await _publish(queue, plan_id, b"two")
    later = await _only(queue, plan_id)
    assert 1 <= (later.publish_time - messages[0].publish_time).total_seconds() < 30


@case()
async def an_empty_topic_gives_nothing_at_once(target: Target) -> None:
    """A topic that nobody published to, or that is drained, answers without messages (I-35)."""
    queue, plan_id = QueueClient(target.channel()), target.fresh("plan")
    assert await _consume(queue, plan_id, 30) == []
    await _publish(queue, plan_id)
    await _ack(queue, plan_id, await _only(queue, plan_id))
    assert await _consume(queue, plan_id, 30) == []


@case()
async def a_delivered_message_is_hidden_for_its_timeout(target: Target) -> None:
    """Nobody else gets it until the timeout has passed since the hand-out; then it comes again (I-36, I-42)."""
    queue, plan_id = QueueClient(target.channel()), target.fresh("plan")
    message_id = await _publish(queue, plan_id, b"one")
    first = await _only(queue, plan_id, visibility_timeout_s=2)
    await target.advance(1)
    assert await _consume(QueueClient(target.channel(Role.EXECUTOR)), plan_id) == []
    await target.advance(1.1)
    again = await _only(queue, plan_id)
    assert (again.message_id, again.body, again.receive_count) == (message_id, b"one", 2)
    assert (first.message_id, first.receive_count) == (message_id, 1)
    assert again.publish_time == first.publish_time


@case()
async def the_receive_count_grows_by_one(target: Target) -> None:
    """Each delivery says how often the message was handed out, whatever ended the one before (I-42)."""
    queue, plan_id = QueueClient(target.channel()), target.fresh("plan")
    await _publish(queue, plan_id)
    for count in range(1, 6):
        message = await _only(queue, plan_id, visibility_timeout_s=1)
        assert message.receive_count == count
        if count % 2:
            await queue.nack(plan_id=plan_id, topic=_TOPIC, receipt_handle=message.receipt_handle)
        else:
            await target.advance(1.1)


@case()
async def an_acknowledged_message_is_gone_for_good(target: Target) -> None:
    """After an ack with the current handle it is never delivered again; a second ack finds it gone (I-37)."""
    queue, plan_id = QueueClient(target.channel()), target.fresh("plan")
    await _publish(queue, plan_id)
    message = await _only(queue, plan_id, visibility_timeout_s=1)
    await _ack(queue, plan_id, message)
    await target.advance(1.1)
    assert await _consume(queue, plan_id) == []
    for answer in await _settled(queue, plan_id, message):
        refused(answer, NotFound, "MESSAGE_UNKNOWN")
    assert await _consume(queue, plan_id) == []


@case()
async def a_superseded_handle_never_touches_the_newer_delivery(target: Target) -> None:
    """Its ack, nack and extend are `NotReady RECEIPT_SUPERSEDED`; the newer delivery stays as it is (I-38)."""
    queue, plan_id = QueueClient(target.channel()), target.fresh("plan")
    await _publish(queue, plan_id)
    old = await _only(queue, plan_id, visibility_timeout_s=1)
    await target.advance(1.1)
    new = await _only(queue, plan_id, visibility_timeout_s=2)
    for answer in await _settled(queue, plan_id, old):
        refused(answer, NotReady, "RECEIPT_SUPERSEDED")
    await target.advance(1)
    assert await _consume(queue, plan_id) == []
    await _ack(queue, plan_id, new)
    await target.advance(1.1)
    assert await _consume(queue, plan_id) == []


@case()
async def a_late_ack_counts_until_the_next_delivery(target: Target) -> None:
    """A delivery whose timeout has passed is still the newest one, and may be settled (I-37, I-38)."""
    queue, plan_id = QueueClient(target.channel()), target.fresh("plan")
    await queue.publish_many(plan_id, _TOPIC, [QueuePublish(b"acked"), QueuePublish(b"extended")])
    by_body = {each.body: each for each in await _consume(queue, plan_id, 2, visibility_timeout_s=1)}
    await target.advance(1.1)
    await _ack(queue, plan_id, by_body[b"acked"])
    await _extend(queue, plan_id, by_body[b"extended"], 60)
    assert await _consume(queue, plan_id, 2) == []


@case()
async def a_message_given_back_comes_again(target: Target) -> None:
    """Without a delay at once, with one after it and not before (I-39)."""
    queue, plan_id = QueueClient(target.channel()), target.fresh("plan")
    await _publish(queue, plan_id)
    first = await _only(queue, plan_id)
    await queue.nack(plan_id=plan_id, topic=_TOPIC, receipt_handle=first.receipt_handle)
    second = await _only(queue, plan_id)
    await queue.nack(plan_id=plan_id, topic=_TOPIC, receipt_handle=second.receipt_handle, delay_s=2)
    await target.advance(1)
    assert await _consume(queue, plan_id) == []
    await target.advance(1.1)
    assert (await _only(queue, plan_id)).receive_count == 3


@case()
async def a_delayed_message_is_not_early(target: Target) -> None:
    """It becomes visible after its delay; one without a delay does not wait for it (I-39)."""
    queue, plan_id = QueueClient(target.channel()), target.fresh("plan")
    await queue.publish(plan_id=plan_id, topic=_TOPIC, body=b"later", delay_s=2)
    await queue.publish(plan_id=plan_id, topic=_TOPIC, body=b"now")
    assert [each.body for each in await _consume(queue, plan_id, 30)] == [b"now"]
    await target.advance(1)
    assert await _consume(queue, plan_id, 30) == []
    await target.advance(1.1)
    assert [each.body for each in await _consume(queue, plan_id, 30)] == [b"later"]


@case()
async def an_extension_counts_from_now(target: Target) -> None:
    """It makes the time longer or shorter, whatever was left of it (I-36)."""
    queue, plan_id = QueueClient(target.channel()), target.fresh("plan")
    await queue.publish_many(plan_id, _TOPIC, [QueuePublish(b"longer"), QueuePublish(b"shorter")])
    by_body = {each.body: each for each in await _consume(queue, plan_id, 2, visibility_timeout_s=2)}
    await _extend(queue, plan_id, by_body[b"longer"], 60)
    await _extend(queue, plan_id, by_body[b"shorter"], 1)
    await target.advance(1.1)
    assert [each.body for each in await _consume(queue, plan_id, 2)] == [b"shorter"]
    await target.advance(1)
    assert await _consume(queue, plan_id, 2) == []


@case()
async def an_idempotency_key_publishes_once(target: Target) -> None:
    """A known key adds nothing and answers with the first id: within a batch, later, and beyond an ack (I-40)."""
    queue, plan_id = QueueClient(target.channel()), target.fresh("plan")
    batch = [QueuePublish(b"1", "k"), QueuePublish(b"2", "k"), QueuePublish(b"3"), QueuePublish(b"4", "other")]
    first, twin, plain, other = map(_published, await queue.publish_many(plan_id, _TOPIC, batch))
    assert (first.duplicate, twin, plain.duplicate, other.duplicate) == (
        False,
        Published(first.message_id, True),
        False,
        False,
    )
    again = await queue.publish_many(plan_id, _TOPIC, [QueuePublish(b"5", "k", delay_s=9)])
    assert again == [Published(first.message_id, duplicate=True)]
    messages = await _consume(queue, plan_id, 30)
    assert sorted(each.body for each in messages) == [b"1", b"3", b"4"]
    assert await queue.ack_many(plan_id, _TOPIC, [each.receipt_handle for each in messages]) == [None] * 3
    assert await _publish(queue, plan_id, b"6", "k") == first.message_id
    assert await _consume(queue, plan_id) == []


@case()
async def an_idempotency_key_is_of_its_topic(target: Target) -> None:
    """The same key in another topic or plan is another key (I-40, I-33)."""
    queue, one, two = QueueClient(target.channel()), target.fresh("plan"), target.fresh("plan")
    places = [(one, "a"), (one, "b"), (two, "a")]
    published = [await queue.publish_many(*place, [QueuePublish(b"", "k")]) for place in places]
    assert [_published(answer).duplicate for answered in published for answer in answered] == [False] * 3


@case("CLOCK")
async def an_idempotency_key_is_known_for_ten_minutes(target: Target) -> None:
    """Ten minutes after its first publish the key may be used again, whatever came in between (I-40)."""
    queue, plan_id = QueueClient(target.channel()), target.fresh("plan")
    first = await _publish(queue, plan_id, b"", "k")
    await target.advance(599)
    assert await _publish(queue, plan_id, b"", "k") == first
    await target.advance(1)
    assert await _publish(queue, plan_id, b"", "k") != first
    assert len(await _consume(queue, plan_id, 30)) == 2


@case()
async def publishes_at_once_with_one_key_make_one_message(target: Target) -> None:
    """Concurrent publishes with one idempotency key all get one id (I-40)."""
    queue, plan_id = QueueClient(target.channel()), target.fresh("plan")
    answers = await asyncio.gather(*(queue.publish_many(plan_id, _TOPIC, [QueuePublish(b"", "k")]) for _ in range(10)))
    published = [_published(answer) for answered in answers for answer in answered]
    assert len({each.message_id for each in published}) == 1
    assert sum(not each.duplicate for each in published) == 1
    assert len(await _consume(queue, plan_id, 30)) == 1


@case()
async def consumers_at_once_share_no_message(target: Target) -> None:
    """A message is handed to one of many concurrent consumers (I-36)."""
    queue, plan_id, count = QueueClient(target.channel()), target.fresh("plan"), 60
    await queue.publish_many(plan_id, _TOPIC, [QueuePublish(str(idx).encode()) for idx in range(count)])
    consumers = [QueueClient(target.channel(role)) for role in (Role.CLIENT, Role.EXECUTOR)] * 6
    taken = await asyncio.gather(*(_consume(consumer, plan_id, 7) for consumer in consumers))
    bodies = [each.body for messages in taken for each in messages]
    assert sorted(bodies) == sorted(str(idx).encode() for idx in range(count))


@case()
async def topics_and_plans_are_apart(target: Target) -> None:
    """A message is delivered in the plan and topic it was published to, and nowhere else (I-33)."""
    queue, one, two = QueueClient(target.channel()), target.fresh("plan"), target.fresh("plan")
    await queue.publish(plan_id=one, topic="a", body=b"1")
    assert await queue.consume(plan_id=two, topic="a", max_messages=30) == []
    assert await queue.consume(plan_id=one, topic="A", max_messages=30) == []
    assert [each.body for each in await queue.consume(plan_id=one, topic="a", max_messages=30)] == [b"1"]


@case()
async def a_handle_is_of_its_plan_and_topic(target: Target) -> None:
    """Anywhere else, or changed by a character, it is `Invalid RECEIPT_INVALID`; the delivery stays (I-33, I-38)."""
    queue, plan_id, other = QueueClient(target.channel()), target.fresh("plan"), target.fresh("plan")
    await _publish(queue, plan_id)
    await queue.publish(plan_id=other, topic=_TOPIC, body=b"")
    message = await _only(queue, plan_id)
    handle = message.receipt_handle
    flipped = [handle[:idx] + ("0" if handle[idx] != "0" else "1") + handle[idx + 1 :] for idx in range(len(handle))]
    forged = [
        *flipped,
        handle + "0",
        handle[:-1],
        "",
        ".",
        ":",
        "a:1",
        message.message_id,
        "\u00e9",
        "\x00",
        "9" * 5_000,
    ]
    for place, handles in (((other, _TOPIC), [handle]), ((plan_id, "other"), [handle]), ((plan_id, _TOPIC), forged)):
        for answer in await queue.ack_many(*place, handles):
            refused(answer, Invalid, "RECEIPT_INVALID")
        for answer in await queue.nack_many(*place, [QueueNack(each) for each in handles]):
            refused(answer, Invalid, "RECEIPT_INVALID")
        for answer in await queue.extend_many(*place, [QueueExtend(each, 1) for each in handles]):
            refused(answer, Invalid, "RECEIPT_INVALID")
    await _ack(queue, plan_id, message)


@case()
async def ending_a_plan_drops_its_topics_alone(target: Target) -> None:
    """Messages, deliveries and idempotency keys of the plan are gone, those of another stay (I-34)."""
    queue, executor = QueueClient(target.channel()), QueueClient(target.channel(Role.EXECUTOR))
    ended, other = target.fresh("plan"), target.fresh("plan")
    ids = {}
    for plan_id in (ended, other):
        await queue.publish(plan_id=plan_id, topic="b", body=b"b")
        ids[plan_id] = await _publish(queue, plan_id, b"a", "k")
    delivered = await _only(queue, ended)
    await executor.end_plan(ended)
    await executor.end_plan(ended)
    for answer in await _settled(queue, ended, delivered):
        refused(answer, NotFound, "MESSAGE_UNKNOWN")
    assert await queue.consume(plan_id=ended, topic="b", max_messages=30) == []
    assert await _publish(queue, ended, b"new", "k") != ids[ended]
    assert [each.body for each in await _consume(queue, ended, 30)] == [b"new"]
    assert await _publish(queue, other, b"", "k") == ids[other]
    assert [each.body for each in await queue.consume(plan_id=other, topic="b", max_messages=30)] == [b"b"]


@case()
async def only_the_executor_ends_a_plan(target: Target) -> None:
    """Everyone else is `Denied ROLE_DENIED`, and the messages stay (I-84)."""
    plan_id = target.fresh("plan")
    await _publish(QueueClient(target.channel()), plan_id)
    for role in set(Role) - {Role.EXECUTOR}:
        await refusal(QueueClient(target.channel(role)).end_plan(plan_id), Denied, "ROLE_DENIED")
    assert len(await _consume(QueueClient(target.channel()), plan_id)) == 1


@case()
async def items_of_a_batch_are_settled_in_order(target: Target) -> None:
    """The second ack of one handle in a batch finds the message gone; no item stops another (I-86)."""
    queue, plan_id = QueueClient(target.channel()), target.fresh("plan")
    await queue.publish_many(plan_id, _TOPIC, [QueuePublish(b"1"), QueuePublish(b"2")])
    one, two = (each.receipt_handle for each in await _consume(queue, plan_id, 2))
    answers = await queue.ack_many(plan_id, _TOPIC, [one, "nonsense", one, two])
    assert (answers[0], answers[3]) == (None, None)
    refused(answers[1], Invalid, "RECEIPT_INVALID")
    refused(answers[2], NotFound, "MESSAGE_UNKNOWN")


@case()
async def a_consume_gives_no_more_than_asked_for(target: Target) -> None:
    """At most `max_messages`, 1 where it is 0; less than 0 or more than 30 is `Invalid` (I-89)."""
    queue, stub, plan_id = QueueClient(target.channel()), QueueServiceStub(target.channel()), target.fresh("plan")
    await queue.publish_many(plan_id, _TOPIC, [QueuePublish(b"")] * 40)
    for count in (-1, 31, 1 << 30):
        request = queue_pb2.ConsumeRequest(plan_id=plan_id, topic=_TOPIC, max_messages=count)
        error = await refusal(call(stub.Consume, request), Invalid, "MAX_MESSAGES_INVALID")
        assert error.metadata == {"min": "1", "max": "30"}
    answered = await call(stub.Consume, queue_pb2.ConsumeRequest(plan_id=plan_id, topic=_TOPIC))
    assert len(answered.messages) == 1
    assert [len(await _consume(queue, plan_id, count)) for count in (3, 30, 30)] == [3, 30, 6]


@case()
async def a_reply_never_outgrows_a_message(target: Target) -> None:
    """Bodies of one consume weigh at most 6 MiB together; what does not fit stays visible (I-89)."""
    queue, plan_id = QueueClient(target.channel()), target.fresh("plan")
    body = b"x" * _LARGEST
    published = await queue.publish_many(plan_id, _TOPIC, [QueuePublish(body)] * 27 + [QueuePublish(b"small")])
    counts = [len(await _consume(queue, plan_id, 30, visibility_timeout_s=4)) for _ in range(3)]
    assert (sum(counts), counts[2]) == (len(published), 0)
    assert 0 < counts[0] <= 24 + 1
    await target.advance(4.1)
    assert len(await _consume(queue, plan_id, 30)) == counts[0]


@case()
async def bodies_delays_and_keys_have_limits(target: Target) -> None:
    """The largest of each is accepted, one more is `Invalid`, names the limit and stops no other (I-86, I-89)."""
    queue, plan_id = QueueClient(target.channel()), target.fresh("plan")
    sound = [QueuePublish(b"x" * _LARGEST, "k" * 128, _LONGEST_S), QueuePublish(b"1", "!~ ")]
    bad = [
        (QueuePublish(b"x" * (_LARGEST + 1)), "BODY_TOO_LARGE", {"max_bytes": str(_LARGEST)}),
        (QueuePublish(b"", delay_s=-1), "DELAY_INVALID", {"min": "0", "max": str(_LONGEST_S)}),
        (QueuePublish(b"", delay_s=_LONGEST_S + 1), "DELAY_INVALID", {"min": "0", "max": str(_LONGEST_S)}),
        *(
            (QueuePublish(b"", key), "IDEMPOTENCY_KEY_INVALID", {})
            for key in ("k" * 129, "\u00e9", "a\nb", "\x00", "\x7f")
        ),
    ]
    answers = await queue.publish_many(plan_id, _TOPIC, [sound[0], *(item for item, _, _ in bad), sound[1]])
    assert not _published(answers[0]).duplicate
    assert not _published(answers[-1]).duplicate
    for answer, (_, reason, metadata) in zip(answers[1:-1], bad, strict=True):
        assert refused(answer, Invalid, reason).metadata == metadata
    assert [each.body for each in await _consume(queue, plan_id, 30)] == [b"1"]


@case()
async def timeouts_and_delays_of_deliveries_have_limits(target: Target) -> None:
    """1 to 43,200 seconds hidden, 0 to 43,200 delayed; anything else is `Invalid` and changes nothing (I-89)."""
    queue, plan_id = QueueClient(target.channel()), target.fresh("plan")
    await _publish(queue, plan_id)
    bounds = {"min": "1", "max": str(_LONGEST_S)}
    for timeout_s in (0, -1, _LONGEST_S + 1, 1 << 40):
        asked = _consume(queue, plan_id, visibility_timeout_s=timeout_s)
        assert (await refusal(asked, Invalid, "VISIBILITY_INVALID")).metadata == bounds
    message = await _only(queue, plan_id, visibility_timeout_s=_LONGEST_S)
    extends = [QueueExtend(message.receipt_handle, timeout_s) for timeout_s in (0, -1, _LONGEST_S + 1, 1 << 40)]
    for answer in await queue.extend_many(plan_id, _TOPIC, extends):
        assert refused(answer, Invalid, "VISIBILITY_INVALID").metadata == bounds
    nacks = [QueueNack(message.receipt_handle, delay_s) for delay_s in (-1, _LONGEST_S + 1, 1 << 40)]
    for answer in await queue.nack_many(plan_id, _TOPIC, nacks):
        assert refused(answer, Invalid, "DELAY_INVALID").metadata == {"min": "0", "max": str(_LONGEST_S)}
    assert await _consume(queue, plan_id) == []
    assert await queue.nack_many(plan_id, _TOPIC, [QueueNack(message.receipt_handle, _LONGEST_S)]) == [None]


@case()
async def names_are_checked(target: Target) -> None:
    """A malformed topic is `Invalid TOPIC_INVALID`, a malformed plan id `Invalid ID_INVALID` (I-89)."""
    queue, plan_id = QueueClient(target.channel()), target.fresh("plan")
    for topic in ("", "a b", "a/b", "a\x00", "a\n", "\u00e9", "t" * 129, "\ud800", "*"):
        for asked in _each_method(queue, plan_id, topic):
            await refusal(asked, Invalid, "TOPIC_INVALID")
    for bad in ("", "-a", "A", "a.b", "a\x00", "a" * 65, "\u00e9", "\ud800"):
        for asked in _each_method(queue, bad, _TOPIC):
            assert (await refusal(asked, Invalid, "ID_INVALID")).metadata["field"] == "plan_id"
    for topic in ("a", "Z-9._", "..", "t" * 128):
        await queue.publish(plan_id=plan_id, topic=topic, body=topic.encode())
        assert [each.body for each in await queue.consume(plan_id=plan_id, topic=topic)] == [topic.encode()]


@case()
async def a_batch_has_one_to_a_hundred_items(target: Target) -> None:
    """An empty batch and one of 101 are `Invalid BATCH_SIZE`; one of 100 is served (I-89)."""
    stub, plan_id = QueueServiceStub(target.channel()), target.fresh("plan")
    for count in (0, 101):
        publish = queue_pb2.PublishRequest(plan_id=plan_id, topic=_TOPIC)
        nack, extend = (
            queue_pb2.NackRequest(plan_id=plan_id, topic=_TOPIC),
            queue_pb2.ExtendRequest(plan_id=plan_id, topic=_TOPIC),
        )
        for _ in range(count):
            publish.items.add()
            nack.items.add()
            extend.items.add()
        ack = queue_pb2.AckRequest(plan_id=plan_id, topic=_TOPIC, receipt_handles=["a"] * count)
        for asked in (
            call(stub.Publish, publish),
            call(stub.Ack, ack),
            call(stub.Nack, nack),
            call(stub.Extend, extend),
        ):
            assert (await refusal(asked, Invalid, "BATCH_SIZE")).metadata == {"max": "100"}
    queue = QueueClient(target.channel())
    published = map(_published, await queue.publish_many(plan_id, _TOPIC, [QueuePublish(b"")] * 100))
    assert len({each.message_id for each in published}) == 100


@case()
async def single_calls_of_one_turn_are_served_each(target: Target) -> None:
    """Single publishes, acks, nacks and extensions made at once all count, each with its own answer (I-86)."""
    queue, plan_id = QueueClient(target.channel()), target.fresh("plan")
    bodies = [str(idx).encode() for idx in range(30)]
    ids = await asyncio.gather(*(queue.publish(plan_id=plan_id, topic=_TOPIC, body=body) for body in bodies))
    messages = await _consume(queue, plan_id, 30)
    assert {each.message_id: each.body for each in messages} == dict(zip(ids, bodies, strict=True))
    handles = [*(each.receipt_handle for each in messages), "nonsense"]
    answers = await asyncio.gather(
        *(queue.ack(plan_id=plan_id, topic=_TOPIC, receipt_handle=handle) for handle in handles), return_exceptions=True
    )
    assert answers[:-1] == [None] * 30
    refused(answers[-1], Invalid, "RECEIPT_INVALID")


@case()
async def the_store_says_what_it_is(target: Target) -> None:
    """Capabilities name the adapter's kind, its durability and the limits that hold."""
    told = await QueueClient(target.channel()).capabilities()
    assert told.adapter.isidentifier()
    assert (told.max_body_bytes, told.max_visibility_s, told.max_messages) == (_LARGEST, _LONGEST_S, 30)


async def _publish(queue: QueueClient, plan_id: str, body: bytes = b"", key: str | None = None) -> str:
    return await queue.publish(plan_id=plan_id, topic=_TOPIC, body=body, idempotency_key=key)


async def _consume(
    queue: QueueClient, plan_id: str, max_messages: int = 1, *, visibility_timeout_s: int = 30
) -> list[Message]:
    return await queue.consume(
        plan_id=plan_id, topic=_TOPIC, max_messages=max_messages, visibility_timeout_s=visibility_timeout_s
    )


async def _only(queue: QueueClient, plan_id: str, *, visibility_timeout_s: int = 30) -> Message:
    [message] = await _consume(queue, plan_id, visibility_timeout_s=visibility_timeout_s)
    return message


async def _ack(queue: QueueClient, plan_id: str, message: Message) -> None:
    await queue.ack(plan_id=plan_id, topic=_TOPIC, receipt_handle=message.receipt_handle)


async def _extend(queue: QueueClient, plan_id: str, message: Message, timeout_s: int) -> None:
    await queue.extend(
        plan_id=plan_id, topic=_TOPIC, receipt_handle=message.receipt_handle, visibility_timeout_s=timeout_s
    )


async def _settled(queue: QueueClient, plan_id: str, message: Message) -> list[TheoryError | None]:
    """What every way to settle a delivery answers, one after the other."""
    handle = message.receipt_handle
    return [
        *await queue.extend_many(plan_id, _TOPIC, [QueueExtend(handle, 1)]),
        *await queue.nack_many(plan_id, _TOPIC, [QueueNack(handle)]),
        *await queue.ack_many(plan_id, _TOPIC, [handle]),
    ]


def _each_method(queue: QueueClient, plan_id: str, topic: str) -> Iterable[Awaitable[object]]:
    return (
        queue.publish_many(plan_id, topic, [QueuePublish(b"")]),
        queue.consume(plan_id=plan_id, topic=topic),
        queue.ack_many(plan_id, topic, ["a"]),
        queue.nack_many(plan_id, topic, [QueueNack("a")]),
        queue.extend_many(plan_id, topic, [QueueExtend("a", 1)]),
    )


def _published(answer: Published | TheoryError) -> Published:
    if isinstance(answer, TheoryError):
        raise answer
    return answer
