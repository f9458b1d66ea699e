"""What the wire may carry, what is refused before any rule sees it, and what a reply has room for."""

from collections.abc import Sequence

import pytest

from services.ledger import codec
from services.ledger.domain.settle import ClaimAnswer, SettleAnswer
from services.ledger.ports import StoredEvent, StoredReceipt
from theory.api.artifacts.v1 import artifacts_pb2
from theory.api.ledger.v1 import event_pb2, receipt_pb2
from theory.api.ledger.v1 import ledger_pb2 as pb
from theory.core.artifact import DEFAULT_CONTENT_TYPE
from theory.core.chain import NewEvent
from theory.core.cid import Cid
from theory.core.errors import Invalid, NotFound, TheoryError
from theory.core.ledger import Appended, PlanEvent
from theory.core.receipt import AttemptOutcome

TS = "2026-01-02T03:04:05.000006Z"
PLACE = {"plan_id": "p-1", "execution_id": "p-1.x"}


def receipt(size: int = 1) -> StoredReceipt:
    return StoredReceipt("b3:r", "p-1", 7, "settle", "p-1.x", 3, b"x" * size)


def settlement(**fields: object) -> pb.SettleRequest.Item:
    given = {**PLACE, "outcome": receipt_pb2.ATTEMPT_OUTCOME_SUCCEEDED, **fields}
    return pb.SettleRequest.Item(**given)  # type: ignore[arg-type]


def only(answers: Sequence[object]) -> object:
    [answer] = answers
    return answer


def refused_field(answers: Sequence[object]) -> str:
    answer = only(answers)
    assert isinstance(answer, Invalid)
    return answer.metadata["field"]


def test_an_event_is_read_whole() -> None:
    event = event_pb2.NewEvent(event_id="e", kind="a.b", ts=TS, body=b'{ "n": 1 }')
    items = [pb.AppendEventsRequest.Item(plan_id="system.registry", event=event, expected_seq=0)]
    decoded = only(codec.appends_from_proto(pb.AppendEventsRequest(items=items)))
    assert decoded == PlanEvent("system.registry", NewEvent("e", "a.b", TS, {"n": 1}), 0)


def test_a_position_that_is_not_expected_is_none() -> None:
    item = pb.AppendEventsRequest.Item(plan_id="p-1", event=event_pb2.NewEvent(ts=TS, body=b"{}"))
    decoded = only(codec.appends_from_proto(pb.AppendEventsRequest(items=[item])))
    assert isinstance(decoded, PlanEvent)
    assert decoded.expected_seq is None


def test_a_settlement_is_read_whole() -> None:
    cid = Cid.of(b"x")
    item = settlement(
        epoch=2,
        attempt_idx=1,
        final=True,
        cost_usd_micro=5,
        outputs=[artifacts_pb2.Output(world_path="/artifacts/a", cid=cid.text, size_bytes=1)],
        facts=b'{"seed":"7"}',
    )
    decoded = only(codec.settlements_from_proto(pb.SettleRequest(items=[item])))
    assert not isinstance(decoded, TheoryError)
    assert (decoded.outcome, decoded.final, decoded.facts) == (AttemptOutcome.SUCCEEDED, True, {"seed": "7"})  # type: ignore[attr-defined]
    [output] = decoded.outputs  # type: ignore[attr-defined]
    assert (output.cid, output.content_type) == (cid, DEFAULT_CONTENT_TYPE)


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("outcome", {"outcome": receipt_pb2.ATTEMPT_OUTCOME_UNSPECIFIED}),
        ("outcome", {"outcome": 99}),
        ("facts", {"facts": b"[]"}),
        ("outputs[0]", {"outputs": [artifacts_pb2.Output(world_path="/a", cid=Cid.of(b"").text)]}),
        ("cost_usd_micro", {"cost_usd_micro": -1}),
        ("plan_id", {"plan_id": "P"}),
        ("execution_id", {"execution_id": ""}),
    ],
)
def test_a_malformed_settlement_names_its_field(field: str, fields: dict[str, object]) -> None:
    assert refused_field(codec.settlements_from_proto(pb.SettleRequest(items=[settlement(**fields)]))) == field


def test_every_outcome_has_a_number() -> None:
    numbers = [number for number in receipt_pb2.AttemptOutcome.values() if number]
    items = [settlement(outcome=number) for number in numbers]
    decoded = codec.settlements_from_proto(pb.SettleRequest(items=items))
    assert {each.outcome for each in decoded if not isinstance(each, TheoryError)} == set(AttemptOutcome)


def test_answers_keep_their_order() -> None:
    response = codec.appended_to_proto([Appended(1, "h"), NotFound("X", "no"), Appended(2, "i")])
    assert [(each.seq, each.this_hash, each.status.reason) for each in response.results] == [
        (1, "h", ""),
        (0, "", "X"),
        (2, "i", ""),
    ]


def test_an_event_and_a_receipt_are_written_as_stored() -> None:
    stored = StoredEvent("p-1", 3, "e", "a.b", TS, "0", "1", b"{}", 2)
    written = codec.event_to_proto(stored)
    assert (written.plan_id, written.seq, written.this_hash, written.preimage) == ("p-1", 3, "1", b"{}")
    assert codec.receipt_to_proto(receipt()).position == 7


def test_a_receipt_without_room_is_left_for_another_reply() -> None:
    large = receipt(4 * 1024 * 1024)
    settled = codec.settled_to_proto([SettleAnswer(large, repeated=False), SettleAnswer(large, repeated=True)])
    found = codec.receipts_to_proto([large, NotFound("X", "no"), large, receipt()])
    assert [each.status.reason for each in settled.results] == ["", "REPLY_FULL"]
    assert [each.status.reason for each in found.results] == ["", "X", "REPLY_FULL", ""]


def test_an_epoch_always_finds_room() -> None:
    answers = [ClaimAnswer(1, settled_receipt=receipt(4 * 1024 * 1024))] * 2 + [ClaimAnswer(2, receipt())]
    response = codec.claimed_to_proto(answers)
    assert [each.status.reason for each in response.results] == ["", "REPLY_FULL", ""]
    assert [each.epoch for each in response.results] == [1, 0, 2]
    assert response.results[2].HasField("reserve_receipt")
    assert not response.results[2].HasField("settled_receipt")
