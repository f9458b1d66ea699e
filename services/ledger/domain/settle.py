"""The one decision of the system: who may carry out an execution, and how it ended."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from services.ledger.domain import budget as accounts
from services.ledger.domain.books import Books
from services.ledger.domain.chain import OWN_IDS, record_given
from services.ledger.domain.receipts import keep
from services.ledger.ports import Attempt, AttemptState, Execution, LedgerStore, LedgerTransaction, StoredReceipt
from theory.core.chain import NewEvent
from theory.core.cid import Cid
from theory.core.clock import Clock, rfc3339
from theory.core.errors import Conflict, Corrupt, Invalid, NotFound, TheoryError
from theory.core.ids import ExecutionId, PlanId
from theory.core.jcs import JSON
from theory.core.ledger import Budget
from theory.core.money import UsdMicro
from theory.core.postings import Postings
from theory.core.receipt import AttemptOutcome, reserve_receipt, settle_receipt
from theory.core.settle import ClaimRequest, SettleRequest

_Request = TypeVar("_Request", ClaimRequest, SettleRequest)
_Answer = TypeVar("_Answer")

MAX_EPOCH = 2**31 - 1
"""The highest epoch that may be asked about: a fence at the end of the integers would end the execution."""

_MAX_EVENT_ID_CHARACTERS = 128


@dataclass(frozen=True, slots=True)
class ClaimAnswer:
    """What a claim led to: a new epoch, or the receipt that settled the execution before."""

    epoch: int
    reserve_receipt: StoredReceipt | None = None
    settled_receipt: StoredReceipt | None = None


@dataclass(frozen=True, slots=True)
class SettleAnswer:
    """The receipt of an attempt, and whether it was there before."""

    receipt: StoredReceipt
    repeated: bool


class Settlements:
    """Claim, settle and resolve as the wire sees them."""

    def __init__(self, store: LedgerStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def claim(self, requests: Sequence[ClaimRequest | TheoryError]) -> list[ClaimAnswer | TheoryError]:
        """One answer per request, in order; a transaction each, one commit for all. Errors as `claim`."""
        return await self._answer(requests, [each for each in requests if isinstance(each, ClaimRequest)], claim)

    async def settle(self, requests: Sequence[SettleRequest | TheoryError]) -> list[SettleAnswer | TheoryError]:
        """One answer per request, in order; a transaction each, one commit for all. Errors as `settle`."""
        return await self._answer(requests, [each for each in requests if isinstance(each, SettleRequest)], settle)

    async def resolve(self, execution_id: ExecutionId, epoch: int) -> StoredReceipt | None:
        """The final receipt, or None once `epoch` and all below can never settle. Errors as `resolve`."""
        now = self._clock.now()

        def run(transaction: LedgerTransaction) -> StoredReceipt | None:
            books = open_books_of(transaction, execution_id, now)
            receipt = resolve(books, execution_id, epoch)
            books.close()
            return receipt

        return await self._store.transact(run)

    async def _answer(
        self,
        requests: Sequence[_Request | TheoryError],
        items: Sequence[_Request],
        rule: Callable[[Books, _Request], _Answer],
    ) -> list[_Answer | TheoryError]:
        now = self._clock.now()

        def run(transaction: LedgerTransaction) -> list[_Answer | TheoryError]:
            books = open_books(transaction, items, now)
            answers = books.answer_each(requests, rule)
            books.close()
            return answers

        return await self._store.transact(run)


def open_books(
    transaction: LedgerTransaction, items: Sequence[ClaimRequest] | Sequence[SettleRequest], now: datetime
) -> Books:
    """Books with all that these claims or settlements need."""
    books = Books(transaction, now)
    epochs = [(each.execution_id.text, each.epoch) for each in items if isinstance(each, SettleRequest)]
    books.load_executions({each.execution_id.text for each in items}, epochs)
    plan_ids = {each.plan_id.text for each in items}
    books.load_budgets(plan_ids)
    books.load_chains(plan_ids, {(each.plan_id.text, event.event_id) for each in items for event in each.events})
    books.ready()
    return books


def open_books_of(transaction: LedgerTransaction, execution_id: ExecutionId, now: datetime) -> Books:
    """Books with all that a resolution of this execution needs."""
    books = Books(transaction, now)
    books.load_executions([execution_id.text])
    known = books.execution(execution_id.text)
    if known is not None and known.plan_id is not None:
        books.load_budgets([known.plan_id])
        books.load_chains([known.plan_id], ())
    books.ready()
    return books


def claim(books: Books, request: ClaimRequest) -> ClaimAnswer:
    """Issue the next epoch, and reserve; or answer with the receipt of an execution that is settled.

    Closes the attempt that is still open as lost, at the cost that the request states. `NotReady`
    (`BUDGET_INSUFFICIENT`), `NotFound` (`BUDGET_UNKNOWN`), `Invalid` (`ID_INVALID`, `MONEY_INVALID`).
    """
    plan_id, execution_id = request.plan_id.text, request.execution_id.text
    if request.attempt_idx < 0:
        raise Invalid("FIELD_INVALID", "attempts count from 0", field="attempt_idx")
    execution = books.execution(execution_id) or Execution(execution_id, plan_id)
    if execution.plan_id not in (None, plan_id):
        raise Invalid("ID_INVALID", "the execution belongs to another plan", field="plan_id", value=plan_id)
    if execution.settled_receipt_id is not None:
        settled = _receipt(books, execution.settled_receipt_id)
        return ClaimAnswer(settled.epoch, settled_receipt=settled)
    record_given(books, plan_id, request.events)
    _close_as_lost(books, execution, request.lost_cost_usd_micro)
    epoch = max(execution.epoch, execution.fenced_epoch) + 1
    reserved = _reserve(books, request, epoch)
    place: dict[str, JSON] = {"execution_id": execution_id, "attempt_idx": request.attempt_idx, "epoch": epoch}
    books.record(plan_id, _own_event(books, "claim", "execution.claimed", place))
    books.put_execution(replace(execution, plan_id=plan_id, epoch=epoch))
    books.put_attempt(Attempt(execution_id, epoch, request.attempt_idx, request.reserve_usd_micro))
    return ClaimAnswer(epoch, reserve_receipt=reserved)


def settle(books: Books, request: SettleRequest) -> SettleAnswer:
    """Close an attempt at its cost, and the execution with it where the request is final.

    Only at the current epoch: `Conflict` (`EPOCH_FENCED`). A repeat of a settled attempt gets its receipt again.
    `NotFound` (`EXECUTION_UNKNOWN`); `Invalid` (`SETTLEMENT_INVALID`, `MONEY_INVALID`).
    """
    _check_settlement(request)
    plan_id, execution_id = request.plan_id.text, request.execution_id.text
    execution = books.execution(execution_id)
    if execution is None or execution.plan_id is None:
        raise NotFound("EXECUTION_UNKNOWN", "nobody has claimed this execution", execution_id=execution_id)
    if execution.plan_id != plan_id:
        raise Invalid("SETTLEMENT_INVALID", "the execution belongs to another plan", field="plan_id")
    attempt = books.attempt(execution_id, request.epoch)
    if attempt is not None and attempt.state is AttemptState.SETTLED and attempt.receipt_id is not None:
        return SettleAnswer(_receipt(books, attempt.receipt_id), repeated=True)
    if attempt is None or attempt.state is not AttemptState.OPEN or request.epoch != execution.epoch:
        raise _fenced(request.epoch, execution)
    if request.attempt_idx != attempt.attempt_idx:
        raise Invalid("SETTLEMENT_INVALID", f"this is attempt {attempt.attempt_idx}", field="attempt_idx")
    record_given(books, plan_id, request.events)
    receipt = _close(books, attempt, request)
    if request.final:
        books.put_execution(replace(execution, settled_receipt_id=receipt.receipt_id))
    return SettleAnswer(receipt, repeated=False)


def resolve(books: Books, execution_id: ExecutionId, epoch: int) -> StoredReceipt | None:
    """The final receipt; or None, and from now on neither `epoch` nor one below it can settle.

    An attempt that the fence shuts out is closed as lost, at no cost, and its reservation released. `Invalid`
    (`ID_INVALID`) for an epoch that nobody can have been given.
    """
    if not 1 <= epoch <= MAX_EPOCH:
        raise Invalid("ID_INVALID", "epochs count from 1", field="epoch", value=str(epoch))
    execution = books.execution(execution_id.text) or Execution(execution_id.text, None)
    if execution.settled_receipt_id is not None:
        return _receipt(books, execution.settled_receipt_id)
    if epoch > execution.fenced_epoch:
        if epoch >= execution.epoch:
            _close_as_lost(books, execution, 0)
        books.put_execution(replace(execution, fenced_epoch=epoch))
    return None


def _check_settlement(request: SettleRequest) -> None:
    succeeded = request.outcome is AttemptOutcome.SUCCEEDED
    if succeeded and not request.final:
        raise Invalid("SETTLEMENT_INVALID", "a success is final", field="final")
    if request.outputs and not succeeded:
        raise Invalid("SETTLEMENT_INVALID", "only a success has outputs", field="outputs")


def _reserve(books: Books, request: ClaimRequest, epoch: int) -> StoredReceipt | None:
    if not request.reserve_usd_micro:
        return None
    plan_id = request.plan_id.text
    books.put_budget(accounts.reserve(books.budget(plan_id), plan_id, request.reserve_usd_micro))
    receipt = reserve_receipt(
        plan_id=request.plan_id,
        execution_id=request.execution_id,
        attempt_idx=request.attempt_idx,
        epoch=epoch,
        reserved_usd_micro=request.reserve_usd_micro,
        reserved_at=books.now,
    )
    body: dict[str, JSON] = {
        "execution_id": request.execution_id.text,
        "attempt_idx": request.attempt_idx,
        "epoch": epoch,
        "usd_micro": request.reserve_usd_micro,
        "receipt_id": receipt.receipt_id,
        "postings": Postings.held(request.reserve_usd_micro).to_document(),
    }
    event = books.record(plan_id, _own_event(books, "reserve", "budget.reserved", body))
    return keep(books, receipt, event.seq)


def _close_as_lost(books: Books, execution: Execution, cost_usd_micro: UsdMicro) -> None:
    attempt = books.attempt(execution.execution_id, execution.epoch)
    if attempt is None or attempt.state is not AttemptState.OPEN or execution.plan_id is None:
        return
    request = SettleRequest(
        plan_id=PlanId(execution.plan_id),
        execution_id=ExecutionId(execution.execution_id),
        epoch=attempt.epoch,
        attempt_idx=attempt.attempt_idx,
        outcome=AttemptOutcome.LOST,
        final=False,
        cost_usd_micro=cost_usd_micro,
    )
    _close(books, attempt, request, state=AttemptState.LOST)


def _close(
    books: Books, attempt: Attempt, request: SettleRequest, *, state: AttemptState = AttemptState.SETTLED
) -> StoredReceipt:
    """Move the money, state it, record both, and let the attempt rest."""
    plan_id = request.plan_id.text
    before = books.budget(plan_id)
    charge = accounts.Charge(attempt.reserved_usd_micro, request.cost_usd_micro, 0)
    if before is not None:
        after, charge = accounts.close(before, attempt.reserved_usd_micro, request.cost_usd_micro)
        books.put_budget(after)
    receipt = settle_receipt(
        plan_id=request.plan_id,
        execution_id=request.execution_id,
        attempt_idx=request.attempt_idx,
        epoch=request.epoch,
        outcome=request.outcome,
        final=request.final,
        settled_at=books.now,
        reserved_usd_micro=charge.released_usd_micro,
        spent_usd_micro=charge.spent_usd_micro,
        debt_usd_micro=charge.debt_usd_micro,
        outputs=request.outputs,
        facts=request.facts,
    )
    place: dict[str, JSON] = {
        "execution_id": request.execution_id.text,
        "attempt_idx": request.attempt_idx,
        "epoch": request.epoch,
        "receipt_id": receipt.receipt_id,
    }
    position = books.head(plan_id).seq + 1
    if before is not None:
        _record_charge(books, before, charge, place)
    if state is AttemptState.LOST:
        books.record(plan_id, _own_event(books, "lost", "execution.lost", place))
    else:
        end: dict[str, JSON] = {**place, "outcome": request.outcome.value, "final": request.final}
        books.record(plan_id, _own_event(books, "settle", "execution.settled", end))
    closed = replace(
        attempt,
        state=state,
        outcome=request.outcome.value,
        cost_usd_micro=request.cost_usd_micro,
        receipt_id=receipt.receipt_id,
    )
    books.put_attempt(closed)
    return keep(books, receipt, position)


def _record_charge(books: Books, account: Budget, charge: accounts.Charge, place: Mapping[str, JSON]) -> None:
    if not (charge.released_usd_micro or charge.spent_usd_micro or charge.debt_usd_micro):
        return
    body: dict[str, JSON] = {
        **place,
        "reserved_usd_micro": charge.released_usd_micro,
        "spent_usd_micro": charge.spent_usd_micro,
        "debt_usd_micro": charge.debt_usd_micro,
        "postings": charge.postings.to_document(),
    }
    books.record(account.plan_id, _own_event(books, "charge", "budget.settled", body))
    if charge.debt_usd_micro:
        overrun: dict[str, JSON] = {**place, "usd_micro": charge.debt_usd_micro}
        books.record(account.plan_id, _own_event(books, "overrun", "budget.overrun", overrun))


def _own_event(books: Books, what: str, kind: str, body: Mapping[str, JSON]) -> NewEvent:
    """One of the ledger's own events. Each happens once per epoch, so its id follows from what it is about."""
    execution_id, epoch = str(body["execution_id"]), body["epoch"]
    event_id = f"{OWN_IDS}{what}/{execution_id}/{epoch}"
    if len(event_id) > _MAX_EVENT_ID_CHARACTERS:
        event_id = f"{OWN_IDS}{what}/{Cid.of(execution_id.encode()).hex}/{epoch}"
    return NewEvent(event_id, kind, rfc3339(books.now), body)


def _receipt(books: Books, receipt_id: str) -> StoredReceipt:
    receipt = books.receipt(receipt_id)
    if receipt is None:
        raise Corrupt("RECEIPT_CORRUPT", "a receipt that the books name is gone", receipt_id=receipt_id)
    return receipt


def _fenced(epoch: int, execution: Execution) -> Conflict:
    current = max(execution.epoch, execution.fenced_epoch)
    message = f"epoch {epoch} can no longer settle: its outputs are to be discarded"
    return Conflict("EPOCH_FENCED", message, epoch=str(epoch), current_epoch=str(current))
