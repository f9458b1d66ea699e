"""Accounts and positions, as everyone sees them."""

import pytest

from theory.core.errors import Invalid
from theory.core.ledger import Budget, Position


def test_what_is_neither_reserved_nor_spent_is_available() -> None:
    assert Budget("p-1", 100, reserved_usd_micro=30, spent_usd_micro=50).available_usd_micro == 20


def test_a_plan_in_debt_has_nothing_available() -> None:
    assert Budget("p-1", 100, reserved_usd_micro=30, spent_usd_micro=50, debt_usd_micro=1).available_usd_micro == 0


@pytest.mark.parametrize("text", ["p-1@12", "system.artifacts@0", "p-1@007"])
def test_a_position_is_a_chain_and_a_number(text: str) -> None:
    chain, _, seq = text.partition("@")
    assert Position.parse(text) == Position(chain, int(seq))


@pytest.mark.parametrize("text", ["", "p-1", "@3", "p-1@", "p-1@-1", "p-1@1.5", "p-1@٣", "p-1@" + "9" * 19])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        Position.parse(text)
    assert caught.value.reason == "POSITION_INVALID"


def test_a_position_is_written_as_it_is_read() -> None:
    assert str(Position.parse("p-1@12")) == "p-1@12"
