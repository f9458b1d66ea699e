"""The algebra of accounts: what is reserved, spent and owed, in integers that always add up."""

from dataclasses import dataclass, replace

from services.ledger.domain.books import Books
from services.ledger.domain.chain import OWN_IDS
from services.ledger.ports import LedgerStore, LedgerTransaction
from theory.core.chain import NewEvent
from theory.core.clock import Clock, rfc3339
from theory.core.errors import AlreadyExists, Invalid, NotFound, NotReady
from theory.core.ids import PlanId
from theory.core.jcs import MAX_SAFE_INTEGER
from theory.core.ledger import Budget
from theory.core.money import UsdMicro, add


@dataclass(frozen=True, slots=True)
class Charge:
    """What one attempt did to its account, once it was closed. `spent + debt` is its cost."""

    released_usd_micro: UsdMicro
    """The reservation that ended with it."""
    spent_usd_micro: UsdMicro
    debt_usd_micro: UsdMicro


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
    budget = Budget(plan_id.text, cap_usd_micro)
    body = {"cap_usd_micro": cap_usd_micro}
    books.record(plan_id.text, NewEvent(f"{OWN_IDS}open", "budget.opened", rfc3339(books.now), body))
    books.put_budget(budget)
    return budget


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
    return replace(budget, reserved_usd_micro=budget.reserved_usd_micro + usd_micro)


def close(budget: Budget, reserved_usd_micro: UsdMicro, cost_usd_micro: UsdMicro) -> tuple[Budget, Charge]:
    """The account once an attempt that held a reservation ended at a cost.

    The reservation is released. The cost is spent as far as the cap admits it, other attempts' reservations untouched;
    the rest is debt, never lost.
    """
    still_reserved = budget.reserved_usd_micro - reserved_usd_micro
    room = budget.cap_usd_micro - still_reserved - budget.spent_usd_micro
    spent = min(cost_usd_micro, room)
    charge = Charge(reserved_usd_micro, spent, cost_usd_micro - spent)
    return replace(
        budget,
        reserved_usd_micro=still_reserved,
        spent_usd_micro=budget.spent_usd_micro + spent,
        debt_usd_micro=add(budget.debt_usd_micro, charge.debt_usd_micro),
    ), charge


def _existing(budget: Budget | None, plan_id: str) -> Budget:
    if budget is None:
        raise NotFound("BUDGET_UNKNOWN", "no account was opened for this plan", plan_id=plan_id)
    return budget
