"""The ledger's words as messages, and back."""

from typing import cast

from theory.api.ledger.v1 import budget_pb2, event_pb2, ledger_pb2, receipt_pb2
from theory.core import jcs
from theory.core.audit import KeptReceipt
from theory.core.chain import Event, NewEvent, body_text
from theory.core.errors import TheoryError
from theory.core.jcs import JSON
from theory.core.ledger import Appended, Budget, ChainHead, PlanEvent
from theory.core.receipt import AttemptOutcome, Receipt
from theory.core.settle import Claimed, ClaimRequest, Settled, SettleRequest

_NUMBER_BY_OUTCOME = {
    outcome: receipt_pb2.AttemptOutcome.Value(f"ATTEMPT_OUTCOME_{outcome.name}") for outcome in AttemptOutcome
}


def append_to_proto(item: PlanEvent) -> ledger_pb2.AppendEventsRequest.Item:
    """An event to append; `Invalid` (`EVENT_BODY_INVALID`) for a body that no ledger takes."""
    return ledger_pb2.AppendEventsRequest.Item(
        plan_id=item.plan_id, event=_event_to_proto(item.event), expected_seq=item.expected_seq
    )


def claim_to_proto(request: ClaimRequest) -> ledger_pb2.ClaimRequest.Item:
    """An execution to claim."""
    return ledger_pb2.ClaimRequest.Item(
        plan_id=request.plan_id.text,
        execution_id=request.execution_id.text,
        attempt_idx=request.attempt_idx,
        reserve_usd_micro=request.reserve_usd_micro,
        lost_cost_usd_micro=request.lost_cost_usd_micro,
        events=map(_event_to_proto, request.events),
    )


def settlement_to_proto(request: SettleRequest) -> ledger_pb2.SettleRequest.Item:
    """An attempt to settle."""
    item = ledger_pb2.SettleRequest.Item(
        plan_id=request.plan_id.text,
        execution_id=request.execution_id.text,
        epoch=request.epoch,
        attempt_idx=request.attempt_idx,
        outcome=_NUMBER_BY_OUTCOME[request.outcome],
        final=request.final,
        cost_usd_micro=request.cost_usd_micro,
        facts=jcs.canonical(dict(request.facts), floats=False),
        events=map(_event_to_proto, request.events),
    )
    for each in request.outputs:
        item.outputs.add(
            world_path=each.path.text, cid=each.cid.text, size_bytes=each.size_bytes, content_type=each.content_type
        )
    return item


def appended_from_proto(result: ledger_pb2.AppendEventsResponse.Result) -> Appended:
    """The place of an event."""
    return Appended(result.seq, result.this_hash)


def claimed_from_proto(result: ledger_pb2.ClaimResponse.Result) -> Claimed:
    """The answer to a claim; `Corrupt` for a receipt that is none."""
    return Claimed(
        result.epoch,
        receipt_from_proto(result.reserve_receipt) if result.HasField("reserve_receipt") else None,
        receipt_from_proto(result.settled_receipt) if result.HasField("settled_receipt") else None,
    )


def settled_from_proto(result: ledger_pb2.SettleResponse.Result) -> Settled:
    """The answer to a settlement; `Corrupt` for a receipt that is none."""
    return Settled(receipt_from_proto(result.receipt), result.repeated_settlement)


def receipt_from_proto(receipt: receipt_pb2.Receipt) -> Receipt:
    """A receipt, verified against its name; `Corrupt` where it fails."""
    return Receipt.parse(receipt.preimage, receipt_id=receipt.receipt_id)


def kept_from_proto(receipt: receipt_pb2.Receipt) -> KeptReceipt:
    """A receipt as it is stored, verified by nobody."""
    return KeptReceipt(
        receipt.receipt_id,
        receipt.kind,
        receipt.plan_id,
        receipt.execution_id,
        receipt.epoch,
        receipt.preimage,
        receipt.position,
    )


def event_from_proto(event: event_pb2.Event) -> Event:
    """An event as it is stored, verified by nobody; its body is empty where the stored bytes spell none."""
    return Event(
        plan_id=event.plan_id,
        seq=event.seq,
        event_id=event.event_id,
        kind=event.kind,
        ts=event.ts,
        body=_body_in(event.preimage),
        prev_hash=event.prev_hash,
        this_hash=event.this_hash,
        preimage=event.preimage,
        log_index=event.log_index,
    )


def head_from_proto(head: event_pb2.ChainHead) -> ChainHead:
    """Where a chain stands."""
    return ChainHead(head.plan_id, head.seq, head.this_hash)


def budget_from_proto(budget: budget_pb2.Budget) -> Budget:
    """An account."""
    return Budget(
        budget.plan_id,
        budget.cap_usd_micro,
        budget.reserved_usd_micro,
        budget.spent_usd_micro,
        budget.debt_usd_micro,
    )


def _event_to_proto(event: NewEvent) -> event_pb2.NewEvent:
    return event_pb2.NewEvent(event_id=event.event_id, kind=event.kind, ts=event.ts, body=body_text(event.body))


def _body_in(preimage: bytes) -> dict[str, JSON]:
    try:
        body = jcs.parse_object(preimage).get("body")
    except TheoryError:
        return {}
    return cast("dict[str, JSON]", body) if isinstance(body, dict) else {}
