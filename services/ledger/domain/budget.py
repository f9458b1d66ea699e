"""The algebra of accounts: what is reserved, spent and owed, in integers that always add up."""

from dataclasses import dataclass

from services.ledger.domain.books import Books
from services.ledger.domain.chain import OWN_IDS
from services.ledger.ports import LedgerStore, LedgerTransaction
from theory.core.chain import NewEvent, unseal
from theory.core.clock import Clock, rfc3339
from theory.core.errors import AlreadyExists, Invalid, NotFound, NotReady
from theory.core.ids import PlanId, RequestId
from theory.core.jcs import JSON, MAX_SAFE_INTEGER
from theory.core.ledger import Budget
from theory.core.money import UsdMicro
from theory.core.postings import Postings, moved


@dataclass(frozen=True, slots=True)
class Charge:
    """What one attempt did to its account, once it was closed. `spent + debt` is its cost."""

    released_usd_micro: UsdMicro
    """The reservation that ended with it."""
    spent_usd_micro: UsdMicro
    debt_usd_micro: UsdMicro

    @property
    def postings(self) -> Postings:
        """What it moves."""
        return Postings.settled(self.released_usd_micro, self.spent_usd_micro, self.debt_usd_micro)


class Accounts:
    """The accounts as the wire sees them."""

    def __init__(self, store: LedgerStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def open(self, plan_id: PlanId, cap_usd_micro: UsdMicro) -> Budget:
        """The account of a plan, opened by the first call; errors as `open_account`."""
        now = self._clock.now()

        def run(transaction: LedgerTransaction) -> Budget:
            books = Books(transaction, now)
            books.load_budgets([plan_id.text])
            books.load_chains([plan_id.text], ())
            books.ready()
            budget = open_account(books, plan_id, cap_usd_micro)
            books.close()
            return budget

        return await self._store.transact(run)

    async def top_up(self, plan_id: PlanId, usd_micro: UsdMicro, request_id: RequestId) -> Budget:
        """The account of a plan with that much more; once per `request_id`. Errors as `top_up`."""
        now = self._clock.now()

        def run(transaction: LedgerTransaction) -> Budget:
            books = Books(transaction, now)
            books.load_budgets([plan_id.text])
            books.load_chains([plan_id.text], [(plan_id.text, _top_up_id(request_id))])
            books.ready()
            budget = top_up(books, plan_id, usd_micro, request_id)
            books.close()
            return budget

        return await self._store.transact(run)

    async def get(self, plan_id: PlanId) -> Budget:
        """The account of a plan; `NotFound` (`BUDGET_UNKNOWN`)."""
        return _existing(await self._store.budget(plan_id.text), plan_id.text)


def open_account(books: Books, plan_id: PlanId, cap_usd_micro: UsdMicro) -> Budget:
    """Open an account, and record `budget.opened`; the same cap again changes nothing.

    `AlreadyExists` (`BUDGET_OPEN`) for another cap. `Invalid` (`MONEY_INVALID`) beyond what an event can hold exactly.
    """
    if known := books.budget(plan_id.text):
        if known.cap_usd_micro != cap_usd_micro:
            cap = str(known.cap_usd_micro)
            raise AlreadyExists("BUDGET_OPEN", f"the account is open with a cap of {cap}", cap_usd_micro=cap)
        return known
    if cap_usd_micro > MAX_SAFE_INTEGER:
        sentence = "a cap is at most 2^53-1 micro-dollars"
        raise Invalid("MONEY_INVALID", sentence, field="cap_usd_micro", value=str(cap_usd_micro))
    postings = Postings.opened(cap_usd_micro)
    budget = moved(Budget(plan_id.text, 0), postings)
    body: dict[str, JSON] = {"cap_usd_micro": cap_usd_micro, "postings": postings.to_document()}
    books.record(plan_id.text, NewEvent(f"{OWN_IDS}open", "budget.opened", rfc3339(books.now), body))
    books.put_budget(budget)
    return budget


def top_up(books: Books, plan_id: PlanId, usd_micro: UsdMicro, request_id: RequestId) -> Budget:
    """Raise the cap of an account, and record `budget.topped_up`; what the plan owes is paid from it first.

    The same request again changes nothing. `NotFound` (`BUDGET_UNKNOWN`); `Invalid` (`MONEY_INVALID`) for nothing, and
    for a cap beyond what an event can hold exactly; `AlreadyExists` (`REQUEST_ID_TAKEN`) for another amount.
    """
    budget = _existing(books.budget(plan_id.text), plan_id.text)
    if known := books.event(plan_id.text, _top_up_id(request_id)):
        if unseal(known.preimage, known.this_hash).body["usd_micro"] != usd_micro:
            message = "the request id was used with another amount: choose a new one"
            raise AlreadyExists("REQUEST_ID_TAKEN", message, request_id=request_id.text)
        return budget
    if not 1 <= usd_micro <= MAX_SAFE_INTEGER - budget.cap_usd_micro:
        sentence = "a cap is raised by at least 1, and to at most 2^53-1 micro-dollars"
        raise Invalid("MONEY_INVALID", sentence, field="usd_micro", value=str(usd_micro))
    paid = min(usd_micro, budget.debt_usd_micro)
    postings = Postings.topped_up(usd_micro, paid)
    body: dict[str, JSON] = {
        "usd_micro": usd_micro,
        "paid_debt_usd_micro": paid,
        "request_id": request_id.text,
        "postings": postings.to_document(),
    }
    books.record(plan_id.text, NewEvent(_top_up_id(request_id), "budget.topped_up", rfc3339(books.now), body))
    raised = moved(budget, postings)
    books.put_budget(raised)
    return raised


def _top_up_id(request_id: RequestId) -> str:
    return f"{OWN_IDS}topup/{request_id.text}"


def reserve(budget: Budget | None, plan_id: str, usd_micro: UsdMicro) -> Budget:
    """The account with that much more reserved.

    `NotFound` (`BUDGET_UNKNOWN`) without an account; `NotReady` (`BUDGET_INSUFFICIENT`) if it is not available, and
    always while the plan is in debt.
    """
    budget = _existing(budget, plan_id)
    available = budget.available_usd_micro
    if usd_micro > available:
        raise NotReady(
            "BUDGET_INSUFFICIENT",
            f"{usd_micro} micro-dollars are to be reserved, {available} are available",
            available_usd_micro=str(available),
            required_usd_micro=str(usd_micro),
        )
    return moved(budget, Postings.held(usd_micro))


def close(budget: Budget, reserved_usd_micro: UsdMicro, cost_usd_micro: UsdMicro) -> tuple[Budget, Charge]:
    """The account once an attempt that held a reservation ended at a cost.

    The reservation is released. The cost is spent as far as the cap admits it, other attempts' reservations untouched;
    the rest is debt, never lost.
    """
    still_reserved = budget.reserved_usd_micro - reserved_usd_micro
    room = budget.cap_usd_micro - still_reserved - budget.spent_usd_micro
    spent = min(cost_usd_micro, room)
    charge = Charge(reserved_usd_micro, spent, cost_usd_micro - spent)
    return moved(budget, charge.postings), charge


def _existing(budget: Budget | None, plan_id: str) -> Budget:
    if budget is None:
        raise NotFound("BUDGET_UNKNOWN", "no account was opened for this plan", plan_id=plan_id)
    return budget
