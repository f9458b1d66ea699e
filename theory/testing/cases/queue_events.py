"""What every store of messages tells a plan's chain, over the wire."""

import asyncio

from theory.core.adapters import QueueNack, QueuePublish
from theory.core.chain import Event
from theory.core.jcs import JSON
from theory.sdk.queue import QueueClient
from theory.testing.case import Target, case
from theory.testing.cases.queue_topic import Topic, end
from theory.testing.cases.scratch_chain import require_ids, require_silence, told
from theory.wire.identity import Role

_BODY = b"canary in a body"


@case("LEDGER")
async def a_publish_is_told(target: Target) -> None:
    """`scratch.queue.published` has topic, bytes and how many messages the topic then holds; no body (I-102)."""
    topic = await _begun(target, 1)
    await topic.publish_all(_BODY, b"")
    await topic.beside(name="other").publish(_BODY, "key")
    events = await told(target, topic.plan_id, 3)
    assert {each.kind for each in events} == {"scratch.queue.published"}
    assert sorted((each.body["topic"], each.body["bytes"]) for each in events) == [
        ("other", len(_BODY)),
        ("work", 0),
        ("work", len(_BODY)),
    ]
    for each in events:
        assert set(each.body) == {"topic", "bytes", "approx_size"}
        assert isinstance(each.body["approx_size"], int)
    require_ids(events, "queue")
    require_silence(events, _BODY)


@case("LEDGER", "STATS")
async def a_publish_tells_the_size_of_its_topic(target: Target) -> None:
    """Hidden and delayed messages count, those that are gone do not (I-102)."""
    topic = await _begun(target, 1)
    await topic.publish_all(b"1", b"2")
    await topic.ack(await topic.only())
    await topic.only()
    await topic.publish(delay_s=60)
    await topic.publish()
    sizes = [each.body["approx_size"] for each in _in_order(await told(target, topic.plan_id, 4))]
    assert sizes == [1, 2, 2, 3]


@case("LEDGER")
async def a_message_given_back_is_told(target: Target) -> None:
    """`scratch.queue.retry` has topic, delay and the receive count, for each nack that counted (I-102)."""
    topic = await _begun(target, 1)
    await topic.publish(_BODY)
    await topic.nack(await topic.only())
    message = await topic.only()
    await topic.queue.nack_many(
        topic.plan_id, topic.name, [QueueNack("nonsense"), QueueNack(message.receipt_handle, 7)]
    )
    events = await told(target, topic.plan_id, 3)
    assert [each.body for each in _in_order(events) if each.kind == "scratch.queue.retry"] == [
        {"topic": "work", "delay_s": 0, "receive_count": 1},
        {"topic": "work", "delay_s": 7, "receive_count": 2},
    ]
    require_ids(events, "queue")
    require_silence(events, _BODY)


@case("LEDGER", "DEAD_LETTERS")
async def a_dead_letter_is_told(target: Target) -> None:
    """`scratch.queue.deadletter` has topic and receive count, once for each move (I-102)."""
    topic = await _begun(target, 1)
    await topic.publish(_BODY, max_receives=1)
    await topic.only(visibility_timeout_s=1)
    await target.advance(1.1)
    assert await topic.is_empty()
    assert await topic.redrive(await topic.only(dead_letters=True)) == [None]
    await topic.nack(await topic.only())
    assert await topic.is_empty()
    events = _in_order(await told(target, topic.plan_id, 4))
    moved: dict[str, JSON] = {"topic": "work", "receive_count": 1}
    assert [each.body for each in events if each.kind == "scratch.queue.deadletter"] == [moved, moved]
    require_ids(events, "queue")
    require_silence(events, _BODY)


@case("LEDGER")
async def what_changes_nothing_is_not_told(target: Target) -> None:
    """A consume, an ack, an extension, and what is refused, make no event (I-102)."""
    topic = await _begun(target, 1)
    items = [QueuePublish(b""), QueuePublish(b"", delay_s=-1), QueuePublish(b"")]
    await topic.queue.publish_many(topic.plan_id, topic.name, items)
    for each in await topic.taken(2):
        await topic.extend(each, 60)
        await topic.ack(each)
    await topic.publish()
    events = await told(target, topic.plan_id, 3)
    assert {each.kind for each in events} == {"scratch.queue.published"}


@case("LEDGER", "IDEMPOTENCY_KEYS")
async def a_repeated_publish_is_not_told_again(target: Target) -> None:
    """An idempotency key that is known publishes nothing, and makes no event (I-102, I-40)."""
    topic = await _begun(target, 1)
    for _ in range(3):
        await topic.publish(b"", "key")
    await topic.publish(b"", "last")
    await told(target, topic.plan_id, 2)


@case("LEDGER")
async def of_many_changes_each_nth_is_told(target: Target) -> None:
    """With `event_every` 3 the changes 3, 6 and 9 are events, over all topics of the plan (I-102)."""
    topic = await _begun(target, 3)
    for number in range(10):
        await topic.beside(name=f"t{number % 2}").publish()
    require_ids(await told(target, topic.plan_id, 3), "queue", every=3)


@case("LEDGER")
async def a_plan_without_sampling_is_silent(target: Target) -> None:
    """With `event_every` 0, and without a begin, nothing is told; the latest begin counts (I-102)."""
    silent, never, heard = await _begun(target, 0), Topic(target), await _begun(target, 1)
    queue = QueueClient(target.channel(Role.EXECUTOR))
    for topic in (silent, never, heard):
        await topic.publish()
    await queue.begin_plan(heard.plan_id, event_every=0)
    await heard.publish()
    await queue.begin_plan(heard.plan_id, event_every=1)
    await heard.publish()
    await told(target, heard.plan_id, 2)
    for topic in (silent, never):
        await told(target, topic.plan_id, 0)


@case("LEDGER")
async def changes_at_once_are_each_told_once(target: Target) -> None:
    """Under concurrency ids count without a gap, and no event comes twice (I-102)."""
    topic = await _begun(target, 1)
    others = [topic.beside(name=f"t{number % 3}") for number in range(6)]
    await asyncio.gather(*(other.publish_all(b"", b"") for other in others for _ in range(5)))
    require_ids(await told(target, topic.plan_id, 60), "queue")


@case("LEDGER")
async def what_was_to_be_told_is_told_after_the_end(target: Target) -> None:
    """Events of a plan that has ended still reach its chain (I-102)."""
    topic = await _begun(target, 1)
    await topic.publish_all(*[b""] * 5)
    await end(target, topic.plan_id)
    require_ids(await told(target, topic.plan_id, 5), "queue")


async def _begun(target: Target, event_every: int) -> Topic:
    topic = Topic(target)
    await QueueClient(target.channel(Role.EXECUTOR)).begin_plan(topic.plan_id, event_every=event_every)
    return topic


def _in_order(events: list[Event]) -> list[Event]:
    """In the order in which the changes were counted."""
    return sorted(events, key=lambda event: int(event.event_id.rpartition("/")[2]))
