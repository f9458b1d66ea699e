"""Accounts, as everyone sees them."""

from theory.core.ledger import Budget


def test_what_is_neither_reserved_nor_spent_is_available() -> None:
    assert Budget("p-1", 100, reserved_usd_micro=30, spent_usd_micro=50).available_usd_micro == 20


def test_a_plan_in_debt_has_nothing_available() -> None:
    assert Budget("p-1", 100, reserved_usd_micro=30, spent_usd_micro=50, debt_usd_micro=1).available_usd_micro == 0
