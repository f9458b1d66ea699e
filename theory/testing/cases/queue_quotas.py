"""What every store of messages promises of how much a plan may keep, over the wire."""

from collections.abc import Sequence

from theory.core.adapters import Published, QueuePublish
from theory.core.errors import Exhausted, TheoryError
from theory.sdk.queue import QueueClient
from theory.testing.case import Target, case
from theory.testing.cases.queue_topic import LARGEST_BYTES, Topic, end
from theory.testing.refusals import refused

_BATCH = 100


@case("SMALL_QUOTAS")
async def a_plan_keeps_a_limited_number_of_messages(target: Target) -> None:
    """Each one more is `Exhausted QUOTA_EXCEEDED`; an ack makes room, dead letters take it (I-98)."""
    topic, most = Topic(target), (await QueueClient(target.channel()).capabilities()).max_plan_messages
    dead = await topic.dead()
    await _fill(topic, most - 1)
    for place in (topic, topic.beside(name="other")):
        _require_refused(await _offer(place, 2), "messages", most)
    await topic.ack(dead)
    [taken, left] = await _offer(topic, 2)
    assert isinstance(taken, Published)
    _require_refused([left], "messages", most)
    await topic.elsewhere().publish()


@case("SMALL_QUOTAS")
async def the_bodies_of_a_plan_have_a_limited_weight(target: Target) -> None:
    """A body for which there is no room is `Exhausted QUOTA_EXCEEDED`; a smaller one behind it still fits (I-98)."""
    topic, most = Topic(target), (await QueueClient(target.channel()).capabilities()).max_plan_bytes
    large, rest = divmod(most, LARGEST_BYTES)
    await topic.publish_all(*[b"x" * LARGEST_BYTES] * (large - 1), b"x" * rest)
    items = [QueuePublish(b"x" * (LARGEST_BYTES - 10)), QueuePublish(b"x" * 11), QueuePublish(b"x" * 10)]
    first, refused_one, last = await topic.queue.publish_many(topic.plan_id, topic.name, items)
    assert isinstance(first, Published)
    assert isinstance(last, Published)
    _require_refused([refused_one], "bytes", most)
    _require_refused(await _offer(topic.beside(name="other"), 1, b"x"), "bytes", most)
    await topic.publish(b"")
    await topic.elsewhere().publish(b"x")


@case("SMALL_QUOTAS")
async def a_plan_has_a_limited_number_of_topics(target: Target) -> None:
    """Each item for one topic more is `Exhausted QUOTA_EXCEEDED`; the topics that there are go on (I-98)."""
    topic, most = Topic(target, name="t0"), (await QueueClient(target.channel()).capabilities()).max_plan_topics
    for number in range(most):
        await topic.beside(name=f"t{number}").publish()
    _require_refused(await _offer(topic.beside(name="more"), 2), "topics", most)
    await topic.publish()
    assert [each.topic for each in await topic.queue.stats(topic.plan_id)] == sorted(f"t{n}" for n in range(most))
    await topic.elsewhere().publish()


@case("SMALL_QUOTAS", "IDEMPOTENCY_KEYS")
async def a_message_that_is_known_needs_no_room(target: Target) -> None:
    """A repeat with its idempotency key is answered with its id, however full the plan is (I-98, I-40)."""
    topic, most = Topic(target), (await QueueClient(target.channel()).capabilities()).max_plan_messages
    first = await topic.publish(b"", "k")
    await _fill(topic, most - 1)
    assert await topic.publish(b"", "k") == first
    items = [QueuePublish(b"", "other")]
    [refusal] = await topic.queue.publish_many(topic.plan_id, topic.name, items)
    _require_refused([refusal], "messages", most)
    await topic.ack(await topic.only())
    assert await topic.publish(b"", "other") != first


@case("SMALL_QUOTAS")
async def the_end_of_a_plan_is_no_matter_of_room(target: Target) -> None:
    """A full plan ends like any other (I-98, I-34)."""
    topic, most = Topic(target), (await QueueClient(target.channel()).capabilities()).max_plan_messages
    await _fill(topic, most)
    await end(target, topic.plan_id)
    assert await topic.is_empty()


async def _fill(topic: Topic, count: int) -> None:
    for start in range(0, count, _BATCH):
        for answer in await _offer(topic, min(_BATCH, count - start)):
            assert isinstance(answer, Published), answer


async def _offer(topic: Topic, count: int, body: bytes = b"") -> Sequence[Published | TheoryError]:
    return await topic.queue.publish_many(topic.plan_id, topic.name, [QueuePublish(body)] * count)


def _require_refused(answers: Sequence[object], quota: str, limit: int) -> None:
    for answer in answers:
        error = refused(answer, Exhausted, "QUOTA_EXCEEDED")
        assert error.metadata == {"quota": quota, "limit": str(limit)}
