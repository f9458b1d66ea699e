"""What words of a command line are read as."""

import argparse

import pytest

from theory.cli.parsers import whole_from


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("7", 7), ("007", 7), (str(2**63 - 1), 2**63 - 1)])
def test_digits_are_a_number(text: str, number: int) -> None:
    assert whole_from(0)(text) == number


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", " 1", "1 ", "1_0", "1.0", "1e3", "0x1", "\u0661", "\uff11", "x", str(2**63), "9" * 5_000]
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a whole number from 0 on"):
        whole_from(0)(text)


def test_a_number_that_is_too_small_is_refused() -> None:
    assert whole_from(1)("1") == 1
    with pytest.raises(argparse.ArgumentTypeError, match="'0' is not a whole number from 1 on"):
        whole_from(1)("0")
