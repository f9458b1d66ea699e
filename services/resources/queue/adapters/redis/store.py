"""Messages of a topic in one sorted set, by when they become visible; whatever is done to them is one script."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import cast

from services.drivers.redis import Argument, Outbox, Redis, Script, scratch
from services.resources.queue.adapters import delivery, refusals
from services.resources.queue.adapters.redis.scripts import PARTS, Scripts, Storage, plan_keys, topic_keys
from services.resources.queue.ports import (
    KEY_KEPT,
    REPLY_BYTES,
    SWEEP,
    Consumed,
    QueueFeature,
    QueueQuotas,
    Wake,
)
from theory.core.adapters import Message, Published, QueueExtend, QueueNack, QueuePublish, TopicStats
from theory.core.errors import TheoryError
from theory.core.ids import IdSource
from theory.core.scratch import ENDED_KEPT, Change, queue_deadletter, queue_published, queue_retry

_ENDED = -1
_TAKEN = -2
_US = timedelta(microseconds=1)
_SECOND_US = 1_000_000

_MOST_MOVES = 1_000
"""How many messages one consume moves to the dead letters; the next one goes on."""

_COUNT_BY_LETTER = {"u": None, "s": -1}
"""How often a message was handed out, as far as a refused handle is concerned: it is gone, or another number."""


def read_change(text: str) -> Change:
    """What the scripts wrote of a change."""
    kind, *facts = text.split(" ")
    if kind == "published":
        size_bytes, depth, topic = facts
        return queue_published(topic, int(size_bytes), int(depth))
    if kind == "retry":
        delay_s, receive_count, topic = facts
        return queue_retry(topic, int(delay_s), int(receive_count))
    if kind == "deadletter":
        receive_count, topic = facts
        return queue_deadletter(topic, int(receive_count))
    raise ValueError(text)


class RedisQueue:
    """A script runs to its end before another begins: that makes each batch one step. The server's clock decides."""

    durable = True
    features = frozenset(QueueFeature) - {QueueFeature.STABLE}
    redelivery_slack_s = 0

    def __init__(self, redis: Redis, outbox: Outbox, quotas: QueueQuotas, storage: Storage, ids: IdSource) -> None:
        self.kind = storage.kind
        self._redis = redis
        self._outbox = outbox
        self._quotas = quotas
        self._place = storage.place
        self._publish_time = storage.publish_time
        self._scripts = Scripts(storage)
        self._ids = ids
        self._replica = ids.token_hex(8)
        self._channel = f"theory:{storage.place}:{redis.db}"

    def subscribe(self, wake: Wake) -> None:
        def hear(said: bytes) -> None:
            replica, plan_id, topic = said.decode().split(" ")
            if replica != self._replica:  # what this one does its rules know
                wake(plan_id, topic)

        self._redis.subscribe(self._channel, hear)

    async def publish_many(
        self, plan_id: str, topic: str, items: Sequence[QueuePublish], max_receives: int | None
    ) -> list[Published | TheoryError]:
        quotas = self._quotas
        arguments: list[Argument] = ["" if max_receives is None else max_receives]
        arguments += (quotas.topics, quotas.messages, quotas.size_bytes)
        arguments += (max(SWEEP, len(items)), KEY_KEPT // _US, self._ids.token_hex(8))
        for item in items:
            arguments += (item.body, item.idempotency_key or "", item.delay_s)
        kept, answers = cast("tuple[int, bytes]", await self._run(self._scripts.publish, plan_id, topic, arguments))
        if kept == _TAKEN:
            raise refusals.topic_taken(int(answers))
        return [self._published(each) for each in answers.decode().split(" ")]

    async def consume(
        self, *, plan_id: str, topic: str, dead_letters: bool, max_messages: int, visibility_timeout_s: int
    ) -> Consumed:
        arguments = [dead_letters + 0, max_messages, visibility_timeout_s * _SECOND_US, REPLY_BYTES, _MOST_MOVES]
        reply = await self._run(self._scripts.consume, plan_id, topic, arguments)
        _, next_us, heads, bodies = cast("tuple[int, int, bytes, bytes]", reply)
        messages: list[Message] = []
        at = 0
        words = iter(heads.decode().split())
        for message_id, count, receives, size in zip(words, words, words, words, strict=True):
            begin, at = at, at + int(size)
            handle = delivery.handle_of(message_id, int(count))
            published = self._publish_time(message_id)
            messages.append(Message(message_id, bodies[begin:at], handle, int(receives), published))
        return Consumed(messages, None if next_us < 0 else next_us / _SECOND_US)

    async def ack_many(
        self, plan_id: str, topic: str, receipt_handles: Sequence[str], *, dead_letters: bool
    ) -> list[TheoryError | None]:
        named = [word for handle in receipt_handles for word in _named(handle)]
        return await self._settle(self._scripts.ack, plan_id, topic, [dead_letters + 0, *named], receipt_handles)

    async def nack_many(
        self, plan_id: str, topic: str, items: Sequence[QueueNack], *, dead_letters: bool
    ) -> list[TheoryError | None]:
        shown = [(item.receipt_handle, item.delay_s) for item in items]
        return await self._show(plan_id, topic, shown, dead_letters=dead_letters, given_back=True)

    async def extend_many(
        self, plan_id: str, topic: str, items: Sequence[QueueExtend], *, dead_letters: bool
    ) -> list[TheoryError | None]:
        shown = [(item.receipt_handle, item.visibility_timeout_s) for item in items]
        return await self._show(plan_id, topic, shown, dead_letters=dead_letters, given_back=False)

    async def redrive_many(self, plan_id: str, topic: str, receipt_handles: Sequence[str]) -> list[TheoryError | None]:
        named: list[Argument] = [word for handle in receipt_handles for word in _named(handle)]
        return await self._settle(self._scripts.redrive, plan_id, topic, named, receipt_handles)

    async def stats(self, plan_id: str) -> list[TopicStats]:
        reply = await self._redis.run(self._scripts.stats, plan_keys(plan_id, self._place), repeat=True)
        words = iter(cast("bytes", reply).decode().split())
        told = zip(words, words, words, words, words, strict=True)
        counts = [TopicStats(topic, *map(int, figures)) for topic, *figures in told]
        return sorted(counts, key=lambda each: each.topic)

    async def begin_plan(self, plan_id: str, event_every: int) -> None:
        if not await self._redis.run(scratch.BEGIN, plan_keys(plan_id, self._place), [event_every], repeat=True):
            raise refusals.plan_ended(plan_id)

    async def end_plan(self, plan_id: str) -> None:
        kept_ms = ENDED_KEPT // timedelta(milliseconds=1)
        await self._redis.run(self._scripts.end, plan_keys(plan_id, self._place), (kept_ms, *PARTS), repeat=True)

    async def _show(
        self, plan_id: str, topic: str, items: Sequence[tuple[str, int]], *, dead_letters: bool, given_back: bool
    ) -> list[TheoryError | None]:
        arguments: list[Argument] = [dead_letters + 0, given_back + 0]
        for handle, after_s in items:
            arguments += (*_named(handle), after_s)
        handles = [handle for handle, _ in items]
        return await self._settle(self._scripts.show, plan_id, topic, arguments, handles)

    async def _settle(
        self, script: Script, plan_id: str, topic: str, arguments: Iterable[Argument], receipt_handles: Sequence[str]
    ) -> list[TheoryError | None]:
        _, letters = cast("tuple[int, bytes]", await self._run(script, plan_id, topic, arguments))
        return [_refusal(*each) for each in zip(letters.decode(), receipt_handles, strict=True)]

    async def _run(self, script: Script, plan_id: str, topic: str, arguments: Iterable[Argument]) -> Sequence[object]:
        """What a script returns that changes a topic; its events leave soon."""
        keys = topic_keys(plan_id, self._place, topic)
        common = (self._channel, f"{self._replica} {plan_id} {topic}", topic)
        reply = cast("Sequence[int]", await self._redis.run(script, keys, (*common, *arguments)))
        if reply[0] > 0:
            self._outbox.poke(plan_id)
        elif reply[0] == _ENDED:
            raise refusals.plan_ended(plan_id)
        return reply

    def _published(self, answer: str) -> Published | TheoryError:
        if answer == "t":
            return refusals.too_many_topics(self._quotas)
        if answer == "m":
            return refusals.too_many_messages(self._quotas)
        if answer == "b":
            return refusals.too_many_bytes(self._quotas)
        return Published(answer[1:], duplicate=answer[0] == "=")


def _named(receipt_handle: str) -> tuple[str, str]:
    message_id, _, count = receipt_handle.partition(":")
    return message_id, count


def _refusal(letter: str, receipt_handle: str) -> TheoryError | None:
    if letter == ".":
        return None
    found = delivery.newest(receipt_handle, lambda _: _COUNT_BY_LETTER[letter])
    return found if isinstance(found, TheoryError) else None
