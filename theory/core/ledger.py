"""The ledger's words that its callers share: accounts, heads, and events on their way to a chain."""

from dataclasses import dataclass
from typing import NamedTuple, Self

from theory.core.chain import NewEvent
from theory.core.errors import Invalid, shown
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


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A chain up to and including one of its events; 0 is before the first."""

    chain: str
    seq: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """The position that `text`, written CHAIN@SEQ, spells; `Invalid` (`POSITION_INVALID`) otherwise."""
        chain, at, seq = text.rpartition("@")
        if not (chain and at and seq.isascii() and seq.isdecimal() and len(seq) <= _SEQ_DIGITS):
            message = "a position is written CHAIN@SEQ, such as system.artifacts@12"
            raise Invalid("POSITION_INVALID", message, value=shown(text))
        return cls(chain, int(seq))

    def __str__(self) -> str:
        return f"{self.chain}@{self.seq}"


_SEQ_DIGITS = 18
"""More would fit into no message."""


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
