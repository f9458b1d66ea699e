"""Money: integer micro-dollars, checked at every edge, never a float."""

import re
from typing import TypeAlias

from theory.core.errors import Invalid, shown

UsdMicro: TypeAlias = int
"""An amount in millionths of a US dollar."""

MAX_USD_MICRO = 2**63 - 1
"""What an int64 column and an int64 field hold."""

_USD = re.compile(r"([0-9]{1,13})(?:\.([0-9]{1,6}))?", re.ASCII)


def usd_micro(value: object, field: str) -> UsdMicro:
    """`value` as an amount from 0 to 2^63-1; `Invalid` (`MONEY_INVALID`) names `field` otherwise."""
    # bool is an int to Python: `true` in a document would be one micro-dollar.
    if type(value) is not int or not 0 <= value <= MAX_USD_MICRO:
        message = "an amount is a whole number of micro-dollars from 0 to 2^63-1"
        raise Invalid("MONEY_INVALID", message, field=field, value=shown(repr(value)))
    return value


def from_usd(text: str, field: str) -> UsdMicro:
    """Dollars as people write them, such as `2.50`, exactly; `Invalid` (`MONEY_INVALID`) names `field` otherwise.

    At most six decimals: a seventh is less than a micro-dollar, and is not rounded away.
    """
    match = _USD.fullmatch(text)
    if match is None:
        message = "an amount in dollars is digits, and up to six decimals behind a point"
        raise Invalid("MONEY_INVALID", message, field=field, value=shown(text))
    whole, decimals = match.groups(default="")
    return usd_micro(int(whole) * 1_000_000 + int(decimals.ljust(6, "0")), field)


def add(a: UsdMicro, b: UsdMicro) -> UsdMicro:
    """The sum; `Invalid` (`MONEY_INVALID`) where it would not fit its column."""
    return usd_micro(a + b, "sum")
