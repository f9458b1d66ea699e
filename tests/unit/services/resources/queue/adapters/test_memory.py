"""What the memory store of messages keeps, and for how long."""

from services.resources.queue.adapters.memory import MemoryQueue
from theory.core.adapters import QueueExtend, QueuePublish
from theory.core.clock import FakeClock
from theory.core.ids import SequenceIds


async def consumed(queue: MemoryQueue, count: int = 30) -> list[str]:
    messages = await queue.consume(plan_id="p", topic="t", max_messages=count, visibility_timeout_s=60)
    return [each.receipt_handle for each in messages]


async def test_extensions_leave_no_trail() -> None:
    queue = MemoryQueue(FakeClock(), SequenceIds())
    await queue.publish_many("p", "t", [QueuePublish(b"")])
    [handle] = await consumed(queue)
    for _ in range(1_000):
        await queue.extend_many("p", "t", [QueueExtend(handle, 60)])
    assert len(queue._plans["p"].topics["t"].turns) < 100


async def test_nothing_is_left_of_a_plan_that_is_done() -> None:
    clock = FakeClock()
    queue = MemoryQueue(clock, SequenceIds())
    await queue.publish_many("p", "t", [QueuePublish(b"", f"k{idx}") for idx in range(20)])
    await queue.ack_many("p", "t", await consumed(queue))
    assert queue._plans["p"].topics == {}
    clock.advance(600)
    for _ in range(2):
        await queue.publish_many("other", "t", [QueuePublish(b"")])
    assert set(queue._plans) == {"other"}


async def test_messages_come_about_in_the_order_they_were_published() -> None:
    clock = FakeClock()
    queue = MemoryQueue(clock, SequenceIds())
    for idx in range(3):
        await queue.publish_many("p", "t", [QueuePublish(f"{idx}{item}".encode()) for item in range(3)])
        clock.advance(1)
    messages = await queue.consume(plan_id="p", topic="t", max_messages=30, visibility_timeout_s=1)
    assert [each.body for each in messages] == sorted(each.body for each in messages)
