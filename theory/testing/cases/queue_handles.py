"""What every store of messages promises of handles and idempotency keys, over the wire."""

import asyncio

from theory.core.adapters import Published, QueueExtend, QueueNack, QueuePublish
from theory.core.errors import Invalid, NotFound, NotReady
from theory.testing.case import Target, case
from theory.testing.cases.queue_topic import Topic, published
from theory.testing.refusals import refused


@case()
async def a_superseded_handle_never_touches_the_newer_delivery(target: Target) -> None:
    """Whatever its ack, nack and extend answer, the newer delivery stays as it is (I-38)."""
    topic = Topic(target)
    await topic.publish()
    old = await topic.only(visibility_timeout_s=1)
    await target.advance(1.1)
    new = await topic.only(visibility_timeout_s=30)
    await topic.settled(old.receipt_handle)
    await target.advance(1.1)
    assert await topic.is_empty()
    await topic.nack(new)
    again = await topic.only()
    assert (again.message_id, again.receive_count) == (new.message_id, 3)


@case("FENCED_HANDLES")
async def a_superseded_handle_is_refused(target: Target) -> None:
    """Its ack, nack and extend are `NotReady RECEIPT_SUPERSEDED` (I-38)."""
    topic = Topic(target)
    await topic.publish()
    old = await topic.only(visibility_timeout_s=1)
    await target.advance(1.1)
    new = await topic.only()
    for answer in await topic.settled(old.receipt_handle):
        refused(answer, NotReady, "RECEIPT_SUPERSEDED")
    await topic.ack(new)


@case("FENCED_HANDLES")
async def the_handle_of_a_message_that_is_gone_is_refused(target: Target) -> None:
    """A second ack, and a nack or extend after an ack, are `NotFound MESSAGE_UNKNOWN` (I-37)."""
    topic = Topic(target)
    await topic.publish()
    message = await topic.only()
    await topic.ack(message)
    for answer in await topic.settled(message.receipt_handle):
        refused(answer, NotFound, "MESSAGE_UNKNOWN")
    assert await topic.is_empty()


@case("FENCED_HANDLES")
async def a_late_delivery_may_be_settled_in_every_way(target: Target) -> None:
    """Until it is handed out again a message obeys the handle of its last delivery (I-36, I-38)."""
    topic = Topic(target)
    await topic.publish_all(b"extended", b"given back")
    by_body = {each.body: each for each in await topic.taken(2, visibility_timeout_s=1)}
    await target.advance(1.1)
    await topic.extend(by_body[b"extended"], 60)
    await topic.nack(by_body[b"given back"], delay_s=60)
    assert await topic.is_empty()
    await topic.nack(by_body[b"given back"])
    assert (await topic.only()).body == b"given back"


@case()
async def a_handle_is_of_its_plan_and_topic(target: Target) -> None:
    """Anywhere else, or changed by a character, it is `Invalid RECEIPT_INVALID`; the delivery stays (I-33, I-38)."""
    topic = Topic(target)
    await topic.publish()
    other = topic.elsewhere()
    await other.publish()
    message = await topic.only()
    handle = message.receipt_handle
    flipped = [handle[:idx] + ("0" if handle[idx] != "0" else "1") + handle[idx + 1 :] for idx in range(len(handle))]
    odd = ["", ".", ":", "a:1", message.message_id, "dead!" + handle, "\u00e9", "\x00", "\ud800", "9" * 5_000]
    forged = [*flipped, handle + "0", handle[:-1], handle.upper(), *odd]
    wrong = [each for each in forged if each != handle]
    for place, handles in ((other, [handle]), (topic.beside(name="other"), [handle]), (topic, wrong)):
        where = place.plan_id, place.name
        for answer in [
            *await place.queue.ack_many(*where, handles),
            *await place.queue.nack_many(*where, [QueueNack(each) for each in handles]),
            *await place.queue.extend_many(*where, [QueueExtend(each, 1) for each in handles]),
            *await place.queue.redrive_many(*where, handles),
        ]:
            refused(answer, Invalid, "RECEIPT_INVALID")
    await topic.ack(message)


@case("IDEMPOTENCY_KEYS")
async def an_idempotency_key_publishes_once(target: Target) -> None:
    """A known key adds nothing and answers with the first id: within a batch, later, and beyond an ack (I-40)."""
    topic = Topic(target)
    place = topic.plan_id, topic.name
    batch = [QueuePublish(b"1", "k"), QueuePublish(b"2", "k"), QueuePublish(b"3"), QueuePublish(b"4", "other")]
    first, twin, plain, other = map(published, await topic.queue.publish_many(*place, batch))
    assert (first.duplicate, twin, plain.duplicate, other.duplicate) == (
        False,
        Published(first.message_id, True),
        False,
        False,
    )
    again = await topic.queue.publish_many(*place, [QueuePublish(b"5", "k", delay_s=9)])
    assert again == [Published(first.message_id, duplicate=True)]
    messages = await topic.taken(3)
    assert sorted(each.body for each in messages) == [b"1", b"3", b"4"]
    assert await topic.queue.ack_many(*place, [each.receipt_handle for each in messages]) == [None] * 3
    assert await topic.publish(b"6", "k") == first.message_id
    assert await topic.is_empty()


@case("IDEMPOTENCY_KEYS")
async def an_idempotency_key_is_of_its_topic(target: Target) -> None:
    """The same key in another topic or plan is another key (I-40, I-33)."""
    topic = Topic(target)
    for each in (topic, topic.beside(name="other"), topic.elsewhere()):
        [answer] = await each.queue.publish_many(each.plan_id, each.name, [QueuePublish(b"", "k")])
        assert not published(answer).duplicate


@case("CLOCK", "IDEMPOTENCY_KEYS")
async def an_idempotency_key_is_known_for_ten_minutes(target: Target) -> None:
    """Ten minutes after its first publish the key may be used again, whatever came in between (I-40)."""
    topic = Topic(target)
    first = await topic.publish(b"", "k")
    await target.advance(599)
    assert await topic.publish(b"", "k") == first
    await target.advance(1)
    assert await topic.publish(b"", "k") != first
    assert len(await topic.taken(2)) == 2


@case("IDEMPOTENCY_KEYS")
async def publishes_at_once_with_one_key_make_one_message(target: Target) -> None:
    """Concurrent publishes with one idempotency key all get one id (I-40)."""
    topic, item = Topic(target), [QueuePublish(b"", "k")]
    answers = await asyncio.gather(*(topic.queue.publish_many(topic.plan_id, topic.name, item) for _ in range(10)))
    answered = [published(answer) for [answer] in answers]
    assert len({each.message_id for each in answered}) == 1
    assert sum(not each.duplicate for each in answered) == 1
    await topic.only()
    assert await topic.is_empty()
