"""A topic of a plan of its own at a queue under test: what the cases of queues do there, and what they wait for."""

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from theory.core.adapters import Message, Published, QueueExtend, QueueNack, QueuePublish
from theory.core.clock import SystemClock
from theory.core.errors import TheoryError
from theory.sdk.queue import QueueClient
from theory.testing.case import Target
from theory.wire.identity import Role

LARGEST_BYTES = 256 << 10
LONGEST_S = 43_200

_STEP_S = 0.25
_PAUSE_S = 0.005
_LATE_PAUSE_S = 0.1
_GRACE_S = 4
"""What a busy machine may need."""
_AT_ONCE_S = 10
"""What takes no time is there within so many seconds, however slow the machine."""

_T = TypeVar("_T")


class Topic:
    """One topic, used by one role."""

    def __init__(self, target: Target, *, plan_id: str = "", name: str = "work", role: Role = Role.CLIENT) -> None:
        self._target = target
        self.queue = QueueClient(target.channel(role))
        self.plan_id = plan_id or target.fresh("plan")
        self.name = name

    def beside(self, *, plan_id: str = "", name: str = "", role: Role = Role.CLIENT) -> "Topic":
        """Another topic of the same plan, or one of the same name in another plan; the same one for another role."""
        return Topic(self._target, plan_id=plan_id or self.plan_id, name=name or self.name, role=role)

    def elsewhere(self) -> "Topic":
        """The topic of the same name in a plan that nobody used yet."""
        return Topic(self._target, name=self.name)

    async def publish(
        self, body: bytes = b"", key: str | None = None, *, delay_s: int = 0, max_receives: int | None = None
    ) -> str:
        """Publish one message and return its id."""
        item = QueuePublish(body, key, delay_s)
        [answer] = await self.queue.publish_many(self.plan_id, self.name, [item], max_receives=max_receives)
        return published(answer).message_id

    async def publish_all(self, *bodies: bytes, max_receives: int | None = None) -> list[str]:
        """Publish messages in one batch."""
        items = [QueuePublish(body) for body in bodies]
        answers = await self.queue.publish_many(self.plan_id, self.name, items, max_receives=max_receives)
        return [published(answer).message_id for answer in answers]

    async def consume(
        self,
        max_messages: int = 1,
        *,
        visibility_timeout_s: int = 30,
        wait_s: int = 0,
        dead_letters: bool = False,
    ) -> list[Message]:
        """What is handed out now."""
        return await self.queue.consume(
            plan_id=self.plan_id,
            topic=self.name,
            max_messages=max_messages,
            visibility_timeout_s=visibility_timeout_s,
            wait_s=wait_s,
            dead_letters=dead_letters,
        )

    async def taken(
        self, count: int, *, visibility_timeout_s: int = 30, dead_letters: bool = False, at_most: int = 30
    ) -> list[Message]:
        """So many messages, which must be visible by now; where a store may be late it is given that time."""
        messages: list[Message] = []
        while len(messages) < count:
            more = await self.consume(
                min(at_most, count - len(messages)),
                visibility_timeout_s=visibility_timeout_s,
                wait_s=self._target.slack_s,
                dead_letters=dead_letters,
            )
            assert more, f"{count - len(messages)} of {count} messages are not handed out"
            messages += more
        return messages

    async def only(self, *, visibility_timeout_s: int = 30, dead_letters: bool = False) -> Message:
        """The one message that must be visible by now."""
        [message] = await self.taken(1, visibility_timeout_s=visibility_timeout_s, dead_letters=dead_letters)
        return message

    async def is_empty(self, *, dead_letters: bool = False) -> bool:
        """Whether nothing is handed out."""
        return await self.consume(30, dead_letters=dead_letters) == []

    async def ack(self, message: Message) -> None:
        """Acknowledge; it must count."""
        await self.queue.ack(plan_id=self.plan_id, topic=self.name, receipt_handle=message.receipt_handle)

    async def nack(self, message: Message, delay_s: int = 0) -> None:
        """Give back; it must count."""
        await self.queue.nack(
            plan_id=self.plan_id, topic=self.name, receipt_handle=message.receipt_handle, delay_s=delay_s
        )

    async def extend(self, message: Message, timeout_s: int) -> None:
        """Hide from now on; it must count."""
        await self.queue.extend(
            plan_id=self.plan_id,
            topic=self.name,
            receipt_handle=message.receipt_handle,
            visibility_timeout_s=timeout_s,
        )

    async def redrive(self, *messages: Message) -> list[TheoryError | None]:
        """Bring dead letters back."""
        return await self.queue.redrive_many(self.plan_id, self.name, [each.receipt_handle for each in messages])

    async def settled(self, handle: str) -> list[TheoryError | None]:
        """What every way to settle a delivery answers, one after the other."""
        return [
            *await self.queue.extend_many(self.plan_id, self.name, [QueueExtend(handle, 1)]),
            *await self.queue.nack_many(self.plan_id, self.name, [QueueNack(handle)]),
            *await self.queue.ack_many(self.plan_id, self.name, [handle]),
        ]

    async def dead(self, body: bytes = b"") -> Message:
        """Publish a message to this topic, which must be new, let it die after one delivery, and look at it there."""
        await self.publish(body, max_receives=1)
        await self.nack(await self.only())
        assert await self.is_empty()
        return await self.only(dead_letters=True)


async def end(target: Target, plan_id: str) -> None:
    """End a plan."""
    await QueueClient(target.channel(Role.EXECUTOR)).end_plan(plan_id)


async def soon(waiting: "asyncio.Task[_T]") -> _T:
    """What must come without any time of the server passing."""
    async with asyncio.timeout(_AT_ONCE_S):
        return await waiting


async def in_time(target: Target, waiting: "asyncio.Task[_T]", limit_s: float) -> tuple[_T, float]:
    """What must come before `limit_s` seconds of the server's clock have passed, and after how many it came."""
    clock, turned = SystemClock(), "CLOCK" in target.capabilities
    began, passed_s = clock.monotonic(), 0.0
    while not waiting.done():
        late, real_s = passed_s > limit_s, clock.monotonic() - began
        assert not late or real_s < (0 if turned else limit_s) + _GRACE_S, (
            f"it was waited for in vain for {passed_s:g} s"
        )
        if turned:  # whoever was woken works in real time
            await target.answers()
            await clock.sleep(_LATE_PAUSE_S if late else _PAUSE_S)
        await target.advance(_STEP_S)
        passed_s += _STEP_S
    return waiting.result(), max(passed_s, clock.monotonic() - began)


async def is_waiting(target: Target, waiting: Sequence["asyncio.Task[_T]"]) -> None:
    """Return when the tasks wait at the server, as far as anybody can tell from here."""
    for _ in range(5):
        await target.answers()
    await target.advance(0.1)
    for each in waiting:
        if each.done():
            each.result()


def published(answer: Published | TheoryError) -> Published:
    """The answer of a publish, which must have been accepted."""
    if isinstance(answer, TheoryError):
        raise answer
    return answer
