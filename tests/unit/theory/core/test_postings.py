"""The tests of theory/core/postings.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.core.errors import Invalid
from theory.core.jcs import JSON
from theory.core.ledger import Budget
from theory.core.postings import ACCOUNTS, Postings, balances, moved

_AMOUNT = st.integers(0, 2**53 - 1)
_MOVEMENT = st.one_of(
    st.builds(Postings.opened, _AMOUNT),
    st.builds(Postings.topped_up, _AMOUNT, _AMOUNT),
    st.builds(Postings.held, _AMOUNT),
    st.builds(Postings.settled, _AMOUNT, _AMOUNT, _AMOUNT),
)


def test_what_does_not_sum_to_zero_is_no_movement() -> None:
    with pytest.raises(ValueError, match="sum to zero"):
        Postings(available=-1)


@given(_MOVEMENT)
def test_every_movement_sums_to_zero(postings: Postings) -> None:
    assert sum(getattr(postings, name) for name in ACCOUNTS) == 0
    assert sum(postings.to_document().values()) == 0  # type: ignore[arg-type]


@given(st.lists(_MOVEMENT, max_size=20))
def test_balances_are_the_sum_of_all_postings(movements: list[Postings]) -> None:
    budget, sums = Budget("p-1", 0), dict.fromkeys(ACCOUNTS, 0)
    for each in movements:
        try:
            budget = moved(budget, each)
        except Invalid:
            continue
        sums = {name: amount + getattr(each, name) for name, amount in sums.items()}
    assert {name: getattr(balances(budget), name) for name in ACCOUNTS} == sums


@pytest.mark.parametrize("postings", [Postings.settled(1, 0, 0), Postings.topped_up(0, 1)])
def test_nothing_is_taken_that_is_not_there(postings: Postings) -> None:
    with pytest.raises(Invalid):
        moved(Budget("p-1", 10), postings)


@pytest.mark.parametrize(
    ("kind", "body", "postings"),
    [
        ("budget.opened", {"cap_usd_micro": 7}, {"granted": -7, "available": 7}),
        ("budget.reserved", {"usd_micro": 7}, {"available": -7, "reserved": 7}),
        (
            "budget.settled",
            {"reserved_usd_micro": 7, "spent_usd_micro": 3, "debt_usd_micro": 0},
            {"available": 4, "reserved": -7, "cost": 3},
        ),
        (
            "budget.settled",
            {"reserved_usd_micro": 0, "spent_usd_micro": 3, "debt_usd_micro": 2},
            {"available": -3, "cost": 5, "owed": -2},
        ),
        (
            "budget.topped_up",
            {"usd_micro": 9, "paid_debt_usd_micro": 2},
            {"granted": -9, "available": 7, "owed": 2},
        ),
    ],
)
def test_what_an_event_posts_follows_from_what_it_says(
    kind: str, body: dict[str, JSON], postings: dict[str, JSON]
) -> None:
    found = Postings.of_event(kind, body)
    assert found is not None
    assert found.to_document() == postings


def test_an_event_that_moves_nothing_posts_nothing() -> None:
    assert Postings.of_event("budget.overrun", {"usd_micro": 3}) is None
    assert Postings.of_event("plan.submitted", {}) is None
