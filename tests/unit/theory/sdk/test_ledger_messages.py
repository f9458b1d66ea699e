"""The ledger's words survive the wire."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.ledger import codec
from theory.api.ledger.v1 import event_pb2, receipt_pb2
from theory.api.ledger.v1 import ledger_pb2 as pb
from theory.core.artifact import Output
from theory.core.chain import GENESIS, NewEvent, seal
from theory.core.cid import Cid
from theory.core.errors import Corrupt
from theory.core.ids import ExecutionId, PlanId
from theory.core.ledger import PlanEvent
from theory.core.receipt import AttemptOutcome, reserve_receipt
from theory.core.settle import ClaimRequest, SettleRequest
from theory.core.world_path import WorldPath
from theory.sdk import ledger_messages as messages

TS = "2026-01-02T03:04:05.000006Z"
PLAN, STEP = PlanId("p-1"), ExecutionId("p-1.x")
EVENT = NewEvent("e", "a.b", TS, {"n": 1, "text": "\u00e9"})
RECEIPT = reserve_receipt(
    plan_id=PLAN, execution_id=STEP, attempt_idx=0, epoch=1, reserved_usd_micro=1, reserved_at=datetime.now(UTC)
)


@pytest.mark.parametrize("expected_seq", [None, 0, 7])
def test_an_event_to_append_arrives(expected_seq: int | None) -> None:
    item = PlanEvent("p-1", EVENT, expected_seq)
    assert codec.appends_from_proto(pb.AppendEventsRequest(items=[messages.append_to_proto(item)])) == [item]


def test_a_claim_arrives() -> None:
    request = ClaimRequest(PLAN, STEP, 3, 5, 7, (EVENT,))
    assert codec.claims_from_proto(pb.ClaimRequest(items=[messages.claim_to_proto(request)])) == [request]


@pytest.mark.parametrize("outcome", AttemptOutcome)
def test_a_settlement_arrives(outcome: AttemptOutcome) -> None:
    output = Output(WorldPath.parse("/artifacts/a b"), Cid.of(b"x"), 1, "text/plain")
    request = SettleRequest(
        plan_id=PLAN,
        execution_id=STEP,
        epoch=2,
        attempt_idx=1,
        outcome=outcome,
        final=True,
        cost_usd_micro=9,
        outputs=(output,),
        facts={"input_cids": [Cid.of(b"i").text]},
        events=(EVENT,),
    )
    assert codec.settlements_from_proto(pb.SettleRequest(items=[messages.settlement_to_proto(request)])) == [request]


def test_a_receipt_is_verified_when_it_arrives() -> None:
    sent = receipt_pb2.Receipt(receipt_id=RECEIPT.receipt_id, preimage=RECEIPT.preimage)
    assert messages.receipt_from_proto(sent) == RECEIPT
    sent.preimage += b" "
    with pytest.raises(Corrupt):
        messages.receipt_from_proto(sent)


def test_a_damaged_receipt_can_be_looked_at() -> None:
    kept = messages.kept_from_proto(receipt_pb2.Receipt(receipt_id="b3:x", kind="no", epoch=-1, preimage=b"\xff"))
    assert (kept.receipt_id, kept.kind, kept.epoch, kept.preimage) == ("b3:x", "no", -1, b"\xff")


def test_an_event_is_read_as_stored() -> None:
    event = seal(EVENT, "p-1", 1, GENESIS)
    sent = event_pb2.Event(
        plan_id="p-1",
        seq=1,
        event_id="e",
        kind="a.b",
        ts=TS,
        prev_hash=GENESIS,
        this_hash=event.this_hash,
        preimage=event.preimage,
        log_index=7,
    )
    assert messages.event_from_proto(sent) == replace(event, log_index=7)
    for damaged in (b"\xff", b"[]", b'{"body":1}', b"{}"):
        sent.preimage = damaged
        assert (messages.event_from_proto(sent).body, messages.event_from_proto(sent).preimage) == ({}, damaged)
