"""Preparing, committing and aborting bindings: the words that executor, artifacts and SDK share about outputs."""

from dataclasses import dataclass

from theory.core.artifact import Output
from theory.core.cid import Cid
from theory.core.ids import ExecutionId, PlanId
from theory.core.world_path import WorldName, WorldPath


@dataclass(frozen=True, slots=True)
class Preparation:
    """The outputs of one attempt, to be reserved: all of them or none."""

    world: WorldName
    plan_id: PlanId
    execution_id: ExecutionId
    epoch: int
    """The attempt's fencing token, as the ledger issued it."""
    outputs: tuple[Output, ...]


@dataclass(frozen=True, slots=True)
class Commitment:
    """The outputs of one settled execution, exactly as its receipt names them, to be bound."""

    world: WorldName
    plan_id: PlanId
    execution_id: ExecutionId
    epoch: int
    """The epoch that settled."""
    receipt_id: str
    outputs: tuple[Output, ...]


@dataclass(frozen=True, slots=True)
class Abortion:
    """The reservations of one execution at `epoch` and below, to be dropped."""

    execution_id: ExecutionId
    epoch: int


@dataclass(frozen=True, slots=True)
class AttemptInputs:
    """What one attempt reads, fixed at its dispatch: nothing else of the world is open to its token."""

    world: WorldName
    plan_id: PlanId
    execution_id: ExecutionId
    epoch: int
    inputs: tuple[tuple[WorldPath, Cid], ...]
    """Paths, each once, and what they hold; stored blobs, all of them."""
