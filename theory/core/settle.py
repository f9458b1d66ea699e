"""Claiming and settling: the words that executor, ledger and SDK share about the one decision of the system."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from theory.core.artifact import Output
from theory.core.chain import NewEvent
from theory.core.ids import ExecutionId, PlanId
from theory.core.jcs import JSON
from theory.core.money import UsdMicro
from theory.core.receipt import AttemptOutcome, Receipt


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """Asks for the right to carry out one attempt, and for its budget."""

    plan_id: PlanId
    execution_id: ExecutionId
    attempt_idx: int
    """Which try it is, from 0."""
    reserve_usd_micro: UsdMicro
    """What to set aside; 0 reserves nothing and needs no account."""
    lost_cost_usd_micro: UsdMicro = 0
    """What the previous attempt has cost, if it was never settled: the claim closes it as lost at this cost."""
    events: tuple[NewEvent, ...] = ()
    """Recorded in the same transaction, before the events of the claim itself."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """The answer to a claim."""

    epoch: int
    """The fencing token of the new attempt; or the epoch that settled, where `settled` is there."""
    reserve_receipt: Receipt | None
    """The reservation; None where nothing was reserved."""
    settled: Receipt | None
    """The final receipt, where the execution was settled before: nothing was claimed, nothing is to be done."""


@dataclass(frozen=True, slots=True)
class SettleRequest:
    """States how an attempt ended. The ledger accepts it only at the execution's current epoch."""

    plan_id: PlanId
    execution_id: ExecutionId
    epoch: int
    attempt_idx: int
    outcome: AttemptOutcome
    final: bool
    """Whether the execution ends with it. Must be true for a success."""
    cost_usd_micro: UsdMicro
    """What the attempt cost. Beyond the reservation it is taken from what the cap still admits; the rest is debt."""
    outputs: tuple[Output, ...] = ()
    """What the receipt binds. Must be empty unless the attempt succeeded."""
    facts: Mapping[str, JSON] = field(default_factory=dict)
    """What the receipt states beside the ledger's own fields: `input_cids`, `env_fingerprint`, `snapshot_id`, ..."""
    events: tuple[NewEvent, ...] = ()
    """Recorded in the same transaction, before the events of the settlement itself."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The answer to a settlement."""

    receipt: Receipt
    """The receipt, new or first."""
    repeated: bool
    """Whether the attempt was settled before this call."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """The answer to a doubt about an epoch: exactly one of the two holds once the call returned."""

    receipt: Receipt | None
    """The final receipt; None where the execution is not settled."""
    fenced: bool
    """Whether the epoch can never settle from now on."""
