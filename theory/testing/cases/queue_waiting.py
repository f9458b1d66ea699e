"""What every queue promises those who wait for a message, over the wire."""

import asyncio

from theory.api.resources.v1 import queue_pb2
from theory.api.resources.v1.queue_pb2_grpc import QueueServiceStub
from theory.core.adapters import Message
from theory.core.errors import Invalid
from theory.testing.case import Target, case
from theory.testing.cases.queue_topic import Topic, in_time, is_waiting, soon
from theory.testing.refusals import refusal
from theory.wire.channel import call

_LOOK_S = 1.5
"""What another replica or another clock did is seen within a second."""


@case()
async def who_need_not_wait_does_not(target: Target) -> None:
    """A consume that may wait returns at once with what there is, be it less than it asked for (I-99)."""
    topic = Topic(target)
    await topic.publish(b"one")
    assert [each.body for each in await soon(_waiting(topic, 20, max_messages=30))] == [b"one"]


@case()
async def a_wait_for_nothing_ends_empty(target: Target) -> None:
    """Where nothing becomes visible it answers without messages at the end of its wait, not before (I-99)."""
    topic = Topic(target)
    await topic.publish(delay_s=60)
    messages, after_s = await in_time(target, _waiting(topic, 2), 2 + target.slack_s + _LOOK_S)
    assert messages == []
    assert after_s >= 2


@case()
async def a_publish_wakes_who_waits(target: Target) -> None:
    """A message that is published goes to a consumer that waits for one, and to no other topic's (I-99, I-35)."""
    topic = Topic(target)
    waiting, other = _waiting(topic, 20), _waiting(topic.beside(name="other"), 2)
    await is_waiting(target, [waiting, other])
    message_id = await topic.publish(b"at last")
    [message] = await _woken(target, waiting)
    assert (message.message_id, message.body) == (message_id, b"at last")
    assert (await in_time(target, other, 2 + target.slack_s + _LOOK_S))[0] == []


@case()
async def a_message_given_back_wakes_who_waits(target: Target) -> None:
    """A nack without a delay makes the message visible to a consumer that waits (I-99, I-39)."""
    topic = Topic(target)
    await topic.publish()
    held = await topic.only()
    waiting = _waiting(topic, 20)
    await is_waiting(target, [waiting])
    await topic.nack(held)
    [message] = await _woken(target, waiting)
    assert (message.message_id, message.receive_count) == (held.message_id, 2)


@case()
async def a_delay_that_runs_out_wakes_who_waits(target: Target) -> None:
    """A delayed message comes to a consumer that waits, when its delay is over and not before (I-99, I-39)."""
    topic = Topic(target)
    await topic.publish(b"later", delay_s=2)
    [message], after_s = await in_time(target, _waiting(topic, 20), 2 + target.slack_s + _LOOK_S)
    assert message.body == b"later"
    assert after_s > 1


@case()
async def a_timeout_that_runs_out_wakes_who_waits(target: Target) -> None:
    """A message that nobody settled comes to a consumer that waits, when it is visible again (I-99, I-36)."""
    topic = Topic(target)
    await topic.publish()
    await topic.only(visibility_timeout_s=2)
    [message], after_s = await in_time(target, _waiting(topic, 20), 2 + target.slack_s + _LOOK_S)
    assert message.receive_count == 2
    assert after_s > 1


@case()
async def each_message_wakes_one_of_many_who_wait(target: Target) -> None:
    """Of many who wait each gets one message of a batch, and no message goes to two (I-99, I-36)."""
    topic, count = Topic(target), 6
    waiting = [_waiting(topic, 20) for _ in range(count)]
    await is_waiting(target, waiting)
    ids = await topic.publish_all(*[b""] * count)
    taken = [await _woken(target, each) for each in waiting]
    assert [len(messages) for messages in taken] == [1] * count
    assert {message.message_id for [message] in taken} == set(ids)


@case()
async def a_wait_has_limits(target: Target) -> None:
    """Less than 0 and more than 20 seconds are `Invalid WAIT_INVALID` (I-89)."""
    topic, stub = Topic(target), QueueServiceStub(target.channel())
    for wait_s in (-1, 21, 1 << 30):
        request = queue_pb2.ConsumeRequest(plan_id=topic.plan_id, topic=topic.name, wait_s=wait_s)
        assert (await refusal(call(stub.Consume, request), Invalid, "WAIT_INVALID")).metadata == {
            "min": "0",
            "max": "20",
        }


def _waiting(topic: Topic, wait_s: int, *, max_messages: int = 1) -> "asyncio.Task[list[Message]]":
    return asyncio.create_task(topic.consume(max_messages, wait_s=wait_s))


async def _woken(target: Target, waiting: "asyncio.Task[list[Message]]") -> list[Message]:
    """What a wait ends with that has a reason to end now."""
    return (await in_time(target, waiting, target.slack_s + _LOOK_S))[0]
