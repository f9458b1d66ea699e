"""What every store of messages promises of attempts: that each reaches the topics that are its own, over the wire."""

import asyncio

from theory.core.adapters import QueueExtend, QueueNack, QueuePublish
from theory.core.errors import Denied
from theory.sdk.queue import QueueClient
from theory.testing.case import Target, case
from theory.testing.cases.attempt_grants import Speaker, denied, grant_of
from theory.testing.cases.queue_topic import Topic
from theory.testing.refusals import refusal


@case("ATTEMPTS")
async def an_attempt_has_the_topics_of_its_plan(target: Target) -> None:
    """It publishes and consumes there, whatever the topic's name, where its processor declares none (I-140)."""
    attempt = await Speaker.of(target)
    ours, theirs = QueueClient(attempt.channel), Topic(target, plan_id=attempt.grant.plan_id.text)
    await ours.publish(plan_id=theirs.plan_id, topic=theirs.name, body=b"from an attempt")
    message = await theirs.only()
    assert message.body == b"from an attempt"
    await ours.ack(plan_id=theirs.plan_id, topic=theirs.name, receipt_handle=message.receipt_handle)
    assert await theirs.is_empty()


@case("ATTEMPTS")
async def the_topics_of_another_plan_are_closed_to_an_attempt(target: Target) -> None:
    """Whatever it asks of them is `Denied ATTEMPT_DENIED`, a true handle does not help, and nothing is done (I-140)."""
    attempt, topic = await Speaker.of(target), Topic(target)
    await topic.publish(b"theirs")
    message = await topic.only()
    for answer in await _asked(QueueClient(attempt.channel), topic, message.receipt_handle):
        denied(answer, "plan_id")
    await topic.queue.ack(plan_id=topic.plan_id, topic=topic.name, receipt_handle=message.receipt_handle)
    assert await topic.is_empty()


@case("ATTEMPTS")
async def a_topic_that_was_not_declared_is_closed_to_an_attempt(target: Target) -> None:
    """Of its own plan, too, where its processor declares topics; the others are counted for nobody (I-140)."""
    attempt = await Speaker.of(target, grant_of(target, topics=("mine",)))
    ours, other = QueueClient(attempt.channel), Topic(target, plan_id=attempt.grant.plan_id.text)
    mine = other.beside(name="mine")
    await other.publish(b"theirs")
    message = await other.only()
    for answer in (await _asked(ours, other, message.receipt_handle))[:-1]:
        denied(answer, "topic")
    assert [each.topic for each in await ours.stats(other.plan_id)] in ([], ["mine"])
    await ours.publish(plan_id=mine.plan_id, topic=mine.name, body=b"mine")
    assert (await mine.only()).body == b"mine"
    assert [each.topic for each in await ours.stats(other.plan_id)] == ["mine"]


@case("ATTEMPTS")
async def an_attempt_neither_begins_nor_ends_the_topics_of_its_plan(target: Target) -> None:
    """`Denied ROLE_DENIED` (I-139)."""
    attempt = await Speaker.of(target)
    plan_id, ours = attempt.grant.plan_id.text, QueueClient(attempt.channel)
    await refusal(ours.begin_plan(plan_id), Denied, "ROLE_DENIED")
    await refusal(ours.end_plan(plan_id), Denied, "ROLE_DENIED")


async def _asked(ours: QueueClient, topic: Topic, handle: str) -> list[object]:
    """All that an attempt could ask of a topic; the counts of its plan come last."""
    plan_id, name = topic.plan_id, topic.name
    return await asyncio.gather(
        ours.publish_many(plan_id, name, [QueuePublish(b"x")]),
        ours.consume(plan_id=plan_id, topic=name, max_messages=1, visibility_timeout_s=30, wait_s=0),
        ours.consume(plan_id=plan_id, topic=name, dead_letters=True),
        ours.nack_many(plan_id, name, [QueueNack(handle, 0)]),
        ours.extend_many(plan_id, name, [QueueExtend(handle, 60)]),
        ours.redrive_many(plan_id, name, [handle]),
        ours.ack_many(plan_id, name, [handle]),
        ours.stats(plan_id),
        return_exceptions=True,
    )
