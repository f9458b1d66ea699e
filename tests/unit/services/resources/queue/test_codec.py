"""Protobuf to queues and back, where zero and unset differ."""

from datetime import UTC, datetime

from services.resources.queue import codec
from theory.api.resources.v1 import queue_pb2 as pb
from theory.core.adapters import Message, Published, QueueExtend, QueueNack, QueuePublish
from theory.core.errors import Invalid, NotFound, TheoryError


def test_an_empty_idempotency_key_is_none() -> None:
    request = pb.PublishRequest()
    request.items.add(body=b"1", idempotency_key="k", delay_s=5)
    request.items.add()
    assert codec.publishes_from_proto(request) == [QueuePublish(b"1", "k", 5), QueuePublish(b"", None, 0)]


def test_what_a_consume_leaves_unset_has_a_default() -> None:
    assert codec.max_messages_from_proto(pb.ConsumeRequest()) == 1
    assert codec.max_messages_from_proto(pb.ConsumeRequest(max_messages=-1)) == -1
    assert codec.visibility_from_proto(pb.ConsumeRequest()) == 30
    assert codec.visibility_from_proto(pb.ConsumeRequest(visibility_timeout_s=0)) == 0


def test_deliveries_are_read_as_they_stand() -> None:
    nack, extend = pb.NackRequest(), pb.ExtendRequest()
    nack.items.add(receipt_handle="h", delay_s=-1)
    extend.items.add(receipt_handle="h")
    assert codec.nacks_from_proto(nack) == [QueueNack("h", -1)]
    assert codec.extends_from_proto(extend) == [QueueExtend("h", 0)]


def test_a_message_keeps_every_field() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
    [message] = codec.messages_to_proto([Message("id", b"\x00", "handle", 3, moment)]).messages
    assert (message.message_id, message.body, message.receipt_handle) == ("id", b"\x00", "handle")
    assert (message.receive_count, message.publish_time.ToDatetime(UTC)) == (3, moment)


def test_each_publish_has_its_result() -> None:
    answers: list[Published | TheoryError] = [
        Published("a"),
        Invalid("BODY_TOO_LARGE", "too large"),
        Published("a", duplicate=True),
    ]
    results = codec.published_to_proto(answers).results
    assert [(each.message_id, each.duplicate) for each in results] == [("a", False), ("", False), ("a", True)]
    assert [each.status.reason for each in results] == ["", "BODY_TOO_LARGE", ""]


def test_each_delivery_has_its_status() -> None:
    statuses = codec.statuses_to_proto([None, NotFound("MESSAGE_UNKNOWN", "gone")])
    assert [status.code for status in statuses] == [0, 5]
