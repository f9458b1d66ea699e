"""The ledger's words that its callers share: accounts, heads, and events on their way to a chain."""

from dataclasses import dataclass
from typing import NamedTuple

from theory.core.chain import NewEvent
from theory.core.money import UsdMicro


@dataclass(frozen=True, slots=True)
class Budget:
    """The account of a plan. `reserved + spent` never exceeds `cap`; what cost more than that is debt."""

    plan_id: str
    cap_usd_micro: UsdMicro
    reserved_usd_micro: UsdMicro = 0
    """Held by open attempts."""
    spent_usd_micro: UsdMicro = 0
    debt_usd_micro: UsdMicro = 0
    """Settled beyond the cap. A plan in debt reserves nothing more."""

    @property
    def available_usd_micro(self) -> UsdMicro:
        """What may still be reserved."""
        return 0 if self.debt_usd_micro else self.cap_usd_micro - self.reserved_usd_micro - self.spent_usd_micro


class ChainHead(NamedTuple):
    """The newest position of a chain; (0, 64 zeros) where it is empty."""

    plan_id: str
    seq: int
    this_hash: str


class PlanEvent(NamedTuple):
    """An event and the chain it belongs to: a plan's id, or `system.<service>`."""

    plan_id: str
    event: NewEvent
    expected_seq: int | None = None
    """The position at which the chain must stand before it; None where any will do."""


class Appended(NamedTuple):
    """The place that an event got, now or when it was first appended."""

    seq: int
    this_hash: str
