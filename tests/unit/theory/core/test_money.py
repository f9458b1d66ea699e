"""Money: integers from 0 to 2^63-1, and nothing that only looks like one."""

import pytest

from tests.unit.theory.core.refusal import refused
from theory.core.errors import Invalid
from theory.core.money import MAX_USD_MICRO, add, from_usd, usd_micro


@pytest.mark.parametrize("value", [0, 1, 1_000_000, MAX_USD_MICRO])
def test_an_amount_is_itself(value: int) -> None:
    assert usd_micro(value, "cost") == value


@pytest.mark.parametrize("value", [-1, MAX_USD_MICRO + 1, 1.0, 0.5, True, False, "1", None, b"1", [1]])
def test_what_is_no_amount_is_refused_with_the_name_of_its_field(value: object) -> None:
    with refused(Invalid, "MONEY_INVALID", field="cost"):
        usd_micro(value, "cost")


def test_a_sum_that_leaves_its_column_is_refused() -> None:
    assert add(1, 2) == 3
    assert add(MAX_USD_MICRO, 0) == MAX_USD_MICRO
    with refused(Invalid, "MONEY_INVALID"):
        add(MAX_USD_MICRO, 1)
    with refused(Invalid, "MONEY_INVALID"):
        add(1, -2)


@pytest.mark.parametrize(
    ("text", "amount"),
    [("0", 0), ("1", 1_000_000), ("2.50", 2_500_000), ("0.000001", 1), ("9223372036854.775807", MAX_USD_MICRO)],
)
def test_dollars_are_read_exactly(text: str, amount: int) -> None:
    assert from_usd(text, "add") == amount


@pytest.mark.parametrize(
    "text",
    ["", ".5", "5.", "-1", "+1", "1e3", "1_000", "1,5", " 1", "1 ", "$1", "0.0000001", "NaN", "inf", "\u0661", "1\n"],
)
def test_what_is_no_amount_of_dollars_is_refused(text: str) -> None:
    with refused(Invalid, "MONEY_INVALID", field="add"):
        from_usd(text, "add")


@pytest.mark.parametrize("text", ["9223372036854.775808", "9999999999999", "10000000000000000000"])
def test_more_dollars_than_a_column_holds_are_refused(text: str) -> None:
    with refused(Invalid, "MONEY_INVALID", field="add"):
        from_usd(text, "add")
