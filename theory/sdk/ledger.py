"""The client of the ledger: events, accounts, the settlement of executions, receipts, and their verification."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeVar

import grpc

from theory.api.ledger.v1 import ledger_pb2 as pb
from theory.api.ledger.v1 import receipt_pb2
from theory.api.ledger.v1.ledger_pb2_grpc import LedgerServiceStub
from theory.core.audit import Audit, Fault
from theory.core.chain import Event, system_chain
from theory.core.checkpoint import Checkpoint
from theory.core.clock import Clock, SystemClock
from theory.core.errors import Invalid, NotFound, TheoryError
from theory.core.ids import ExecutionId, PlanId, RequestId, SystemIds
from theory.core.ledger import Appended, Budget, ChainHead, PlanEvent
from theory.core.money import UsdMicro, usd_micro
from theory.core.receipt import Receipt
from theory.core.settle import Claimed, ClaimRequest, Resolution, Settled, SettleRequest
from theory.sdk import ledger_messages as messages
from theory.sdk import sendable
from theory.sdk.batch import Coalescer
from theory.sdk.log import LogClient
from theory.sdk.reattach import PATIENCE_S, followed
from theory.sdk.rpc import answers, fitting, whole
from theory.wire.channel import call, stream
from theory.wire.moments import timestamp

MAX_APPEND_ITEMS = 1_000
MAX_CLAIM_ITEMS = 100
MAX_RECEIPT_IDS = 1_000

MAX_BATCH_BYTES = 6 * 1024 * 1024

_PAGE = 1_000
_ROUNDS = 10
_SYSTEM = system_chain("")

_K = TypeVar("_K")
_M = TypeVar("_M", pb.AppendEventsRequest.Item, pb.ClaimRequest.Item, pb.SettleRequest.Item)
_R = TypeVar("_R")
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class LedgerCapabilities:
    """What the ledger is, and the limits it keeps."""

    adapter: str
    durable: bool
    max_body_bytes: int
    max_append_items: int


@dataclass(frozen=True, slots=True)
class EventPage:
    """A stretch of a chain as it is stored, and where the chain stood when it was read. Verified by nobody."""

    events: tuple[Event, ...]
    head: ChainHead


class Pruned(NamedTuple):
    """What was dropped of a chain, or would be."""

    events: int
    """How many events lost what they said."""
    freed_bytes: int


@dataclass(frozen=True, slots=True)
class TailPage:
    """The next events of a chain that is followed; there may be none."""

    events: tuple[Event, ...]
    after_seq: int
    """The position to resume from."""
    head: ChainHead
    """Where the chain stood."""


class AuditedChain(NamedTuple):
    """What of a chain was read, and everything that is wrong with it, its receipts and its account."""

    events: int
    log_indexes: Collection[int]
    """Which leaves of the Merkle tree its events say they are."""
    faults: list[Fault]
    pruned: int = 0
    """How many of its events have lost what they said."""


class LedgerClient:
    """The ledger over the wire. Raises only `TheoryError`, or `TimeoutError`.

    Single calls of one turn of the event loop make one RPC. The batch forms take any number of items, send as many RPCs
    as they need, one after the other, and answer each item with its value or its error.
    """

    def __init__(self, channel: grpc.aio.Channel, *, clock: Clock | None = None) -> None:
        self._stub = LedgerServiceStub(channel)
        self._clock = clock or SystemClock()
        self._append = Coalescer(self.append_many, max_items=MAX_APPEND_ITEMS)
        self._claim = Coalescer(self.claim_many, max_items=MAX_CLAIM_ITEMS)
        self._settle = Coalescer(self.settle_many, max_items=MAX_CLAIM_ITEMS)

    async def capabilities(self) -> LedgerCapabilities:
        """What the ledger is, and the limits it keeps."""
        found = await call(self._stub.GetCapabilities, pb.GetCapabilitiesRequest())
        return LedgerCapabilities(found.adapter, found.durable, found.max_body_bytes, found.max_append_items)

    async def append(self, item: PlanEvent) -> Appended:
        """Append one event to its chain. Idempotent by its id. For services, each for its own kinds."""
        return await self._append(item)

    async def append_many(self, items: Sequence[PlanEvent]) -> list[Appended | TheoryError]:
        """`append` of each, in order."""

        async def send(batch: Sequence[pb.AppendEventsRequest.Item]) -> list[Appended | TheoryError]:
            response = await call(self._stub.AppendEvents, pb.AppendEventsRequest(items=batch))
            return answers(response.results, messages.appended_from_proto)

        return await _send_each(items, messages.append_to_proto, send, max_items=MAX_APPEND_ITEMS)

    async def claim(self, request: ClaimRequest) -> Claimed:
        """Claim an execution. Sent once: after `Unavailable` or `TimeoutError` an epoch may be issued; claim again."""
        return await self._claim(request)

    async def claim_many(self, requests: Sequence[ClaimRequest]) -> list[Claimed | TheoryError]:
        """`claim` of each."""

        async def send(batch: Sequence[pb.ClaimRequest.Item]) -> list[Claimed | TheoryError]:
            response = await call(self._stub.Claim, pb.ClaimRequest(items=batch))
            return answers(response.results, _or_error(messages.claimed_from_proto))

        return await _send_each(requests, messages.claim_to_proto, send, max_items=MAX_CLAIM_ITEMS)

    async def settle(self, request: SettleRequest) -> Settled:
        """Settle an attempt. Idempotent: after a lost answer, send the same again."""
        return await self._settle(request)

    async def settle_many(self, requests: Sequence[SettleRequest]) -> list[Settled | TheoryError]:
        """`settle` of each."""

        async def send(batch: Sequence[pb.SettleRequest.Item]) -> list[Settled | TheoryError]:
            response = await call(self._stub.Settle, pb.SettleRequest(items=batch))
            return answers(response.results, _or_error(messages.settled_from_proto))

        return await _send_each(requests, messages.settlement_to_proto, send, max_items=MAX_CLAIM_ITEMS)

    async def resolve(self, execution_id: ExecutionId, epoch: int) -> Resolution:
        """The final receipt, or the promise that `epoch` and all below never settle. For artifacts and the executor."""
        request = sendable.message(pb.ResolveRequest, execution_id=execution_id.text, epoch=epoch)
        found = await call(self._stub.Resolve, request)
        receipt = messages.receipt_from_proto(found.receipt) if found.HasField("receipt") else None
        return Resolution(receipt, found.fenced)

    async def open_budget(self, plan_id: PlanId, cap_usd_micro: int) -> Budget:
        """Open the account of a plan; again with the same cap is fine. For the executor."""
        request = sendable.message(pb.OpenBudgetRequest, plan_id=plan_id.text, cap_usd_micro=cap_usd_micro)
        return messages.budget_from_proto((await call(self._stub.OpenBudget, request)).budget)

    async def top_up_budget(
        self, plan_id: PlanId, amount_usd_micro: UsdMicro, request_id: RequestId | None = None
    ) -> Budget:
        """Raise the cap of a plan's account, which pays what it owes first; once per `request_id`.

        `NotFound` (`BUDGET_UNKNOWN`); `Invalid` (`MONEY_INVALID`); `AlreadyExists` (`REQUEST_ID_TAKEN`).
        """
        request = pb.TopUpBudgetRequest(
            plan_id=plan_id.text,
            usd_micro=usd_micro(amount_usd_micro, "usd_micro"),
            request_id=(request_id or SystemIds().request_id()).text,
        )
        return messages.budget_from_proto((await call(self._stub.TopUpBudget, request)).budget)

    async def get_budget(self, plan_id: PlanId) -> Budget:
        """The account of a plan; `NotFound` (`BUDGET_UNKNOWN`)."""
        found = await call(self._stub.GetBudget, pb.GetBudgetRequest(plan_id=plan_id.text))
        return messages.budget_from_proto(found.budget)

    async def events(
        self,
        plan_id: str,
        after_seq: int = 0,
        *,
        kinds: Sequence[str] = (),
        begin: datetime | None = None,
        end: datetime | None = None,
    ) -> AsyncIterator[EventPage]:
        """The events of a chain behind `after_seq`, page by page; at least one page, which may be empty.

        `kinds` are kinds, or families of them such as `scratch.*`; `begin` and `end` bound the times that the emitters
        stated, which follow no order. `Invalid` (`ID_INVALID`, `EVENT_KIND_INVALID`, `TIME_INVALID`, `FIELD_INVALID`).
        """
        request = sendable.message(
            pb.ListEventsRequest,
            plan_id=plan_id,
            after_seq=after_seq,
            kinds=kinds,
            page_size=_PAGE,
            begin_time=None if begin is None else timestamp(begin),
            end_time=None if end is None else timestamp(end),
        )
        while True:
            found = await call(self._stub.ListEvents, request)
            events = tuple(map(messages.event_from_proto, found.events))
            yield EventPage(events, messages.head_from_proto(found.head))
            if not found.next_page_token:
                return
            request.page_token = found.next_page_token

    def tail(
        self, plan_id: str, after_seq: int = 0, *, kinds: Sequence[str] = (), patience_s: float = PATIENCE_S
    ) -> AsyncGenerator[TailPage, None]:
        """The events of a chain behind `after_seq`, and each that is appended, for as long as somebody reads.

        Attaches again after any break where it stood, so that no event is missed or told twice; `Unavailable` once
        nothing has answered for `patience_s`. `Invalid` (`ID_INVALID`, `EVENT_KIND_INVALID`, `FIELD_INVALID`).
        """

        async def attach(position: int) -> AsyncGenerator[tuple[int, TailPage], None]:
            request = sendable.message(pb.TailEventsRequest, plan_id=plan_id, after_seq=position, kinds=kinds)
            async with stream(self._stub.TailEvents, request) as told:
                async for each in told:
                    events = tuple(map(messages.event_from_proto, each.events))
                    yield each.after_seq, TailPage(events, each.after_seq, messages.head_from_proto(each.head))

        return followed(attach, after_seq, self._clock, patience_s=patience_s)

    async def prune(
        self,
        plan_id: str,
        *,
        kinds: Sequence[str] = (),
        to_seq: int = 0,
        dry_run: bool = False,
    ) -> Pruned:
        """Drop, for ever, what the events of a chain said up to `to_seq`; up to its head where that is 0.

        Hashes, places, leaves, proofs and receipts stay. `kinds` are kinds, or families such as `scratch.*`; none of
        them means all that can be dropped. In batches: interrupted, a repeat ends it. `Invalid`
        (`EVENT_KIND_INVALID`, `FIELD_INVALID`, `ID_INVALID`); `NotReady` (`PLAN_RUNNING`).
        """
        request = sendable.message(pb.PruneEventsRequest, plan_id=plan_id, kinds=kinds, to_seq=to_seq, dry_run=dry_run)
        events = freed_bytes = 0
        while True:
            found = await call(self._stub.PruneEvents, request)
            events += found.event_count
            freed_bytes += found.freed_bytes
            request.after_seq = found.after_seq
            if not found.more:
                return Pruned(events, freed_bytes)

    async def chains(self) -> AsyncIterator[ChainHead]:
        """Every chain there is, by id, and where it stands."""
        request = pb.ListChainsRequest(page_size=_PAGE)
        while True:
            found = await call(self._stub.ListChains, request)
            for head in found.heads:
                yield messages.head_from_proto(head)
            if not found.next_page_token:
                return
            request.page_token = found.next_page_token

    async def get_receipts(self, receipt_ids: Sequence[str]) -> list[Receipt | TheoryError]:
        """Receipts by id, each verified against it.

        Each its own error: `NotFound` (`RECEIPT_UNKNOWN`), `Corrupt` (`RECEIPT_CORRUPT`), `Invalid` (`FIELD_INVALID`).
        """

        async def send(batch: Sequence[str]) -> list[Receipt | TheoryError]:
            response = await call(self._stub.GetReceipts, pb.GetReceiptsRequest(receipt_ids=batch))
            verified = _or_error(messages.receipt_from_proto)
            return answers(response.results, lambda result: verified(result.receipt))

        async def load(sound: Sequence[str]) -> list[Receipt | TheoryError]:
            found: list[Receipt | TheoryError] = []
            for batch in fitting(sound, max_items=MAX_RECEIPT_IDS):
                found += await whole(batch, send)
            return found

        return await sendable.ask(receipt_ids, _id_fault, load)

    async def receipts(self, plan_id: PlanId) -> AsyncIterator[Receipt]:
        """The receipts of a plan in the order in which they were written, each verified against its name."""
        async for page in self._receipt_pages(plan_id.text):
            for receipt in page:
                yield messages.receipt_from_proto(receipt)

    async def verify_plan(self, plan_id: str, log: LogClient | None = None) -> list[Fault]:
        """Everything that is wrong with a chain, its receipts and its account: see `theory.core.audit.Audit`.

        With `log` every event is compared with a tree that the ledger signed: then nobody can have rewritten the chain
        since somebody saw an earlier checkpoint. Raises `Corrupt` where that cannot be believed: see `LogClient`.

        Of a plan that goes on while it is read, what is not stable for long enough is left out: the account, receipts.
        """
        return (await self.audited(plan_id, log)).faults

    async def audited(
        self, plan_id: str, log: LogClient | None = None, checkpoint: Checkpoint | None = None
    ) -> AuditedChain:
        """As `verify_plan`, with what was read; compared with `checkpoint`, or with the newest one.

        Events behind the end of that checkpoint are compared with nothing.
        """
        found = await self._audited(plan_id, log, checkpoint)
        for _ in range(_ROUNDS):
            if all(each.what != "PRUNED" for each in found.faults):
                break
            # Some events may have been read before, and their record after they were pruned: look again.
            before, found = found, await self._audited(plan_id, log, checkpoint)
            if found.events == before.events:
                break
        return found

    async def _audited(self, plan_id: str, log: LogClient | None, checkpoint: Checkpoint | None) -> AuditedChain:
        audit = Audit(plan_id)
        head = await self._read_chain(audit, plan_id)
        if log is not None:
            end = None if checkpoint is None else checkpoint.size
            tree = checkpoint or (await log.checkpoint())[0]
            audit.compare_leaves(await log.leaves(tree, audit.log_indexes), end=end)
        return AuditedChain(head.seq, audit.log_indexes, await self._faults_of(audit, plan_id, head), audit.pruned)

    async def _faults_of(self, audit: Audit, plan_id: str, head: ChainHead) -> list[Fault]:
        if plan_id.startswith(_SYSTEM):  # no plan: neither account nor receipts
            return audit.faults(head, None)
        for _ in range(_ROUNDS):
            audit.forget_receipts()
            async for page in self._receipt_pages(plan_id):
                audit.read_receipts(map(messages.kept_from_proto, page))
            budget = await self._budget_if_any(plan_id)
            read, head = head, await self._read_chain(audit, plan_id)
            if head == read:
                return audit.faults(head, budget)
        return audit.faults_of_chain(head)

    async def _read_chain(self, audit: Audit, plan_id: str) -> ChainHead:
        head = ChainHead(plan_id, 0, "")
        async for page in self.events(plan_id, audit.seq):
            audit.read_events(page.events)
            head = page.head
        return head

    async def _receipt_pages(self, plan_id: str) -> AsyncIterator[Sequence[receipt_pb2.Receipt]]:
        request = pb.ListReceiptsRequest(plan_id=plan_id, page_size=_PAGE)
        while True:
            found = await call(self._stub.ListReceipts, request)
            yield found.receipts
            if not found.next_page_token:
                return
            request.page_token = found.next_page_token

    async def _budget_if_any(self, plan_id: str) -> Budget | None:
        try:
            return messages.budget_from_proto(
                (await call(self._stub.GetBudget, pb.GetBudgetRequest(plan_id=plan_id))).budget
            )
        except NotFound:
            return None


async def _send_each(
    items: Sequence[_K],
    encode: Callable[[_K], _M],
    send: Callable[[Sequence[_M]], Awaitable[Sequence[_V | TheoryError]]],
    *,
    max_items: int,
) -> list[_V | TheoryError]:
    """One answer per item, in order: why it cannot be sent, or what `send` says, in as many batches as it takes."""
    encoded = [_encoded(encode, item) for item in items]
    sound = [each for each in encoded if not isinstance(each, TheoryError)]
    sent: list[_V | TheoryError] = []
    for batch in fitting(sound, max_items=max_items, max_bytes=MAX_BATCH_BYTES, size_of=lambda each: each.ByteSize()):
        try:
            sent += await whole(batch, send)
        except Invalid as error:  # an item that fills more than a message stands alone
            if error.reason != "MESSAGE_TOO_LARGE":
                raise
            sent += [error] * len(batch)
    said = iter(sent)
    return [each if isinstance(each, TheoryError) else next(said) for each in encoded]


def _encoded(encode: Callable[[_K], _M], item: _K) -> _M | TheoryError:
    try:
        return sendable.message(encode, item)
    except TheoryError as error:
        return error


def _id_fault(receipt_id: str) -> Invalid | None:
    if sendable.is_text(receipt_id):
        return None
    return Invalid("FIELD_INVALID", "the id of a receipt is no text", field="receipt_ids")


def _or_error(value: Callable[[_R], _V]) -> Callable[[_R], _V | TheoryError]:
    """`value`, whose error is that of its item alone."""

    def run(result: _R) -> _V | TheoryError:
        try:
            return value(result)
        except TheoryError as error:
            return error

    return run
