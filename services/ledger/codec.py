"""Protobuf to the ledger's words and back. Pure; raises `Invalid` with the field's name and nothing else."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from services.ledger.domain.chain import filter_of
from services.ledger.domain.settle import ClaimAnswer, SettleAnswer
from services.ledger.domain.tail import Told
from services.ledger.ports import MAX_US, MIN_US, EventFilter, StoredEvent, StoredReceipt
from theory.api.artifacts.v1 import artifacts_pb2
from theory.api.ledger.v1 import budget_pb2, event_pb2, ledger_pb2, log_pb2, receipt_pb2
from theory.core import jcs
from theory.core.artifact import Output, content_type_of
from theory.core.chain import NewEvent, is_chain
from theory.core.cid import Cid
from theory.core.clock import parse_rfc3339
from theory.core.errors import Exhausted, Invalid, TheoryError, shown
from theory.core.ids import ExecutionId, PlanId
from theory.core.jcs import JSON
from theory.core.ledger import Appended, Budget, ChainHead, PlanEvent
from theory.core.money import usd_micro
from theory.core.receipt import AttemptOutcome, facts_refused
from theory.core.settle import ClaimRequest, SettleRequest
from theory.core.tiles import TileKey
from theory.core.world_path import WorldPath
from theory.wire.batches import batch, decoded
from theory.wire.options import REPLY_BYTES
from theory.wire.status import item_ok, item_status

MAX_APPEND_ITEMS = 1_000
MAX_CLAIM_ITEMS = 100
MAX_RECEIPT_IDS = 1_000
MAX_TILES = 256
MAX_PROOFS = 1_000

_V = TypeVar("_V")
_Log = TypeVar("_Log", log_pb2.ReadTilesResponse, log_pb2.ProveInclusionResponse, log_pb2.SignReceiptsResponse)
_OK = item_ok()
_OUTCOME_BY_NUMBER: Mapping[int, AttemptOutcome] = {
    receipt_pb2.AttemptOutcome.Value(f"ATTEMPT_OUTCOME_{outcome.name}"): outcome for outcome in AttemptOutcome
}
_SECONDS, _NANOS = range(-62_135_596_800, 253_402_300_800), 1_000_000_000
_TS_CHARACTERS = len("2026-01-02T03:04:05.000006Z")


def chain_from_proto(plan_id: str) -> str:
    """A plan's id, or `system.<service>`."""
    if not is_chain(plan_id):
        raise Invalid("ID_INVALID", "a chain is a plan's id or system.<service>", field="plan_id", value=shown(plan_id))
    return plan_id


def filter_from_proto(request: ledger_pb2.ListEventsRequest | ledger_pb2.TailEventsRequest) -> EventFilter:
    """Which events are asked for; `Invalid` (`EVENT_KIND_INVALID`, `TIME_INVALID`)."""
    begin = _us_of(request.begin_time) if request.HasField("begin_time") else MIN_US
    end = _us_of(request.end_time) if request.HasField("end_time") else MAX_US
    return filter_of(request.kinds, begin, end)


def _us_of(moment: Timestamp) -> int:
    """In whole microseconds, rounded up: what an event states is whole, so nothing is lost."""
    if moment.seconds not in _SECONDS or not 0 <= moment.nanos < _NANOS:
        raise Invalid("TIME_INVALID", "a time lies in the years 1 to 9999", value=f"{moment.seconds}.{moment.nanos}")
    return moment.seconds * 1_000_000 - -moment.nanos // 1_000


def told_to_proto(told: Told) -> ledger_pb2.TailEventsResponse:
    """One message of a tail."""
    return ledger_pb2.TailEventsResponse(
        events=map(event_to_proto, told.events), after_seq=told.after_seq, head=head_to_proto(told.head)
    )


def appends_from_proto(request: ledger_pb2.AppendEventsRequest) -> list[PlanEvent | TheoryError]:
    """The events of a request; in place of one that is malformed, why."""
    return decoded(request.items, _append_from_proto, most=MAX_APPEND_ITEMS)


def claims_from_proto(request: ledger_pb2.ClaimRequest) -> list[ClaimRequest | TheoryError]:
    """The claims of a request; in place of one that is malformed, why."""
    return decoded(request.items, _claim_from_proto, most=MAX_CLAIM_ITEMS)


def settlements_from_proto(request: ledger_pb2.SettleRequest) -> list[SettleRequest | TheoryError]:
    """The settlements of a request; in place of one that is malformed, why."""
    return decoded(request.items, _settlement_from_proto, most=MAX_CLAIM_ITEMS)


def appended_to_proto(answers: Iterable[Appended | TheoryError]) -> ledger_pb2.AppendEventsResponse:
    """One result per event."""
    response = ledger_pb2.AppendEventsResponse()
    add = response.results.add
    for answer in answers:
        if isinstance(answer, TheoryError):
            add(status=item_status(answer))
        else:
            add(status=_OK, seq=answer.seq, this_hash=answer.this_hash)
    return response


def claimed_to_proto(answers: Iterable[ClaimAnswer | TheoryError]) -> ledger_pb2.ClaimResponse:
    """One result per claim. Only a settled execution's receipt may find no room: its claim can be repeated."""
    response = ledger_pb2.ClaimResponse()
    for answer in _with_room(answers, lambda each: each.settled_receipt):
        if isinstance(answer, TheoryError):
            response.results.add(status=item_status(answer))
            continue
        response.results.add(
            status=_OK,
            epoch=answer.epoch,
            reserve_receipt=answer.reserve_receipt and receipt_to_proto(answer.reserve_receipt),
            settled_receipt=answer.settled_receipt and receipt_to_proto(answer.settled_receipt),
        )
    return response


def settled_to_proto(answers: Iterable[SettleAnswer | TheoryError]) -> ledger_pb2.SettleResponse:
    """One result per settlement. A receipt may find no room: a repeat gets it."""
    response = ledger_pb2.SettleResponse()
    for answer in _with_room(answers, lambda each: each.receipt):
        if isinstance(answer, TheoryError):
            response.results.add(status=item_status(answer))
        else:
            receipt = receipt_to_proto(answer.receipt)
            response.results.add(status=_OK, receipt=receipt, repeated_settlement=answer.repeated)
    return response


def receipts_to_proto(answers: Iterable[StoredReceipt | TheoryError]) -> ledger_pb2.GetReceiptsResponse:
    """One result per id. A receipt may find no room: it is asked for again."""
    response = ledger_pb2.GetReceiptsResponse()
    for answer in _with_room(answers, lambda each: each):
        if isinstance(answer, TheoryError):
            response.results.add(status=item_status(answer))
        else:
            response.results.add(status=_OK, receipt=receipt_to_proto(answer))
    return response


def tiles_from_proto(request: log_pb2.ReadTilesRequest) -> list[TileKey]:
    """The tiles of a request."""
    return [TileKey(each.level, each.at) for each in batch(request.tiles, MAX_TILES)]


def tiles_to_proto(answers: Iterable[bytes | TheoryError]) -> log_pb2.ReadTilesResponse:
    """One result per tile."""
    return _filled(log_pb2.ReadTilesResponse(), answers, "hashes")


def proofs_to_proto(answers: Iterable[Sequence[bytes] | TheoryError]) -> log_pb2.ProveInclusionResponse:
    """One result per leaf."""
    return _filled(log_pb2.ProveInclusionResponse(), answers, "proof")


def signatures_to_proto(answers: Iterable[bytes | TheoryError]) -> log_pb2.SignReceiptsResponse:
    """One result per receipt."""
    return _filled(log_pb2.SignReceiptsResponse(), answers, "signature")


def event_to_proto(event: StoredEvent) -> event_pb2.Event:
    """An event as it is stored."""
    return event_pb2.Event(**event._asdict())


def receipt_to_proto(receipt: StoredReceipt) -> receipt_pb2.Receipt:
    """A receipt as it is stored."""
    return receipt_pb2.Receipt(**receipt._asdict())


def head_to_proto(head: ChainHead) -> event_pb2.ChainHead:
    """Where a chain stands."""
    return event_pb2.ChainHead(plan_id=head.plan_id, seq=head.seq, this_hash=head.this_hash)


def budget_to_proto(budget: Budget) -> budget_pb2.Budget:
    """An account."""
    return budget_pb2.Budget(
        plan_id=budget.plan_id,
        cap_usd_micro=budget.cap_usd_micro,
        reserved_usd_micro=budget.reserved_usd_micro,
        spent_usd_micro=budget.spent_usd_micro,
        debt_usd_micro=budget.debt_usd_micro,
    )


def _filled(response: _Log, answers: Iterable[Any], field: str) -> _Log:
    """A result per answer: its status alone, or with the answer in that field."""
    for answer in answers:
        if isinstance(answer, TheoryError):
            response.results.add(status=item_status(answer))
        else:
            response.results.add(status=_OK, **{field: answer})
    return response


def _with_room(
    answers: Iterable[_V | TheoryError], receipt_of: Callable[[_V], StoredReceipt | None]
) -> Iterable[_V | TheoryError]:
    room = REPLY_BYTES
    for answer in answers:
        receipt = None if isinstance(answer, TheoryError) else receipt_of(answer)
        size = len(receipt.preimage) if receipt is not None else 0
        if size > room:
            yield Exhausted("REPLY_FULL", "the reply has no room for this receipt: ask for it again")
            continue
        room -= size
        yield answer


def _append_from_proto(item: ledger_pb2.AppendEventsRequest.Item) -> PlanEvent:
    expected = item.expected_seq if item.HasField("expected_seq") else None
    return PlanEvent(chain_from_proto(item.plan_id), _event_from_proto(item.event), expected)


def _event_from_proto(event: event_pb2.NewEvent) -> NewEvent:
    ts = event.ts
    if len(ts) != _TS_CHARACTERS:
        parse_rfc3339(ts)
        raise Invalid("TIME_INVALID", "the time of an event has microseconds", value=shown(ts))
    _check_time(ts)
    return NewEvent.read(event.event_id, event.kind, ts, event.body)


@lru_cache(maxsize=1024)  # events of one batch often have one time
def _check_time(ts: str) -> None:
    parse_rfc3339(ts)


def _claim_from_proto(item: ledger_pb2.ClaimRequest.Item) -> ClaimRequest:
    return ClaimRequest(
        plan_id=PlanId.parse(item.plan_id),
        execution_id=ExecutionId.parse(item.execution_id),
        attempt_idx=item.attempt_idx,
        reserve_usd_micro=usd_micro(item.reserve_usd_micro, "reserve_usd_micro"),
        lost_cost_usd_micro=usd_micro(item.lost_cost_usd_micro, "lost_cost_usd_micro"),
        events=tuple(map(_event_from_proto, item.events)),
    )


def _settlement_from_proto(item: ledger_pb2.SettleRequest.Item) -> SettleRequest:
    outcome = _OUTCOME_BY_NUMBER.get(item.outcome)
    if outcome is None:
        raise Invalid("SETTLEMENT_INVALID", "say how the attempt ended", field="outcome")
    return SettleRequest(
        plan_id=PlanId.parse(item.plan_id),
        execution_id=ExecutionId.parse(item.execution_id),
        epoch=item.epoch,
        attempt_idx=item.attempt_idx,
        outcome=outcome,
        final=item.final,
        cost_usd_micro=usd_micro(item.cost_usd_micro, "cost_usd_micro"),
        outputs=tuple(_output_from_proto(each, at) for at, each in enumerate(item.outputs)),
        facts=_facts_from_proto(item.facts),
        events=tuple(map(_event_from_proto, item.events)),
    )


def _facts_from_proto(facts: bytes) -> Mapping[str, JSON]:
    try:
        return jcs.parse_object(facts) if facts else {}
    except TheoryError as error:
        raise facts_refused(error) from error


def _output_from_proto(output: artifacts_pb2.Output, at: int) -> Output:
    try:
        if output.size_bytes < 0:
            raise Invalid("FIELD_INVALID", "a size is not negative", field="size_bytes")
        path, cid = WorldPath.parse(output.world_path), Cid.parse(output.cid)
        return Output(path, cid, output.size_bytes, content_type_of(output.content_type))
    except TheoryError as error:
        raise Invalid("SETTLEMENT_INVALID", error.message, field=f"outputs[{at}]") from error
