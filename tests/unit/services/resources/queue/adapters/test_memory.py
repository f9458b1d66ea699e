"""What the memory store of messages keeps, and for how long; what it counts, and what it tells."""

from services.resources.queue.adapters.memory import MemoryQueue
from services.resources.queue.ports import Consumed, QueueQuotas
from tests.surroundings import Notes, opening
from theory.core.adapters import Published, QueueExtend, QueueNack, QueuePublish, TopicStats
from theory.core.clock import FakeClock
from theory.core.errors import Exhausted, TheoryError


def store(clock: FakeClock | None = None, notes: Notes | None = None, **quotas: int) -> MemoryQueue:
    return MemoryQueue(opening(clock, notes), QueueQuotas(**quotas))


async def look(queue: MemoryQueue, count: int = 30, *, dead_letters: bool = False) -> Consumed:
    return await queue.consume(
        plan_id="p", topic="t", dead_letters=dead_letters, max_messages=count, visibility_timeout_s=60
    )


async def consumed(queue: MemoryQueue, count: int = 30, *, dead_letters: bool = False) -> list[str]:
    return [each.receipt_handle for each in (await look(queue, count, dead_letters=dead_letters)).messages]


async def publish(queue: MemoryQueue, *bodies: bytes, max_receives: int | None = None) -> list[Published | TheoryError]:
    return await queue.publish_many("p", "t", [QueuePublish(each) for each in bodies], max_receives)


async def test_extensions_leave_no_trail() -> None:
    queue = store()
    await publish(queue, b"")
    [handle] = await consumed(queue)
    for _ in range(1_000):
        await queue.extend_many("p", "t", [QueueExtend(handle, 60)], dead_letters=False)
    assert len(queue._plans["p"].topics["t"].live.turns) < 100


async def test_keys_and_ended_plans_are_forgotten() -> None:
    clock = FakeClock()
    queue = store(clock)
    await queue.publish_many("p", "t", [QueuePublish(b"", f"k{idx}") for idx in range(20)], None)
    await queue.end_plan("ended")
    clock.advance(600)
    for _ in range(2):
        await queue.publish_many("other", "t", [QueuePublish(b"")], None)
    assert queue._plans["p"].keys == {}
    assert "ended" in queue._plans
    clock.advance(7 * 24 * 3_600)
    await queue.publish_many("other", "t", [QueuePublish(b"")], None)
    assert "ended" not in queue._plans


async def test_messages_come_about_in_the_order_they_were_published() -> None:
    clock = FakeClock()
    queue = store(clock)
    for idx in range(3):
        await publish(queue, *(f"{idx}{item}".encode() for item in range(3)))
        clock.advance(1)
    messages = (await look(queue)).messages
    assert [each.body for each in messages] == sorted(each.body for each in messages)


async def test_who_finds_nothing_learns_when_to_look_again() -> None:
    clock = FakeClock()
    queue = store(clock)
    assert (await look(queue)).next_visible_s is None
    await queue.publish_many("p", "t", [QueuePublish(b"", delay_s=9)], None)
    clock.advance(2)
    assert (await look(queue)).next_visible_s == 7


async def test_a_dead_letter_comes_back_behind_its_old_handles() -> None:
    queue = store()
    await publish(queue, b"1", max_receives=1)
    [first] = await consumed(queue)
    await queue.nack_many("p", "t", [QueueNack(first)], dead_letters=False)
    assert await consumed(queue) == []
    [dead] = await consumed(queue, dead_letters=True)
    assert await queue.redrive_many("p", "t", [dead]) == [None]
    [message] = (await look(queue)).messages
    assert message.receive_count == 1
    assert message.receipt_handle not in {first, dead}
    answers = await queue.ack_many("p", "t", [first, dead, message.receipt_handle], dead_letters=False)
    assert [each and each.reason for each in answers] == ["RECEIPT_SUPERSEDED", "RECEIPT_SUPERSEDED", None]


async def test_room_is_given_back() -> None:
    queue = store(topics=1, messages=2, size_bytes=3)
    _, _, third = await publish(queue, b"1", b"1", b"")
    assert isinstance(third, Exhausted)
    assert third.metadata["quota"] == "messages"
    [other] = await queue.publish_many("p", "u", [QueuePublish(b"")], None)
    assert isinstance(other, Exhausted)
    assert other.metadata["quota"] == "topics"
    [handle] = await consumed(queue, 1)
    await queue.ack_many("p", "t", [handle], dead_letters=False)
    [large] = await publish(queue, b"123")
    assert isinstance(large, Exhausted)
    assert large.metadata["quota"] == "bytes"
    [fits] = await publish(queue, b"12")
    assert isinstance(fits, Published)


async def test_each_change_is_told_without_its_body() -> None:
    notes = Notes()
    queue = store(notes=notes)
    await queue.begin_plan("p", 1)
    await publish(queue, b"one", b"secret", max_receives=1)
    handles = await consumed(queue)
    await queue.nack_many("p", "t", [QueueNack(handles[0], 5)], dead_letters=False)
    await queue.nack_many("p", "t", [QueueNack(handles[1], 0)], dead_letters=False)
    await look(queue)
    assert [(each.event.event_id.split("/")[-1], each.event.kind, each.event.body) for each in notes.emitted] == [
        ("1", "scratch.queue.published", {"topic": "t", "bytes": 3, "approx_size": 1}),
        ("2", "scratch.queue.published", {"topic": "t", "bytes": 6, "approx_size": 2}),
        ("3", "scratch.queue.retry", {"topic": "t", "delay_s": 5, "receive_count": 1}),
        ("4", "scratch.queue.retry", {"topic": "t", "delay_s": 0, "receive_count": 1}),
        ("5", "scratch.queue.deadletter", {"topic": "t", "receive_count": 1}),
    ]


async def test_messages_are_counted_by_what_may_become_of_them() -> None:
    queue = store()
    await publish(queue, b"", b"", b"", max_receives=1)
    await queue.publish_many("p", "t", [QueuePublish(b"", delay_s=9)], None)
    first, _ = await consumed(queue, 2)
    await queue.nack_many("p", "t", [QueueNack(first)], dead_letters=False)
    assert await queue.stats("p") == [TopicStats("t", visible=2, hidden=1, delayed=1, dead=0)]
    await consumed(queue, 1)
    assert await queue.stats("p") == [TopicStats("t", visible=0, hidden=2, delayed=1, dead=1)]
