"""What every store of messages promises of plans: that they are apart, begin, are counted, and end, over the wire."""

import asyncio

from theory.core.adapters import TopicStats
from theory.core.errors import Denied, NotFound, NotReady
from theory.sdk.queue import QueueClient
from theory.testing.case import Target, case
from theory.testing.cases.queue_topic import Topic, end
from theory.testing.refusals import refusal, refused
from theory.wire.identity import ANYONE, Role

_WEEK_S = 7 * 86_400


@case()
async def ending_a_plan_drops_its_topics_alone(target: Target) -> None:
    """Its messages and deliveries are gone, those of another plan stay; a second end changes nothing (I-34)."""
    topic = Topic(target)
    other = topic.elsewhere()
    for place in (topic, topic.beside(name="more"), other):
        await place.publish(b"a")
    delivered = await topic.only()
    for _ in range(2):
        await end(target, topic.plan_id)
        assert await topic.is_empty()
        assert await topic.beside(name="more").is_empty()
        for answer in await topic.settled(delivered.receipt_handle):
            refused(answer, NotFound, "MESSAGE_UNKNOWN")
        assert await topic.queue.stats(topic.plan_id) == []
    assert (await other.only()).body == b"a"


@case()
async def an_ended_plan_takes_no_message(target: Target) -> None:
    """A publish, to an old topic or a new one, is `NotReady PLAN_ENDED` as a whole, and so is a begin (I-97)."""
    topic, executor = Topic(target), QueueClient(target.channel(Role.EXECUTOR))
    await topic.publish()
    await end(target, topic.plan_id)
    for place in (topic, topic.beside(name="new")):
        error = await refusal(place.publish_all(b"1", b"2"), NotReady, "PLAN_ENDED")
        assert error.metadata == {"plan_id": topic.plan_id}
        await refusal(place.publish(b"", "key", max_receives=3), NotReady, "PLAN_ENDED")
        assert await place.is_empty()
        assert await place.is_empty(dead_letters=True)
    await refusal(executor.begin_plan(topic.plan_id), NotReady, "PLAN_ENDED")
    await topic.elsewhere().publish()


@case()
async def a_plan_may_end_before_it_began(target: Target) -> None:
    """A plan that never had a message takes none after its end (I-97)."""
    topic = Topic(target)
    await end(target, topic.plan_id)
    await refusal(topic.publish(), NotReady, "PLAN_ENDED")


@case()
async def nothing_that_is_published_meanwhile_outlives_a_plan(target: Target) -> None:
    """Of publishes that race with the end each is refused, or its message is gone with the plan (I-97, I-34)."""
    topic = Topic(target)

    async def publish() -> None:
        for _ in range(5):
            await topic.publish()

    publishers = [asyncio.create_task(publish()) for _ in range(6)]
    await topic.publish()
    await end(target, topic.plan_id)
    for ended in await asyncio.gather(*publishers, return_exceptions=True):
        if ended is not None:
            refused(ended, NotReady, "PLAN_ENDED")
    assert await topic.is_empty()
    await refusal(topic.publish(), NotReady, "PLAN_ENDED")
    assert await topic.queue.stats(topic.plan_id) == []


@case("CLOCK")
async def an_end_is_known_for_a_week(target: Target) -> None:
    """No late publish brings a topic of an ended plan back, while any process of the plan may live (I-97)."""
    topic = Topic(target)
    await end(target, topic.plan_id)
    await target.advance(_WEEK_S - 60)
    await topic.elsewhere().publish()
    await refusal(topic.publish(), NotReady, "PLAN_ENDED")


@case()
async def only_the_executor_begins_and_ends_a_plan(target: Target) -> None:
    """Everyone else is `Denied ROLE_DENIED`, and the messages stay (I-84)."""
    topic = Topic(target)
    await topic.publish()
    for role in ANYONE - {Role.EXECUTOR}:
        queue = QueueClient(target.channel(role))
        await refusal(queue.begin_plan(topic.plan_id), Denied, "ROLE_DENIED")
        await refusal(queue.end_plan(topic.plan_id), Denied, "ROLE_DENIED")
    await topic.only()


@case()
async def a_plan_may_begin_again(target: Target) -> None:
    """Beginning is idempotent, and touches nothing that is there; a plan that never began works alike (I-102)."""
    topic, executor = Topic(target), QueueClient(target.channel(Role.EXECUTOR))
    await topic.publish(b"before")
    for _ in range(2):
        await executor.begin_plan(topic.plan_id)
    await topic.publish(b"after")
    assert sorted(each.body for each in await topic.taken(2)) == [b"after", b"before"]


@case()
async def topics_are_told_by_name(target: Target) -> None:
    """Each topic of the plan that was published to, once, in the order of names; no other plan's (I-103)."""
    topic = Topic(target, name="b")
    names = ["B", "a", "a.b", "b"]
    for name in reversed(names):
        await topic.beside(name=name).publish()
    await topic.elsewhere().publish()
    assert [each.topic for each in await topic.queue.stats(topic.plan_id)] == names
    assert await topic.queue.stats(topic.elsewhere().plan_id) == []


@case("STATS")
async def each_message_is_counted_once_in_its_state(target: Target) -> None:
    """Visible, hidden, delayed or dead, as it is at that moment (I-103)."""
    topic = Topic(target)

    async def counts() -> TopicStats:
        [found] = await topic.queue.stats(topic.plan_id)
        return found

    await topic.publish_all(b"", b"", b"", b"", max_receives=1)
    await topic.publish(delay_s=60)
    assert await counts() == TopicStats("work", visible=4, hidden=0, delayed=1, dead=0)
    held, given_back, dead, acked = await topic.taken(4)
    assert await counts() == TopicStats("work", visible=0, hidden=4, delayed=1, dead=0)
    await topic.ack(acked)
    await topic.nack(given_back, delay_s=60)
    await topic.nack(dead)
    assert await counts() == TopicStats("work", visible=1, hidden=2, delayed=1, dead=0)
    assert await topic.is_empty()
    assert await counts() == TopicStats("work", visible=0, hidden=2, delayed=1, dead=1)
    assert await topic.redrive(await topic.only(dead_letters=True)) == [None]
    assert await counts() == TopicStats("work", visible=1, hidden=2, delayed=1, dead=0)
    await topic.extend(held, 1)
    await target.advance(1.1)
    assert await counts() == TopicStats("work", visible=2, hidden=1, delayed=1, dead=0)


@case("STATS")
async def a_drained_topic_is_still_told(target: Target) -> None:
    """A topic that was published to is counted with zeros once it is empty (I-103)."""
    topic = Topic(target)
    await topic.publish()
    await topic.ack(await topic.only())
    assert await topic.queue.stats(topic.plan_id) == [TopicStats("work", 0, 0, 0, 0)]
