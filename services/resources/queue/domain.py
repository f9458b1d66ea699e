"""What queues promise, whichever store holds them: limits, and handles that fit their own plan and topic alone."""

import hmac
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from blake3 import blake3

from services.resources.queue.ports import (
    MAX_BODY_BYTES,
    MAX_HIDDEN_S,
    MAX_ITEMS,
    MAX_KEY_CHARACTERS,
    MAX_MESSAGES,
    MAX_TOPIC_CHARACTERS,
    QueueStore,
)
from theory.core.adapters import Message, Published, QueueExtend, QueueNack, QueuePublish
from theory.core.errors import Invalid, TheoryError, shown

_Item = TypeVar("_Item")
_Sound = TypeVar("_Sound")
_Answer = TypeVar("_Answer")

_is_topic = re.compile(rf"[A-Za-z0-9._-]{{1,{MAX_TOPIC_CHARACTERS}}}").fullmatch
_is_key = re.compile(rf"[ -~]{{1,{MAX_KEY_CHARACTERS}}}").fullmatch

_SEAL_CONTEXT = "theory/v1/receipt-handle"
_SEAL_BYTES = 16
_MAX_HANDLE_CHARACTERS = 1_024


class Queue:
    """The batch half of `theory.core.adapters.QueueAdapter`, for anyone: a bad item gets its error and stops no other.

    `Invalid` for the call as a whole: `TOPIC_INVALID`; `BATCH_SIZE` for a batch that is empty or over the limit.
    `key` is the secret by which handles are known again; those given out under another key are invalid.
    """

    def __init__(self, store: QueueStore, *, key: bytes) -> None:
        self._store = store
        self._key = blake3(key, derive_key_context=_SEAL_CONTEXT).digest()

    async def publish_many(
        self, plan_id: str, topic: str, items: Sequence[QueuePublish]
    ) -> list[Published | TheoryError]:
        """Add."""
        _require_topic(topic)
        return await _each(items, _admitted, lambda sound: self._store.publish_many(plan_id, topic, sound))

    async def consume(
        self, *, plan_id: str, topic: str, max_messages: int = 1, visibility_timeout_s: int = 30
    ) -> list[Message]:
        """Hand out. `Invalid` (`MAX_MESSAGES_INVALID`, `VISIBILITY_INVALID`) for a figure out of range."""
        _require_topic(topic)
        if not 1 <= max_messages <= MAX_MESSAGES:
            bounds = {"min": "1", "max": str(MAX_MESSAGES)}
            raise Invalid("MAX_MESSAGES_INVALID", f"a consume asks for 1 to {MAX_MESSAGES} messages", **bounds)
        if fault := _visibility_fault(visibility_timeout_s):
            raise fault
        messages = await self._store.consume(
            plan_id=plan_id, topic=topic, max_messages=max_messages, visibility_timeout_s=visibility_timeout_s
        )
        seal = self._seal(plan_id, topic)
        return [
            Message(each.message_id, each.body, seal.put_on(each.receipt_handle), each.receive_count, each.publish_time)
            for each in messages
        ]

    async def ack_many(self, plan_id: str, topic: str, receipt_handles: Sequence[str]) -> list[TheoryError | None]:
        """Remove."""
        _require_topic(topic)
        seal = self._seal(plan_id, topic)
        return await _each(receipt_handles, seal.take_off, lambda sound: self._store.ack_many(plan_id, topic, sound))

    async def nack_many(self, plan_id: str, topic: str, items: Sequence[QueueNack]) -> list[TheoryError | None]:
        """Give back."""
        _require_topic(topic)
        seal = self._seal(plan_id, topic)

        def admit(item: QueueNack) -> QueueNack | Invalid:
            handle = seal.take_off(item.receipt_handle)
            if isinstance(handle, Invalid):
                return handle
            return _delay_fault(item.delay_s) or QueueNack(handle, item.delay_s)

        return await _each(items, admit, lambda sound: self._store.nack_many(plan_id, topic, sound))

    async def extend_many(self, plan_id: str, topic: str, items: Sequence[QueueExtend]) -> list[TheoryError | None]:
        """Keep hidden."""
        _require_topic(topic)
        seal = self._seal(plan_id, topic)

        def admit(item: QueueExtend) -> QueueExtend | Invalid:
            handle = seal.take_off(item.receipt_handle)
            if isinstance(handle, Invalid):
                return handle
            return _visibility_fault(item.visibility_timeout_s) or QueueExtend(handle, item.visibility_timeout_s)

        return await _each(items, admit, lambda sound: self._store.extend_many(plan_id, topic, sound))

    async def end_plan(self, plan_id: str) -> None:
        """Remove all."""
        await self._store.end_plan(plan_id)

    def _seal(self, plan_id: str, topic: str) -> "_Seal":
        return _Seal(self._key, plan_id, topic)


class _Seal:
    """Binds the handles of a store to their plan and topic, so that none works anywhere else."""

    def __init__(self, key: bytes, plan_id: str, topic: str) -> None:
        self._key = key
        self._where = f"{plan_id}\0{topic}\0"  # neither holds a NUL: no two places read alike

    def put_on(self, handle: str) -> str:
        """The handle as it goes out."""
        return f"{handle}.{self._proof(handle)}"

    def take_off(self, sealed: str) -> str | Invalid:
        """The handle of the store; `Invalid` where it never went out for this place."""
        if len(sealed) <= _MAX_HANDLE_CHARACTERS:
            handle, _, proof = sealed.rpartition(".")
            if hmac.compare_digest(self._proof(handle).encode(), proof.encode()):
                return handle
        return Invalid("RECEIPT_INVALID", "not a handle of this plan and topic")

    def _proof(self, handle: str) -> str:
        return blake3((self._where + handle).encode(), key=self._key).hexdigest(length=_SEAL_BYTES)


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
