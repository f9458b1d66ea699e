"""The rules of queues: limits, sealed handles, waiting; a bad item gets its error and stops no other."""

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

from services.resources.queue.domain.seal import Opened, Seal, Sealer
from services.resources.queue.domain.waiting import Waiters
from services.resources.queue.ports import (
    MAX_BODY_BYTES,
    MAX_HIDDEN_S,
    MAX_ITEMS,
    MAX_KEY_CHARACTERS,
    MAX_MESSAGES,
    MAX_RECEIVES,
    MAX_TOPIC_CHARACTERS,
    MAX_WAIT_S,
    Consumed,
    QueueStore,
)
from theory.core.adapters import Message, Published, QueueExtend, QueueNack, QueuePublish, TopicStats
from theory.core.clock import Clock
from theory.core.errors import Invalid, TheoryError, shown
from theory.core.grant import AttemptGrant
from theory.core.scratch import check_event_every

_Item = TypeVar("_Item")
_Sound = TypeVar("_Sound")
_Answer = TypeVar("_Answer")

_is_topic = re.compile(rf"[A-Za-z0-9._-]{{1,{MAX_TOPIC_CHARACTERS}}}").fullmatch
_is_key = re.compile(rf"[ -~]{{1,{MAX_KEY_CHARACTERS}}}").fullmatch

_ANSWERED_WITHIN_S = 0.25
"""What a waiting consumer leaves of its call's time for the answer."""


class Queue:
    """The batch half of `theory.core.adapters.QueueAdapter`, for anyone.

    `Invalid` for the call as a whole: `TOPIC_INVALID`; `BATCH_SIZE` for a batch that is empty or over the limit.
    Where an `attempt` calls, the plan is its own and the topic one that it may use: `Denied` (`ATTEMPT_DENIED`).
    `key` is the secret by which handles are known again.
    """

    def __init__(self, store: QueueStore, *, key: bytes, clock: Clock) -> None:
        self._store = store
        self._sealer = Sealer(key)
        self._waiters = Waiters(clock)
        store.subscribe(self._waiters.poke)

    async def publish_many(
        self,
        plan_id: str,
        topic: str,
        items: Sequence[QueuePublish],
        *,
        max_receives: int | None = None,
        attempt: AttemptGrant | None = None,
    ) -> list[Published | TheoryError]:
        """Add. `Invalid` (`MAX_RECEIVES_INVALID`) for a figure out of range."""
        _require_own(attempt, plan_id, topic)
        _require_topic(topic)
        if max_receives is not None and not 0 <= max_receives <= MAX_RECEIVES:
            bounds = {"min": "0", "max": str(MAX_RECEIVES)}
            raise Invalid("MAX_RECEIVES_INVALID", f"max_receives is 0 to {MAX_RECEIVES}", **bounds)
        ask = self._store.publish_many
        answers = await _each(items, _admitted, lambda sound: ask(plan_id, topic, sound, max_receives))
        self._waiters.poke(plan_id, topic, sum(isinstance(each, Published) for each in answers))
        return answers

    async def consume(
        self,
        *,
        plan_id: str,
        topic: str,
        max_messages: int = 1,
        visibility_timeout_s: int = 30,
        wait_s: int = 0,
        dead_letters: bool = False,
        time_left_s: float | None = None,
        attempt: AttemptGrant | None = None,
    ) -> list[Message]:
        """Hand out. `time_left_s` is what the caller waits at most: none of it is spent in vain.

        `Invalid` (`MAX_MESSAGES_INVALID`, `VISIBILITY_INVALID`, `WAIT_INVALID`) for a figure out of range.
        """
        _require_own(attempt, plan_id, topic)
        _require_topic(topic)
        if not 1 <= max_messages <= MAX_MESSAGES:
            bounds = {"min": "1", "max": str(MAX_MESSAGES)}
            raise Invalid("MAX_MESSAGES_INVALID", f"a consume asks for 1 to {MAX_MESSAGES} messages", **bounds)
        if fault := _visibility_fault(visibility_timeout_s):
            raise fault
        if not 0 <= wait_s <= MAX_WAIT_S:
            raise Invalid("WAIT_INVALID", f"a wait is 0 to {MAX_WAIT_S} seconds", min="0", max=str(MAX_WAIT_S))

        async def look() -> Consumed:
            return await self._store.consume(
                plan_id=plan_id,
                topic=topic,
                dead_letters=dead_letters,
                max_messages=max_messages,
                visibility_timeout_s=visibility_timeout_s,
            )

        patience_s = wait_s if time_left_s is None else min(wait_s, time_left_s - _ANSWERED_WITHIN_S)
        found = await self._waiters.consume(plan_id, topic, patience_s, look)
        seal = self._sealer.of(plan_id, topic)
        return [
            Message(
                each.message_id,
                each.body,
                seal.put_on(each.receipt_handle, dead_letters=dead_letters),
                each.receive_count,
                each.publish_time,
            )
            for each in found.messages
        ]

    async def ack_many(
        self, plan_id: str, topic: str, receipt_handles: Sequence[str], *, attempt: AttemptGrant | None = None
    ) -> list[TheoryError | None]:
        """Remove."""
        _require_own(attempt, plan_id, topic)
        seal = self._seal(plan_id, topic)
        return await _each(
            receipt_handles,
            seal.take_off,
            lambda opened: _by_side(
                opened,
                lambda each: each,
                lambda sound, dead: self._store.ack_many(
                    plan_id, topic, [handle for handle, _ in sound], dead_letters=dead
                ),
            ),
        )

    async def nack_many(
        self, plan_id: str, topic: str, items: Sequence[QueueNack], *, attempt: AttemptGrant | None = None
    ) -> list[TheoryError | None]:
        """Give back."""
        _require_own(attempt, plan_id, topic)
        seal = self._seal(plan_id, topic)

        def admit(item: QueueNack) -> tuple[Opened, int] | Invalid:
            opened = seal.take_off(item.receipt_handle)
            return opened if isinstance(opened, Invalid) else _delay_fault(item.delay_s) or (opened, item.delay_s)

        answers = await _each(
            items,
            admit,
            lambda sound: _by_side(
                sound,
                lambda each: each[0],
                lambda side, dead: self._store.nack_many(
                    plan_id, topic, [QueueNack(each.handle, delay_s) for each, delay_s in side], dead_letters=dead
                ),
            ),
        )
        self._waiters.poke(plan_id, topic, answers.count(None))
        return answers

    async def extend_many(
        self, plan_id: str, topic: str, items: Sequence[QueueExtend], *, attempt: AttemptGrant | None = None
    ) -> list[TheoryError | None]:
        """Keep hidden."""
        _require_own(attempt, plan_id, topic)
        seal = self._seal(plan_id, topic)

        def admit(item: QueueExtend) -> tuple[Opened, int] | Invalid:
            opened = seal.take_off(item.receipt_handle)
            if isinstance(opened, Invalid):
                return opened
            return _visibility_fault(item.visibility_timeout_s) or (opened, item.visibility_timeout_s)

        return await _each(
            items,
            admit,
            lambda sound: _by_side(
                sound,
                lambda each: each[0],
                lambda side, dead: self._store.extend_many(
                    plan_id, topic, [QueueExtend(each.handle, s) for each, s in side], dead_letters=dead
                ),
            ),
        )

    async def redrive_many(
        self, plan_id: str, topic: str, receipt_handles: Sequence[str], *, attempt: AttemptGrant | None = None
    ) -> list[TheoryError | None]:
        """Bring dead letters back."""
        _require_own(attempt, plan_id, topic)
        seal = self._seal(plan_id, topic)

        def admit(sealed: str) -> str | Invalid:
            opened = seal.take_off(sealed)
            if isinstance(opened, Invalid):
                return opened
            return opened.handle if opened.dead_letters else Invalid("RECEIPT_INVALID", "not a handle of a dead letter")

        ask = self._store.redrive_many
        answers = await _each(receipt_handles, admit, lambda sound: ask(plan_id, topic, sound))
        self._waiters.poke(plan_id, topic, answers.count(None))
        return answers

    async def stats(self, plan_id: str, *, attempt: AttemptGrant | None = None) -> list[TopicStats]:
        """Count; for an attempt the topics alone that it may use."""
        if attempt is not None:
            attempt.require_plan(plan_id)
        stats = await self._store.stats(plan_id)
        topics = None if attempt is None else attempt.topics
        return stats if topics is None else [each for each in stats if each.topic in topics]

    async def begin_plan(self, plan_id: str, *, event_every: int = 0) -> None:
        """Remember. `Invalid` (`EVENT_SAMPLING_INVALID`) for a figure out of range."""
        check_event_every(event_every)
        await self._store.begin_plan(plan_id, event_every)

    async def end_plan(self, plan_id: str) -> None:
        """Remove all."""
        await self._store.end_plan(plan_id)

    def _seal(self, plan_id: str, topic: str) -> Seal:
        _require_topic(topic)
        return self._sealer.of(plan_id, topic)


def _require_own(attempt: AttemptGrant | None, plan_id: str, topic: str) -> None:
    if attempt is not None:
        attempt.require_plan(plan_id)
        attempt.require_topic(topic)


async def _each(
    items: Sequence[_Item],
    admit: Callable[[_Item], _Sound | Invalid],
    ask: Callable[[Sequence[_Sound]], Awaitable[list[_Answer]]],
) -> list[_Answer | Invalid]:
    """Ask for the sound items together; the others are answered by their faults, each in its place."""
    if not 0 < len(items) <= MAX_ITEMS:
        raise Invalid("BATCH_SIZE", f"a batch has 1 to {MAX_ITEMS} items", max=str(MAX_ITEMS))
    admitted = [admit(item) for item in items]
    sound = [each for each in admitted if not isinstance(each, Invalid)]
    answers = iter(await ask(sound) if sound else ())
    return [each if isinstance(each, Invalid) else next(answers) for each in admitted]


async def _by_side(
    items: Sequence[_Sound],
    opened: Callable[[_Sound], Opened],
    ask: Callable[[Sequence[_Sound], bool], Awaitable[list[_Answer]]],
) -> list[_Answer]:
    """Ask for the items of each side of the topic together; one call where they are of one side, as nearly always."""
    sides = [opened(each).dead_letters for each in items]
    answers: dict[bool, Iterator[_Answer]] = {}
    for dead_letters in sorted(set(sides)):
        side = [each for each, dead in zip(items, sides, strict=True) if dead is dead_letters]
        answers[dead_letters] = iter(await ask(side, dead_letters))
    return [next(answers[dead_letters]) for dead_letters in sides]


def _require_topic(topic: str) -> None:
    if not _is_topic(topic):
        rule = f"a topic has 1 to {MAX_TOPIC_CHARACTERS} letters, digits, '.', '_' and '-'"
        raise Invalid("TOPIC_INVALID", rule, value=shown(topic))


def _admitted(item: QueuePublish) -> QueuePublish | Invalid:
    if len(item.body) > MAX_BODY_BYTES:
        return Invalid("BODY_TOO_LARGE", "a body has at most 256 KiB", max_bytes=str(MAX_BODY_BYTES))
    if item.idempotency_key is not None and not _is_key(item.idempotency_key):
        rule = f"an idempotency key has 1 to {MAX_KEY_CHARACTERS} printable ASCII characters"
        return Invalid("IDEMPOTENCY_KEY_INVALID", rule)
    return _delay_fault(item.delay_s) or item


def _delay_fault(delay_s: int) -> Invalid | None:
    if 0 <= delay_s <= MAX_HIDDEN_S:
        return None
    return Invalid("DELAY_INVALID", f"a delay is 0 to {MAX_HIDDEN_S} seconds", min="0", max=str(MAX_HIDDEN_S))


def _visibility_fault(timeout_s: int) -> Invalid | None:
    if 1 <= timeout_s <= MAX_HIDDEN_S:
        return None
    sentence = f"a visibility timeout is 1 to {MAX_HIDDEN_S} seconds"
    return Invalid("VISIBILITY_INVALID", sentence, min="1", max=str(MAX_HIDDEN_S))
