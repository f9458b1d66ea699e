"""Accounts add up, whatever is done to them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ledger.adapters.memory import MemoryLedger, Tables
from services.ledger.domain.books import Books
from services.ledger.domain.budget import Accounts, Charge, close, open_account, reserve, top_up
from tests.unit.services.ledger.books import NOW, PLAN, Shelf
from theory.core.clock import FakeClock
from theory.core.errors import AlreadyExists, Invalid, NotFound, NotReady
from theory.core.ids import RequestId
from theory.core.ledger import Budget


def account(cap: int = 100, reserved: int = 0, spent: int = 0, debt: int = 0) -> Budget:
    return Budget(PLAN.text, cap, reserved, spent, debt)


def test_opening_records_the_cap_once() -> None:
    shelf = Shelf()
    for _ in range(2):
        assert shelf.with_books(lambda books: open_account(books, PLAN, 100)) == account()
    assert shelf.kinds() == ["budget.opened"]


def test_another_cap_is_refused() -> None:
    shelf = Shelf(cap=100)
    with pytest.raises(AlreadyExists) as caught:
        shelf.with_books(lambda books: open_account(books, PLAN, 99))
    assert caught.value.metadata == {"cap_usd_micro": "100"}


def test_a_cap_that_no_event_could_state_is_refused() -> None:
    with pytest.raises(Invalid):
        Shelf().with_books(lambda books: open_account(books, PLAN, 2**53))


def test_what_is_available_can_be_reserved_and_no_more() -> None:
    held = account(reserved=30, spent=50)
    assert reserve(held, PLAN.text, 20) == account(reserved=50, spent=50)
    with pytest.raises(NotReady) as caught:
        reserve(held, PLAN.text, 21)
    assert caught.value.metadata == {"available_usd_micro": "20", "required_usd_micro": "21"}


def test_a_plan_in_debt_reserves_nothing() -> None:
    with pytest.raises(NotReady):
        reserve(account(debt=1), PLAN.text, 1)


def test_a_reservation_needs_an_account() -> None:
    with pytest.raises(NotFound):
        reserve(None, PLAN.text, 1)


@pytest.mark.parametrize(
    ("held", "reserved", "cost", "after", "charge"),
    [
        (account(reserved=30), 30, 10, account(spent=10), Charge(30, 10, 0)),
        (account(reserved=30), 30, 30, account(spent=30), Charge(30, 30, 0)),
        (account(reserved=30), 30, 60, account(spent=60), Charge(30, 60, 0)),
        (account(reserved=30), 30, 130, account(spent=100, debt=30), Charge(30, 100, 30)),
        (account(reserved=70), 30, 90, account(reserved=40, spent=60, debt=30), Charge(30, 60, 30)),
        (account(spent=100, debt=3), 0, 4, account(spent=100, debt=7), Charge(0, 0, 4)),
        (account(reserved=30), 30, 0, account(), Charge(30, 0, 0)),
    ],
)
def test_a_cost_is_spent_as_far_as_the_cap_admits(
    held: Budget, reserved: int, cost: int, after: Budget, charge: Charge
) -> None:
    assert close(held, reserved, cost) == (after, charge)


@given(st.integers(0, 1000), st.data())
@settings(max_examples=50, deadline=None)
def test_nothing_is_lost_and_nothing_is_overdrawn(cap: int, data: st.DataObject) -> None:
    held = account(cap)
    open_reservations: list[int] = []
    costs = 0
    for _ in range(data.draw(st.integers(0, 12))):
        if data.draw(st.booleans()) and open_reservations:
            cost = data.draw(st.integers(0, 500))
            costs += cost
            held, charge = close(held, open_reservations.pop(), cost)
            assert charge.spent_usd_micro + charge.debt_usd_micro == cost
        else:
            amount = data.draw(st.integers(0, 500))
            if amount <= held.available_usd_micro:
                held = reserve(held, PLAN.text, amount)
                open_reservations.append(amount)
        assert held.reserved_usd_micro == sum(open_reservations)
        assert held.spent_usd_micro + held.debt_usd_micro == costs
        assert 0 <= held.reserved_usd_micro + held.spent_usd_micro <= cap


async def test_an_account_that_nobody_opened_is_not_found() -> None:
    with pytest.raises(NotFound):
        await Accounts(MemoryLedger(Tables()), FakeClock()).get(PLAN)


def test_a_top_up_pays_what_is_owed_first_and_happens_once() -> None:
    shelf = Shelf()
    shelf.tables.budgets[PLAN.text] = account(cap=100, spent=100, debt=30)
    once = RequestId("r-1")

    def add(amount: int, request_id: RequestId = once) -> Budget:
        books = Books(shelf.transaction(), NOW)
        books.load_budgets([PLAN.text])
        books.load_chains([PLAN.text], [(PLAN.text, f"ledger/topup/{request_id.text}")])
        books.ready()
        budget = top_up(books, PLAN, amount, request_id)
        books.close()
        return budget

    assert add(20) == account(cap=120, spent=120, debt=10)
    assert add(20) == account(cap=120, spent=120, debt=10)
    assert add(50, RequestId("r-2")) == account(cap=170, spent=130)
    assert shelf.kinds() == ["budget.topped_up", "budget.topped_up"]
    with pytest.raises(AlreadyExists):
        add(21)


@pytest.mark.parametrize("amount", [0, 2**53 - 100, 2**63 - 1])
def test_a_top_up_adds_something_that_an_event_can_hold(amount: int) -> None:
    shelf = Shelf(cap=100)
    with pytest.raises(Invalid):
        shelf.with_books(lambda books: top_up(books, PLAN, amount, RequestId("r-1")))
    with pytest.raises(NotFound):
        Shelf().with_books(lambda books: top_up(books, PLAN, 1, RequestId("r-1")))
