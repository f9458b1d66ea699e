"""Messages in the memory of the process: gone with it, and otherwise the promises of every other store."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush

from services.resources.queue.adapters import delivery
from services.resources.queue.ports import KEY_KEPT, REPLY_BYTES, SWEEP, QueueStore
from theory.core.adapters import Message, Published, QueueExtend, QueueNack, QueuePublish
from theory.core.clock import Clock
from theory.core.errors import TheoryError
from theory.core.ids import IdSource

_STALE_TURNS = 64


async def open(url: str, *, clock: Clock, ids: IdSource, database: object) -> QueueStore:
    """`memory:`, empty."""
    return MemoryQueue(clock, ids)


@dataclass(slots=True)
class _Stored:
    message_id: str
    body: bytes
    publish_time: datetime
    visible_time: datetime
    receive_count: int = 0


@dataclass(slots=True)
class _Topic:
    messages: dict[str, _Stored] = field(default_factory=dict)
    turns: list[tuple[datetime, str]] = field(default_factory=list)
    """When which message becomes visible; a turn counts only while it agrees with its message."""
    compact_at: int = _STALE_TURNS

    def count_of(self, message_id: str) -> int | None:
        message = self.messages.get(message_id)
        return None if message is None else message.receive_count

    def show(self, message: _Stored, visible_time: datetime) -> None:
        message.visible_time = visible_time
        heappush(self.turns, (visible_time, message.message_id))
        if len(self.turns) > self.compact_at:
            self.turns = [(each.visible_time, each.message_id) for each in self.messages.values()]
            heapify(self.turns)
            self.compact_at = _STALE_TURNS + 2 * len(self.turns)

    def next_visible(self, now: datetime) -> _Stored | None:
        """The message whose turn it is; its turn is taken."""
        while self.turns and self.turns[0][0] <= now:
            visible_time, message_id = heappop(self.turns)
            message = self.messages.get(message_id)
            if message is not None and message.visible_time == visible_time:
                return message
        return None


@dataclass(slots=True)
class _Plan:
    topics: dict[str, _Topic] = field(default_factory=dict)
    keys: dict[tuple[str, str], tuple[str, datetime]] = field(default_factory=dict)
    """(topic, idempotency key) -> message id, and when the key is forgotten."""


class MemoryQueue:
    """Every method runs to its end without awaiting: that makes each batch one step."""

    kind = "memory"
    durable = False

    def __init__(self, clock: Clock, ids: IdSource) -> None:
        self._clock = clock
        self._ids = ids
        self._plans: dict[str, _Plan] = {}
        self._forget: deque[tuple[datetime, str, tuple[str, str]]] = deque()

    async def publish_many(
        self, plan_id: str, topic: str, items: Sequence[QueuePublish]
    ) -> list[Published | TheoryError]:
        now = self._clock.now()
        self._sweep(now, len(items))
        plan = self._plans.setdefault(plan_id, _Plan())
        messages = plan.topics.setdefault(topic, _Topic())
        answers: list[Published | TheoryError] = []
        for message_id, item in zip(delivery.new_message_ids(now, len(items), self._ids), items, strict=True):
            key = None if item.idempotency_key is None else (topic, item.idempotency_key)
            if key in plan.keys and plan.keys[key][1] > now:
                answers.append(Published(plan.keys[key][0], duplicate=True))
                continue
            message = _Stored(message_id, item.body, now, now)
            messages.messages[message_id] = message
            messages.show(message, now + timedelta(seconds=item.delay_s))
            if key is not None:
                plan.keys[key] = (message_id, now + KEY_KEPT)
                self._forget.append((now + KEY_KEPT, plan_id, key))
            answers.append(Published(message_id))
        return answers

    async def consume(self, *, plan_id: str, topic: str, max_messages: int, visibility_timeout_s: int) -> list[Message]:
        now = self._clock.now()
        messages = self._topic(plan_id, topic)
        hidden_until = now + timedelta(seconds=visibility_timeout_s)
        room = REPLY_BYTES
        handed_out: list[Message] = []
        while len(handed_out) < max_messages and (message := messages.next_visible(now)):
            if len(message.body) > room:
                messages.show(message, message.visible_time)
                break
            room -= len(message.body)
            message.receive_count += 1
            messages.show(message, hidden_until)
            handed_out.append(_delivered(message))
        return handed_out

    async def ack_many(self, plan_id: str, topic: str, receipt_handles: Sequence[str]) -> list[TheoryError | None]:
        messages = self._topic(plan_id, topic)
        answers: list[TheoryError | None] = []
        for receipt_handle in receipt_handles:
            found = delivery.newest(receipt_handle, messages.count_of)
            answers.append(found if isinstance(found, TheoryError) else None)
            if isinstance(found, str):
                del messages.messages[found]
        if not messages.messages and plan_id in self._plans:
            self._plans[plan_id].topics.pop(topic, None)
        return answers

    async def nack_many(self, plan_id: str, topic: str, items: Sequence[QueueNack]) -> list[TheoryError | None]:
        return self._show(plan_id, topic, ((item.receipt_handle, item.delay_s) for item in items))

    async def extend_many(self, plan_id: str, topic: str, items: Sequence[QueueExtend]) -> list[TheoryError | None]:
        return self._show(plan_id, topic, ((item.receipt_handle, item.visibility_timeout_s) for item in items))

    async def end_plan(self, plan_id: str) -> None:
        self._plans.pop(plan_id, None)

    def _topic(self, plan_id: str, topic: str) -> _Topic:
        """The topic, or an empty one that nobody keeps."""
        plan = self._plans.get(plan_id)
        return plan.topics.get(topic, _Topic()) if plan else _Topic()

    def _show(self, plan_id: str, topic: str, items: Iterable[tuple[str, int]]) -> list[TheoryError | None]:
        now = self._clock.now()
        messages = self._topic(plan_id, topic)
        answers: list[TheoryError | None] = []
        for receipt_handle, after_s in items:
            found = delivery.newest(receipt_handle, messages.count_of)
            answers.append(found if isinstance(found, TheoryError) else None)
            if isinstance(found, str):
                messages.show(messages.messages[found], now + timedelta(seconds=after_s))
        return answers

    def _sweep(self, now: datetime, items: int) -> None:
        """Forget a few idempotency keys whose time is over, and plans of which nothing is left."""
        for _ in range(max(SWEEP, items)):
            if not self._forget or self._forget[0][0] > now:
                break
            forget_time, plan_id, key = self._forget.popleft()
            plan = self._plans.get(plan_id)
            if plan is not None and key in plan.keys and plan.keys[key][1] == forget_time:
                del plan.keys[key]
                if not plan.keys and not plan.topics:
                    del self._plans[plan_id]


def _delivered(message: _Stored) -> Message:
    return Message(
        message.message_id,
        message.body,
        delivery.handle_of(message.message_id, message.receive_count),
        message.receive_count,
        message.publish_time,
    )
