"""What every store of messages promises of deliveries, over the wire."""

import asyncio
from typing import Any

from theory.core.adapters import QueuePublish
from theory.core.errors import Invalid, NotFound
from theory.sdk.queue import QueueClient
from theory.testing.case import Target, case
from theory.testing.cases.queue_topic import LARGEST_BYTES, LONGEST_S, Topic
from theory.testing.refusals import refused
from theory.wire.identity import Role


@case()
async def a_published_message_is_delivered(target: Target) -> None:
    """It arrives as it was published, with its id, the time, and a receive count of 1 (I-35, I-42)."""
    topic, bodies = Topic(target), (b"", b"\x00\xff one", bytes(range(256)), "\u65e5\u672c <&>".encode())
    ids = [await topic.publish(body) for body in bodies]
    messages = await topic.taken(len(bodies))
    assert {each.message_id: each.body for each in messages} == dict(zip(ids, bodies, strict=True))
    assert {each.receive_count for each in messages} == {1}
    await target.advance(1.1)
    await topic.publish(b"two")
    later = await topic.only()
    assert 1 <= (later.publish_time - messages[0].publish_time).total_seconds() < 30


@case()
async def an_empty_topic_gives_nothing_at_once(target: Target) -> None:
    """A topic that nobody published to, or that is drained, answers without messages (I-35)."""
    topic = Topic(target)
    assert await topic.is_empty()
    assert await topic.is_empty(dead_letters=True)
    await topic.publish()
    await topic.ack(await topic.only())
    assert await topic.is_empty()


@case()
async def a_delivered_message_is_hidden_for_its_timeout(target: Target) -> None:
    """Nobody else gets it until the timeout has passed since the hand-out; then it comes again (I-36, I-42)."""
    topic = Topic(target)
    message_id = await topic.publish(b"one")
    first = await topic.only(visibility_timeout_s=3)
    await target.advance(1)
    assert await topic.beside(role=Role.EXECUTOR).is_empty()
    await target.advance(2.1)
    again = await topic.only()
    assert (again.message_id, again.body, again.receive_count) == (message_id, b"one", 2)
    assert (first.message_id, first.receive_count) == (message_id, 1)
    assert again.publish_time == first.publish_time


@case()
async def the_receive_count_grows_by_one(target: Target) -> None:
    """Each delivery says how often the message was handed out, whatever ended the one before (I-42)."""
    topic = Topic(target)
    await topic.publish()
    for count in range(1, 6):
        message = await topic.only(visibility_timeout_s=1)
        assert message.receive_count == count
        if count % 2:
            await topic.nack(message)
        else:
            await target.advance(1.1)


@case()
async def an_acknowledged_message_is_gone_for_good(target: Target) -> None:
    """After an ack with the current handle it is never delivered again (I-37)."""
    topic = Topic(target)
    await topic.publish()
    await topic.ack(await topic.only(visibility_timeout_s=1))
    await target.advance(1.1)
    assert await topic.is_empty()


@case()
async def a_late_ack_counts_until_the_next_delivery(target: Target) -> None:
    """A delivery whose timeout has passed is still the newest one, and may be acknowledged (I-37, I-38)."""
    topic = Topic(target)
    await topic.publish()
    late = await topic.only(visibility_timeout_s=1)
    await target.advance(1.1)
    await topic.ack(late)
    assert await topic.is_empty()


@case()
async def a_message_given_back_comes_again(target: Target) -> None:
    """Without a delay at once, with one after it and not before (I-39)."""
    topic = Topic(target)
    await topic.publish()
    await topic.nack(await topic.only())
    await topic.nack(await topic.only(), delay_s=3)
    await target.advance(1)
    assert await topic.is_empty()
    await target.advance(2.1)
    assert (await topic.only()).receive_count == 3


@case()
async def a_delayed_message_is_not_early(target: Target) -> None:
    """It becomes visible after its delay; one without a delay does not wait for it (I-39)."""
    topic = Topic(target)
    await topic.publish(b"later", delay_s=3)
    await topic.publish(b"now")
    assert (await topic.only()).body == b"now"
    await target.advance(1)
    assert await topic.is_empty()
    await target.advance(2.1)
    assert (await topic.only()).body == b"later"


@case()
async def an_extension_counts_from_now(target: Target) -> None:
    """It makes the time longer or shorter, whatever was left of it (I-36)."""
    topic = Topic(target)
    await topic.publish_all(b"longer", b"shorter")
    by_body = {each.body: each for each in await topic.taken(2, visibility_timeout_s=2)}
    await topic.extend(by_body[b"longer"], 60)
    await topic.extend(by_body[b"shorter"], 1)
    await target.advance(1.1)
    assert (await topic.only()).body == b"shorter"
    await target.advance(1.1)
    assert await topic.is_empty()


@case()
async def consumers_at_once_share_no_message(target: Target) -> None:
    """A message is handed to one of many concurrent consumers (I-36)."""
    topic, bodies = Topic(target), [str(idx).encode() for idx in range(60)]
    await topic.publish_all(*bodies)
    consumers = [topic.beside(role=role) for role in (Role.CLIENT, Role.EXECUTOR)] * 6
    taken = await asyncio.gather(*(each.consume(7) for each in consumers))
    seen = [message.body for messages in taken for message in messages]
    assert len(set(seen)) == len(seen)
    left = await topic.taken(len(bodies) - len(seen)) if len(seen) < len(bodies) else []
    assert sorted([*seen, *(each.body for each in left)]) == sorted(bodies)


@case()
async def topics_and_plans_are_apart(target: Target) -> None:
    """A message is delivered in the plan and topic it was published to, and nowhere else (I-33)."""
    topic = Topic(target, name="a")
    await topic.publish(b"1")
    for other in (topic.elsewhere(), topic.beside(name="A"), topic.beside(name="a.b"), topic.beside(name="a-")):
        assert await other.is_empty()
    assert (await topic.only()).body == b"1"


@case()
async def items_of_a_batch_are_settled_in_order(target: Target) -> None:
    """The second ack of one handle in a batch finds the message gone; no item stops another (I-86)."""
    topic = Topic(target)
    await topic.publish_all(b"1", b"2")
    one, two = (each.receipt_handle for each in await topic.taken(2))
    answers = await topic.queue.ack_many(topic.plan_id, topic.name, [one, "nonsense", one, two])
    assert (answers[0], answers[3]) == (None, None)
    refused(answers[1], Invalid, "RECEIPT_INVALID")
    refused(answers[2], NotFound, "MESSAGE_UNKNOWN")


@case()
async def single_calls_of_one_turn_are_served_each(target: Target) -> None:
    """Single publishes and acks made at once all count, each with its own answer (I-86)."""
    topic, bodies = Topic(target), [str(idx).encode() for idx in range(30)]
    queue = topic.queue
    place: dict[str, Any] = {"plan_id": topic.plan_id, "topic": topic.name}
    ids = await asyncio.gather(*(queue.publish(**place, body=body) for body in bodies))
    messages = await topic.taken(len(bodies))
    assert {each.message_id: each.body for each in messages} == dict(zip(ids, bodies, strict=True))
    handles = [*(each.receipt_handle for each in messages), "nonsense"]
    acks = [queue.ack(**place, receipt_handle=handle) for handle in handles]
    answers = await asyncio.gather(*acks, return_exceptions=True)
    assert answers[:-1] == [None] * len(bodies)
    refused(answers[-1], Invalid, "RECEIPT_INVALID")


@case()
async def a_reply_never_outgrows_a_message(target: Target) -> None:
    """Bodies of one consume weigh at most 6 MiB together; what does not fit stays visible (I-89)."""
    topic, body = Topic(target), b"x" * LARGEST_BYTES
    items = [QueuePublish(body)] * 27 + [QueuePublish(b"small")]
    await topic.queue.publish_many(topic.plan_id, topic.name, items)
    first = await topic.consume(30)
    assert 0 < sum(len(each.body) for each in first) <= 6 << 20
    rest = await topic.taken(len(items) - len(first))
    assert len({each.message_id for each in [*first, *rest]}) == len(items)


@case()
async def the_store_says_what_it_is(target: Target) -> None:
    """Capabilities name the adapter's kind, its durability and the limits that hold (I-89)."""
    told = await QueueClient(target.channel()).capabilities()
    assert told.adapter.isidentifier()
    assert (told.max_body_bytes, told.max_visibility_s, told.max_messages) == (LARGEST_BYTES, LONGEST_S, 30)
    assert told.max_wait_s == 20
    assert told.redelivery_slack_s >= 0
    assert min(told.max_plan_topics, told.max_plan_messages, told.max_plan_bytes) > 0
