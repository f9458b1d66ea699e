"""Messages in the memory of the process: gone with it, and otherwise the promises of every other store."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush

from services.drivers.opening import Opening
from services.drivers.teller import Teller
from services.resources.queue.adapters import delivery, refusals
from services.resources.queue.ports import (
    KEY_KEPT,
    REPLY_BYTES,
    SWEEP,
    Consumed,
    QueueFeature,
    QueueQuotas,
    QueueStore,
    Wake,
)
from theory.core.adapters import Message, Published, QueueExtend, QueueNack, QueuePublish, TopicStats
from theory.core.errors import Exhausted, TheoryError
from theory.core.scratch import ENDED_KEPT, Change, queue_deadletter, queue_published, queue_retry

_STALE_TURNS = 64


async def open(url: str, opening: Opening, quotas: QueueQuotas) -> QueueStore:
    """`memory:`, empty."""
    return MemoryQueue(opening, quotas)


@dataclass(slots=True)
class _Stored:
    message_id: str
    body: bytes
    publish_time: datetime
    visible_time: datetime
    deliveries: int = 0
    """The fence: it never goes back."""
    forgiven: int = 0
    """The deliveries that a redrive no longer counts."""

    @property
    def receive_count(self) -> int:
        return self.deliveries - self.forgiven


@dataclass(slots=True)
class _Side:
    """The messages of a topic, or its dead letters."""

    messages: dict[str, _Stored] = field(default_factory=dict)
    turns: list[tuple[datetime, str]] = field(default_factory=list)
    """When which message becomes visible; a turn counts only while it agrees with its message."""

    def count_of(self, message_id: str) -> int | None:
        message = self.messages.get(message_id)
        return None if message is None else message.deliveries

    def show(self, message: _Stored, visible_time: datetime) -> None:
        self.messages[message.message_id] = message
        message.visible_time = visible_time
        heappush(self.turns, (visible_time, message.message_id))
        if len(self.turns) > _STALE_TURNS + 2 * len(self.messages):
            self.turns = [(each.visible_time, each.message_id) for each in self.messages.values()]
            heapify(self.turns)

    def next_visible(self, now: datetime) -> _Stored | None:
        """The message whose turn it is; its turn is taken."""
        while self.turns and self.turns[0][0] <= now:
            visible_time, message_id = heappop(self.turns)
            message = self.messages.get(message_id)
            if message is not None and message.visible_time == visible_time:
                return message
        return None

    def next_visible_s(self, now: datetime) -> float | None:
        while self.turns:
            visible_time, message_id = self.turns[0]
            message = self.messages.get(message_id)
            if message is not None and message.visible_time == visible_time:
                return max(0.0, (visible_time - now).total_seconds())
            heappop(self.turns)  # settled, or shown for another time
        return None


@dataclass(slots=True)
class _Topic:
    max_receives: int = 0
    live: _Side = field(default_factory=_Side)
    dead: _Side = field(default_factory=_Side)


@dataclass(slots=True)
class _Plan:
    topics: dict[str, _Topic] = field(default_factory=dict)
    keys: dict[tuple[str, str], tuple[str, datetime]] = field(default_factory=dict)
    """(topic, idempotency key) -> message id, and when the key is forgotten."""
    messages: int = 0
    size_bytes: int = 0
    event_every: int = 0
    ended: bool = False


class MemoryQueue:
    """Every method runs to its end without awaiting: that makes each batch one step."""

    kind = "memory"
    durable = False
    features = frozenset(QueueFeature) - {QueueFeature.EVENTS_KEPT, QueueFeature.STABLE}
    redelivery_slack_s = 0

    def __init__(self, opening: Opening, quotas: QueueQuotas) -> None:
        self._clock = opening.clock
        self._ids = opening.ids
        self._teller = Teller("queue", opening)
        self._quotas = quotas
        self._plans: dict[str, _Plan] = {}
        self._forget: deque[tuple[datetime, str, tuple[str, str]]] = deque()
        self._ended: deque[tuple[datetime, str]] = deque()

    def subscribe(self, wake: Wake) -> None:
        """There is no other replica."""

    async def publish_many(
        self, plan_id: str, topic: str, items: Sequence[QueuePublish], max_receives: int | None
    ) -> list[Published | TheoryError]:
        now = self._clock.now()
        self._sweep(now, len(items))
        plan = self._open_plan(plan_id)
        place = self._place(plan, topic, max_receives)
        if isinstance(place, Exhausted):
            return [place] * len(items)
        answers: list[Published | TheoryError] = []
        changes: list[Change] = []
        for message_id, item in zip(delivery.new_message_ids(now, len(items), self._ids), items, strict=True):
            key = None if item.idempotency_key is None else (topic, item.idempotency_key)
            if key in plan.keys and plan.keys[key][1] > now:
                answers.append(Published(plan.keys[key][0], duplicate=True))
                continue
            if refused := self._refusal(plan, item):
                answers.append(refused)
                continue
            plan.messages += 1
            plan.size_bytes += len(item.body)
            visible_time = now + timedelta(seconds=item.delay_s) if item.delay_s else now
            place.live.show(_Stored(message_id, item.body, now, visible_time), visible_time)
            if key is not None:
                plan.keys[key] = (message_id, now + KEY_KEPT)
                self._forget.append((now + KEY_KEPT, plan_id, key))
            if plan.event_every:
                changes.append(queue_published(topic, len(item.body), len(place.live.messages)))
            answers.append(Published(message_id))
        self._teller.tell(plan_id, changes, every=plan.event_every)
        return answers

    async def consume(
        self, *, plan_id: str, topic: str, dead_letters: bool, max_messages: int, visibility_timeout_s: int
    ) -> Consumed:
        now = self._clock.now()
        plan = self._plans.get(plan_id, _Plan())
        place = plan.topics.get(topic, _Topic())
        side = place.dead if dead_letters else place.live
        hidden_until = now + timedelta(seconds=visibility_timeout_s)
        room = REPLY_BYTES
        handed_out: list[Message] = []
        changes: list[Change] = []
        while len(handed_out) < max_messages and (message := side.next_visible(now)):
            if not dead_letters and 0 < place.max_receives <= message.receive_count:
                del side.messages[message.message_id]
                place.dead.show(message, now)
                changes.append(queue_deadletter(topic, message.receive_count))
                continue
            if len(message.body) > room:
                side.show(message, message.visible_time)
                break
            room -= len(message.body)
            message.deliveries += 1
            side.show(message, hidden_until)
            handed_out.append(_delivered(message))
        self._teller.tell(plan_id, changes, every=plan.event_every)
        return Consumed(handed_out, None if handed_out else side.next_visible_s(now))

    async def ack_many(
        self, plan_id: str, topic: str, receipt_handles: Sequence[str], *, dead_letters: bool
    ) -> list[TheoryError | None]:
        plan = self._plans.get(plan_id, _Plan())
        place = plan.topics.get(topic, _Topic())
        side = place.dead if dead_letters else place.live
        answers: list[TheoryError | None] = []
        for answer in _newest(side, receipt_handles):
            answers.append(answer if isinstance(answer, TheoryError) else None)
            if isinstance(answer, _Stored):
                del side.messages[answer.message_id]
                plan.messages -= 1
                plan.size_bytes -= len(answer.body)
        return answers

    async def nack_many(
        self, plan_id: str, topic: str, items: Sequence[QueueNack], *, dead_letters: bool
    ) -> list[TheoryError | None]:
        now = self._clock.now()
        plan = self._plans.get(plan_id, _Plan())
        changes: list[Change] = []
        answers: list[TheoryError | None] = []
        for item in items:
            shown = self._show(plan, topic, item.receipt_handle, now, item.delay_s, dead_letters=dead_letters)
            answers.append(shown if isinstance(shown, TheoryError) else None)
            if isinstance(shown, _Stored) and plan.event_every:
                changes.append(queue_retry(topic, item.delay_s, shown.receive_count))
        self._teller.tell(plan_id, changes, every=plan.event_every)
        return answers

    async def extend_many(
        self, plan_id: str, topic: str, items: Sequence[QueueExtend], *, dead_letters: bool
    ) -> list[TheoryError | None]:
        now = self._clock.now()
        plan = self._plans.get(plan_id, _Plan())
        shown = [
            self._show(plan, topic, each.receipt_handle, now, each.visibility_timeout_s, dead_letters=dead_letters)
            for each in items
        ]
        return [each if isinstance(each, TheoryError) else None for each in shown]

    async def redrive_many(self, plan_id: str, topic: str, receipt_handles: Sequence[str]) -> list[TheoryError | None]:
        now = self._clock.now()
        place = self._plans.get(plan_id, _Plan()).topics.get(topic, _Topic())
        answers: list[TheoryError | None] = []
        for answer in _newest(place.dead, receipt_handles):
            answers.append(answer if isinstance(answer, TheoryError) else None)
            if isinstance(answer, _Stored):
                del place.dead.messages[answer.message_id]
                answer.forgiven = answer.deliveries
                place.live.show(answer, now)
        return answers

    async def stats(self, plan_id: str) -> list[TopicStats]:
        now = self._clock.now()
        topics = self._plans.get(plan_id, _Plan()).topics
        return [_stats(name, topics[name], now) for name in sorted(topics)]

    async def begin_plan(self, plan_id: str, event_every: int) -> None:
        self._open_plan(plan_id).event_every = event_every

    async def end_plan(self, plan_id: str) -> None:
        if not self._plans.get(plan_id, _Plan()).ended:
            self._ended.append((self._clock.now() + ENDED_KEPT, plan_id))
        self._plans[plan_id] = _Plan(ended=True)
        self._teller.forget(plan_id)

    def _open_plan(self, plan_id: str) -> _Plan:
        plan = self._plans.get(plan_id)
        if plan is None:
            plan = self._plans[plan_id] = _Plan()
        elif plan.ended:
            raise refusals.plan_ended(plan_id)
        return plan

    def _place(self, plan: _Plan, topic: str, max_receives: int | None) -> _Topic | Exhausted:
        place = plan.topics.get(topic)
        if place is None:
            if len(plan.topics) >= self._quotas.topics:
                return refusals.too_many_topics(self._quotas)
            place = plan.topics[topic] = _Topic(max_receives or 0)
        elif max_receives is not None and max_receives != place.max_receives:
            raise refusals.topic_taken(place.max_receives)
        return place

    def _refusal(self, plan: _Plan, item: QueuePublish) -> Exhausted | None:
        if plan.messages >= self._quotas.messages:
            return refusals.too_many_messages(self._quotas)
        if plan.size_bytes + len(item.body) > self._quotas.size_bytes:
            return refusals.too_many_bytes(self._quotas)
        return None

    def _show(
        self, plan: _Plan, topic: str, receipt_handle: str, now: datetime, after_s: int, *, dead_letters: bool
    ) -> _Stored | TheoryError:
        place = plan.topics.get(topic, _Topic())
        side = place.dead if dead_letters else place.live
        [found] = _newest(side, [receipt_handle])
        if isinstance(found, _Stored):
            side.show(found, now + timedelta(seconds=after_s))
        return found

    def _sweep(self, now: datetime, items: int) -> None:
        """Forget a few idempotency keys whose time is over, and plans that ended long ago."""
        for _ in range(max(SWEEP, items)):
            if not self._forget or self._forget[0][0] > now:
                break
            forget_time, plan_id, key = self._forget.popleft()
            plan = self._plans.get(plan_id)
            if plan is not None and key in plan.keys and plan.keys[key][1] == forget_time:
                del plan.keys[key]
        while self._ended and self._ended[0][0] <= now:
            self._plans.pop(self._ended.popleft()[1], None)


def _newest(side: _Side, receipt_handles: Iterable[str]) -> Iterator[_Stored | TheoryError]:
    """The message of each handle that is its newest delivery; looked for one after the other."""
    for receipt_handle in receipt_handles:
        found = delivery.newest(receipt_handle, side.count_of)
        yield found if isinstance(found, TheoryError) else side.messages[found]


def _delivered(message: _Stored) -> Message:
    return Message(
        message.message_id,
        message.body,
        delivery.handle_of(message.message_id, message.deliveries),
        message.receive_count,
        message.publish_time,
    )


def _stats(name: str, topic: _Topic, now: datetime) -> TopicStats:
    messages = topic.live.messages.values()
    visible = sum(each.visible_time <= now for each in messages)
    delayed = sum(each.visible_time > now and not each.deliveries for each in messages)
    return TopicStats(name, visible, len(messages) - visible - delayed, delayed, len(topic.dead.messages))
