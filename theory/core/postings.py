"""Double entry: every movement of a plan's money is a set of postings that sums to zero, stated in its event.

| account | holds |
|---|---|
| `granted` | what the outside gave, negative: minus the cap |
| `available` | what may still be reserved or spent |
| `reserved` | what open attempts hold |
| `cost` | what attempts cost, whoever pays it |
| `owed` | what of the cost the cap did not admit, negative: minus the debt |
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from theory.core.jcs import JSON
from theory.core.ledger import Budget
from theory.core.money import UsdMicro, add

ACCOUNTS = ("granted", "available", "reserved", "cost", "owed")


@dataclass(frozen=True, slots=True)
class Postings:
    """What one movement adds to each account. There are none that do not sum to zero: `ValueError`."""

    granted: int = 0
    available: int = 0
    reserved: int = 0
    cost: int = 0
    owed: int = 0

    def __post_init__(self) -> None:
        if self.granted + self.available + self.reserved + self.cost + self.owed:
            message = "postings sum to zero"
            raise ValueError(message)

    @classmethod
    def opened(cls, cap: UsdMicro) -> Self:
        """An account is opened with a cap."""
        return cls(granted=-cap, available=cap)

    @classmethod
    def topped_up(cls, usd_micro: UsdMicro, paid: UsdMicro) -> Self:
        """The cap is raised; `paid` of it pays debt."""
        return cls(granted=-usd_micro, available=usd_micro - paid, owed=paid)

    @classmethod
    def held(cls, usd_micro: UsdMicro) -> Self:
        """An attempt reserves."""
        return cls(available=-usd_micro, reserved=usd_micro)

    @classmethod
    def settled(cls, released: UsdMicro, spent: UsdMicro, debt: UsdMicro) -> Self:
        """An attempt ends: its reservation is released, its cost is paid as far as the cap admits, the rest is owed."""
        return cls(available=released - spent, reserved=-released, cost=spent + debt, owed=-debt)

    @classmethod
    def of_event(cls, kind: str, body: Mapping[str, JSON]) -> Self | None:
        """What an event of an account must post by its other fields; None where it moves nothing.

        A field that states no amount, less than nothing for one, moves nothing.
        """
        match kind:
            case "budget.opened":
                return cls.opened(_amount(body, "cap_usd_micro"))
            case "budget.topped_up":
                return cls.topped_up(_amount(body, "usd_micro"), _amount(body, "paid_debt_usd_micro"))
            case "budget.reserved":
                return cls.held(_amount(body, "usd_micro"))
            case "budget.settled":
                names = ("reserved_usd_micro", "spent_usd_micro", "debt_usd_micro")
                return cls.settled(*(_amount(body, name) for name in names))
        return None

    def to_document(self) -> dict[str, JSON]:
        """As an event states them: the accounts that move."""
        return {name: amount for name in ACCOUNTS if (amount := getattr(self, name))}


def moved(budget: Budget, postings: Postings) -> Budget:
    """The account after a movement; `Invalid` (`MONEY_INVALID`) where a sum would not fit its column."""
    return replace(
        budget,
        cap_usd_micro=add(budget.cap_usd_micro, -postings.granted),
        reserved_usd_micro=add(budget.reserved_usd_micro, postings.reserved),
        spent_usd_micro=add(budget.spent_usd_micro, postings.cost + postings.owed),
        debt_usd_micro=add(budget.debt_usd_micro, -postings.owed),
    )


def balances(budget: Budget) -> Postings:
    """What every account holds, as the sum of all postings so far."""
    return Postings(
        granted=-budget.cap_usd_micro,
        available=budget.cap_usd_micro - budget.reserved_usd_micro - budget.spent_usd_micro,
        reserved=budget.reserved_usd_micro,
        cost=budget.spent_usd_micro + budget.debt_usd_micro,
        owed=-budget.debt_usd_micro,
    )


def _amount(body: Mapping[str, JSON], field: str) -> int:
    amount = body.get(field)
    # bool is an int to Python; and whoever reserved less than nothing would have more to spend.
    return amount if type(amount) is int and amount > 0 else 0
