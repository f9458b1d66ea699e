"""The client of queues: single calls that travel in batches, and the batches themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import TypeAlias

import grpc

from theory.api.resources.v1 import queue_pb2
from theory.api.resources.v1.queue_pb2_grpc import QueueServiceStub
from theory.core.adapters import Message, Published, QueueExtend, QueueNack, QueuePublish, TopicStats
from theory.core.errors import Invalid, TheoryError, shown
from theory.sdk import sendable
from theory.sdk.places import PlaceCoalescer
from theory.sdk.rpc import answers, features_of, fitting, outcomes
from theory.sdk.sharing import shared_out
from theory.wire.channel import call

MAX_ITEMS = 100
MAX_BATCH_BYTES = 6 * 1024 * 1024

_ITEM_BYTES = 256
_MAX_MESSAGES = 30
_BOUNDS_OF_DELAY = {"min": "0", "max": "43200"}
_BOUNDS_OF_VISIBILITY = {"min": "1", "max": "43200"}
_BOUNDS_OF_MESSAGES = {"min": "1", "max": "30"}
_BOUNDS_OF_WAIT = {"min": "0", "max": "20"}
_BOUNDS_OF_RECEIVES = {"min": "0", "max": "1000"}

_Place: TypeAlias = tuple[str, str]
"""Plan and topic."""
_PublishPlace: TypeAlias = tuple[str, str, int | None]
"""Plan, topic and what is said of its `max_receives`."""
_ConsumePlace: TypeAlias = tuple[str, str, int, bool]
"""Plan, topic, visibility timeout, and whether dead letters are meant."""


@dataclass(frozen=True, slots=True)
class QueueCapabilities:
    """What the store is, and the limits it keeps."""

    adapter: str
    durable: bool
    max_body_bytes: int
    max_visibility_s: int
    max_messages: int
    features: frozenset[str]
    """What it offers beyond the common promises, such as `FENCED_HANDLES`."""
    max_wait_s: int
    redelivery_slack_s: int
    """How much later than promised a message may become visible."""
    max_plan_topics: int
    max_plan_messages: int
    max_plan_bytes: int


class QueueClient:
    """`theory.core.adapters.QueueAdapter` over the wire. Raises only `TheoryError`, or `TimeoutError`.

    Single calls of one turn of the event loop, for one topic, make one RPC, consumes too; a consume that waits is one
    by itself. The batch forms take any number of items and send as many RPCs as they need, one after the other.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = QueueServiceStub(channel)
        self._publish: PlaceCoalescer[_PublishPlace, QueuePublish, Published] = PlaceCoalescer(
            lambda place, items: self.publish_many(place[0], place[1], items, max_receives=place[2]),
            max_items=MAX_ITEMS,
            max_bytes=MAX_BATCH_BYTES,
            size_of=_size_of,
        )
        self._consume: PlaceCoalescer[_ConsumePlace, int, list[Message]] = PlaceCoalescer(
            self._consume_together, max_items=_MAX_MESSAGES, max_bytes=_MAX_MESSAGES, size_of=lambda wanted: wanted
        )
        self._ack: PlaceCoalescer[_Place, str, None] = PlaceCoalescer(
            lambda place, items: self.ack_many(*place, items), max_items=MAX_ITEMS
        )
        self._nack: PlaceCoalescer[_Place, QueueNack, None] = PlaceCoalescer(
            lambda place, items: self.nack_many(*place, items), max_items=MAX_ITEMS
        )
        self._extend: PlaceCoalescer[_Place, QueueExtend, None] = PlaceCoalescer(
            lambda place, items: self.extend_many(*place, items), max_items=MAX_ITEMS
        )
        self._redrive: PlaceCoalescer[_Place, str, None] = PlaceCoalescer(
            lambda place, items: self.redrive_many(*place, items), max_items=MAX_ITEMS
        )

    async def capabilities(self) -> QueueCapabilities:
        """What the store is, and the limits it keeps."""
        found = await call(self._stub.GetCapabilities, queue_pb2.QueueServiceGetCapabilitiesRequest())
        return QueueCapabilities(
            found.adapter,
            found.durable,
            found.max_body_bytes,
            found.max_visibility_s,
            found.max_messages,
            features_of(queue_pb2.QueueFeature.items(), found.features, "QUEUE_FEATURE_"),
            found.max_wait_s,
            found.redelivery_slack_s,
            found.max_plan_topics,
            found.max_plan_messages,
            found.max_plan_bytes,
        )

    async def publish(
        self,
        *,
        plan_id: str,
        topic: str,
        body: bytes,
        idempotency_key: str | None = None,
        delay_s: int = 0,
        max_receives: int | None = None,
    ) -> str:
        """Add a message, visible after `delay_s` seconds, and return its id.

        A known `idempotency_key` (10 minutes, beyond an acknowledgement too) adds nothing and returns the first id.
        Without one the message may be there twice after a lost answer.

        The first publish to a topic fixes `max_receives`: after so many deliveries without an ack a message goes to the
        dead letters; None and 0 stand for never. `AlreadyExists` (`TOPIC_TAKEN`) where another figure is given later.
        """
        item = QueuePublish(body, idempotency_key, delay_s)
        return (await self._publish((plan_id, topic, max_receives), item)).message_id

    async def consume(
        self,
        *,
        plan_id: str,
        topic: str,
        max_messages: int = 1,
        visibility_timeout_s: int = 30,
        wait_s: int = 0,
        dead_letters: bool = False,
    ) -> list[Message]:
        """Hand out at most `max_messages` visible messages (1 to 30), or dead letters. A repeat hands out others.

        Where there is nothing it waits up to `wait_s` seconds (0 to 20) for something, and returns with the first.
        """
        _require_place(plan_id, topic)
        if max_messages < 1 or max_messages not in sendable.INT32:
            raise Invalid("MAX_MESSAGES_INVALID", "max_messages is out of range", **_BOUNDS_OF_MESSAGES)
        if fault := _visibility_fault(visibility_timeout_s):
            raise fault
        if wait_s not in sendable.INT32:
            raise Invalid("WAIT_INVALID", "a wait is out of range", **_BOUNDS_OF_WAIT)
        place = (plan_id, topic, visibility_timeout_s, dead_letters)
        return await (
            self._consume_sound(place, max_messages, wait_s) if wait_s else self._consume(place, max_messages)
        )

    async def ack(self, *, plan_id: str, topic: str, receipt_handle: str) -> None:
        """Take the message of this delivery out of the queue.

        `NotReady` (`RECEIPT_SUPERSEDED`) after a newer delivery; `NotFound` (`MESSAGE_UNKNOWN`) after an ack, also
        where only its answer was lost; `Invalid` (`RECEIPT_INVALID`).
        """
        await self._ack((plan_id, topic), receipt_handle)

    async def nack(self, *, plan_id: str, topic: str, receipt_handle: str, delay_s: int = 0) -> None:
        """Give the message back; it is delivered again after `delay_s` seconds. Errors as `ack`."""
        await self._nack((plan_id, topic), QueueNack(receipt_handle, delay_s))

    async def extend(self, *, plan_id: str, topic: str, receipt_handle: str, visibility_timeout_s: int) -> None:
        """Keep the message hidden for `visibility_timeout_s` seconds from now. Errors as `ack`."""
        await self._extend((plan_id, topic), QueueExtend(receipt_handle, visibility_timeout_s))

    async def redrive(self, *, plan_id: str, topic: str, receipt_handle: str) -> None:
        """Bring the dead letter of this delivery back: visible at once, counted from 1 again. Errors as `ack`."""
        await self._redrive((plan_id, topic), receipt_handle)

    async def publish_many(
        self, plan_id: str, topic: str, items: Sequence[QueuePublish], *, max_receives: int | None = None
    ) -> list[Published | TheoryError]:
        """`publish` of each item, each with its delay."""
        if max_receives is not None and max_receives not in sendable.INT32:
            raise Invalid("MAX_RECEIVES_INVALID", "max_receives is out of range", **_BOUNDS_OF_RECEIVES)
        return await sendable.ask(
            items, _publish_fault, lambda sound: self._publish_sound(plan_id, topic, sound, max_receives)
        )

    async def ack_many(self, plan_id: str, topic: str, receipt_handles: Sequence[str]) -> list[TheoryError | None]:
        """`ack` of each handle."""
        return await sendable.ask(receipt_handles, _handle_fault, lambda sound: self._ack_sound(plan_id, topic, sound))

    async def nack_many(self, plan_id: str, topic: str, items: Sequence[QueueNack]) -> list[TheoryError | None]:
        """`nack` of each item."""
        return await sendable.ask(items, _nack_fault, lambda sound: self._nack_sound(plan_id, topic, sound))

    async def extend_many(self, plan_id: str, topic: str, items: Sequence[QueueExtend]) -> list[TheoryError | None]:
        """`extend` of each item."""
        return await sendable.ask(items, _extend_fault, lambda sound: self._extend_sound(plan_id, topic, sound))

    async def redrive_many(self, plan_id: str, topic: str, receipt_handles: Sequence[str]) -> list[TheoryError | None]:
        """`redrive` of each handle."""
        return await sendable.ask(
            receipt_handles, _handle_fault, lambda sound: self._redrive_sound(plan_id, topic, sound)
        )

    async def stats(self, plan_id: str) -> list[TopicStats]:
        """The counts of each topic of the plan, by name."""
        _require_place(plan_id, "")
        found = await call(self._stub.GetStats, queue_pb2.GetStatsRequest(plan_id=plan_id))
        return [TopicStats(each.topic, each.visible, each.hidden, each.delayed, each.dead) for each in found.topics]

    async def begin_plan(self, plan_id: str, *, event_every: int = 0) -> None:
        """Make each `event_every`-th change an event of the plan's chain; 0 for none. For the executor's identity."""
        _require_place(plan_id, "")
        if event_every not in sendable.INT32:
            raise Invalid("EVENT_SAMPLING_INVALID", "event_every is out of range", min="0", max="1000000")
        request = queue_pb2.QueueServiceBeginPlanRequest(plan_id=plan_id, event_every=event_every)
        await call(self._stub.BeginPlan, request)

    async def end_plan(self, plan_id: str) -> None:
        """Forget every topic of the plan, and take none any more. For the executor's identity."""
        _require_place(plan_id, "")
        await call(self._stub.EndPlan, queue_pb2.QueueServiceEndPlanRequest(plan_id=plan_id))

    async def _consume_together(
        self, place: _ConsumePlace, wanted: Sequence[int]
    ) -> Sequence[list[Message] | TheoryError]:
        return shared_out(await self._consume_sound(place, sum(wanted), 0), wanted)

    async def _consume_sound(self, place: _ConsumePlace, max_messages: int, wait_s: int) -> list[Message]:
        plan_id, topic, visibility_timeout_s, dead_letters = place
        request = queue_pb2.ConsumeRequest(
            plan_id=plan_id,
            topic=topic,
            max_messages=max_messages,
            visibility_timeout_s=visibility_timeout_s,
            wait_s=wait_s,
            dead_letters=dead_letters,
        )
        return [_message(each) for each in (await call(self._stub.Consume, request)).messages]

    async def _publish_sound(
        self, plan_id: str, topic: str, items: Sequence[QueuePublish], max_receives: int | None
    ) -> list[Published | TheoryError]:
        _require_place(plan_id, topic)
        published: list[Published | TheoryError] = []
        for batch in fitting(items, max_items=MAX_ITEMS, max_bytes=MAX_BATCH_BYTES, size_of=_size_of):
            request = queue_pb2.PublishRequest(plan_id=plan_id, topic=topic, max_receives=max_receives)
            for item in batch:
                request.items.add(body=item.body, idempotency_key=item.idempotency_key, delay_s=item.delay_s)
            response = await call(self._stub.Publish, request)
            published += answers(response.results, lambda each: Published(each.message_id, each.duplicate))
        return published

    async def _ack_sound(self, plan_id: str, topic: str, handles: Sequence[str]) -> list[TheoryError | None]:
        _require_place(plan_id, topic)
        ended: list[TheoryError | None] = []
        for batch in fitting(handles, max_items=MAX_ITEMS):
            request = queue_pb2.AckRequest(plan_id=plan_id, topic=topic, receipt_handles=batch)
            ended += outcomes((await call(self._stub.Ack, request)).statuses)
        return ended

    async def _redrive_sound(self, plan_id: str, topic: str, handles: Sequence[str]) -> list[TheoryError | None]:
        _require_place(plan_id, topic)
        ended: list[TheoryError | None] = []
        for batch in fitting(handles, max_items=MAX_ITEMS):
            request = queue_pb2.RedriveRequest(plan_id=plan_id, topic=topic, receipt_handles=batch)
            ended += outcomes((await call(self._stub.Redrive, request)).statuses)
        return ended

    async def _nack_sound(self, plan_id: str, topic: str, items: Sequence[QueueNack]) -> list[TheoryError | None]:
        _require_place(plan_id, topic)
        ended: list[TheoryError | None] = []
        for batch in fitting(items, max_items=MAX_ITEMS):
            request = queue_pb2.NackRequest(plan_id=plan_id, topic=topic)
            for item in batch:
                request.items.add(receipt_handle=item.receipt_handle, delay_s=item.delay_s)
            ended += outcomes((await call(self._stub.Nack, request)).statuses)
        return ended

    async def _extend_sound(self, plan_id: str, topic: str, items: Sequence[QueueExtend]) -> list[TheoryError | None]:
        _require_place(plan_id, topic)
        ended: list[TheoryError | None] = []
        for batch in fitting(items, max_items=MAX_ITEMS):
            request = queue_pb2.ExtendRequest(plan_id=plan_id, topic=topic)
            for item in batch:
                request.items.add(receipt_handle=item.receipt_handle, visibility_timeout_s=item.visibility_timeout_s)
            ended += outcomes((await call(self._stub.Extend, request)).statuses)
        return ended


def _message(message: queue_pb2.Message) -> Message:
    return Message(
        message.message_id,
        message.body,
        message.receipt_handle,
        message.receive_count,
        message.publish_time.ToDatetime(UTC),
    )


def _size_of(item: QueuePublish) -> int:
    return len(item.body) + _ITEM_BYTES


def _require_place(plan_id: str, topic: str) -> None:
    if not sendable.is_text(plan_id):
        raise Invalid("ID_INVALID", "a plan_id is no Unicode text", field="plan_id")
    if not sendable.is_text(topic):
        raise Invalid("TOPIC_INVALID", "a topic is no Unicode text", value=shown(topic))


def _publish_fault(item: QueuePublish) -> Invalid | None:
    # The wire says "no key" by an empty one: who gives an empty one means something else.
    if item.idempotency_key is not None and not (item.idempotency_key and sendable.is_text(item.idempotency_key)):
        return Invalid("IDEMPOTENCY_KEY_INVALID", "an idempotency key has 1 to 128 printable ASCII characters")
    return _delay_fault(item.delay_s)


def _handle_fault(receipt_handle: str) -> Invalid | None:
    if sendable.is_text(receipt_handle):
        return None
    return Invalid("RECEIPT_INVALID", "not a handle of this plan and topic")


def _nack_fault(item: QueueNack) -> Invalid | None:
    return _handle_fault(item.receipt_handle) or _delay_fault(item.delay_s)


def _extend_fault(item: QueueExtend) -> Invalid | None:
    return _handle_fault(item.receipt_handle) or _visibility_fault(item.visibility_timeout_s)


def _delay_fault(delay_s: int) -> Invalid | None:
    if delay_s in sendable.INT32:
        return None
    return Invalid("DELAY_INVALID", "a delay is out of range", **_BOUNDS_OF_DELAY)


def _visibility_fault(timeout_s: int) -> Invalid | None:
    if timeout_s in sendable.INT32:
        return None
    return Invalid("VISIBILITY_INVALID", "a visibility timeout is out of range", **_BOUNDS_OF_VISIBILITY)
