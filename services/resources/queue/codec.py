"""Protobuf to the words of queues, and back."""

from collections.abc import Iterable, Sequence

from services.resources.queue.ports import (
    MAX_BODY_BYTES,
    MAX_HIDDEN_S,
    MAX_MESSAGES,
    MAX_WAIT_S,
    QueueQuotas,
    QueueStore,
)
from theory.api.core.v1.item_status_pb2 import ItemStatus
from theory.api.resources.v1 import queue_pb2 as pb
from theory.core.adapters import Message, Published, QueueExtend, QueueNack, QueuePublish, TopicStats
from theory.core.errors import TheoryError
from theory.core.ids import PlanId
from theory.wire.moments import write_timestamp
from theory.wire.status import item_ok, item_status

DEFAULT_MAX_MESSAGES = 1
DEFAULT_VISIBILITY_S = 30

_OK = item_ok()


def plan_id_from_proto(plan_id: str) -> str:
    """The id, checked."""
    return PlanId.parse(plan_id).text


def publishes_from_proto(request: pb.PublishRequest) -> Sequence[QueuePublish]:
    """The messages of a request."""
    return [QueuePublish(item.body, item.idempotency_key or None, item.delay_s) for item in request.items]


def max_receives_from_proto(request: pb.PublishRequest) -> int | None:
    """After how many deliveries; None where it is unset."""
    return request.max_receives if request.HasField("max_receives") else None


def max_messages_from_proto(request: pb.ConsumeRequest) -> int:
    """How many; 0 stands for the default."""
    return request.max_messages or DEFAULT_MAX_MESSAGES


def visibility_from_proto(request: pb.ConsumeRequest) -> int:
    """How long; unset stands for the default."""
    return request.visibility_timeout_s if request.HasField("visibility_timeout_s") else DEFAULT_VISIBILITY_S


def nacks_from_proto(request: pb.NackRequest) -> Sequence[QueueNack]:
    """The deliveries to give back."""
    return [QueueNack(item.receipt_handle, item.delay_s) for item in request.items]


def extends_from_proto(request: pb.ExtendRequest) -> Sequence[QueueExtend]:
    """The deliveries to keep hidden."""
    return [QueueExtend(item.receipt_handle, item.visibility_timeout_s) for item in request.items]


def published_to_proto(answers: Iterable[Published | TheoryError]) -> pb.PublishResponse:
    """One result per message."""
    response = pb.PublishResponse()
    add = response.results.add
    # Field by field, and OK as what it is, an empty message: half the price of handing them over.
    for answer in answers:
        result = add()
        if isinstance(answer, TheoryError):
            result.status.CopyFrom(item_status(answer))
        else:
            result.status.SetInParent()
            result.message_id = answer.message_id
            if answer.duplicate:
                result.duplicate = True
    return response


def messages_to_proto(messages: Iterable[Message]) -> pb.ConsumeResponse:
    """What is handed out."""
    response = pb.ConsumeResponse()
    add = response.messages.add
    for each in messages:
        message = add()
        message.message_id = each.message_id
        message.body = each.body
        message.receipt_handle = each.receipt_handle
        message.receive_count = each.receive_count
        write_timestamp(each.publish_time, message.publish_time)
    return response


def statuses_to_proto(answers: Iterable[TheoryError | None]) -> Sequence[ItemStatus]:
    """One status per item."""
    return [_OK if answer is None else item_status(answer) for answer in answers]


def stats_to_proto(stats: Iterable[TopicStats]) -> pb.GetStatsResponse:
    """The counts of each topic."""
    response = pb.GetStatsResponse()
    for each in stats:
        response.topics.add(
            topic=each.topic, visible=each.visible, hidden=each.hidden, delayed=each.delayed, dead=each.dead
        )
    return response


def capabilities_to_proto(store: QueueStore, quotas: QueueQuotas) -> pb.QueueServiceGetCapabilitiesResponse:
    """What the store is, and the limits."""
    return pb.QueueServiceGetCapabilitiesResponse(
        adapter=store.kind,
        durable=store.durable,
        features=sorted(pb.QueueFeature.Value(f"QUEUE_FEATURE_{each}") for each in store.features),
        max_wait_s=MAX_WAIT_S,
        redelivery_slack_s=store.redelivery_slack_s,
        max_plan_topics=quotas.topics,
        max_plan_messages=quotas.messages,
        max_plan_bytes=quotas.size_bytes,
        max_body_bytes=MAX_BODY_BYTES,
        max_visibility_s=MAX_HIDDEN_S,
        max_messages=MAX_MESSAGES,
    )
