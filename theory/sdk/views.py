"""Plans and executions as a client sees them: frozen views of what the executor reports."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from theory.core.adapters import LogSource
from theory.core.artifact import Output
from theory.core.clock import rfc3339
from theory.core.execution import ExecutionState, Failure, MemoVerdict, PlanState, Wait
from theory.core.ids import ExecutionId, PlanId, TransitionId
from theory.core.jcs import JSON
from theory.core.money import UsdMicro
from theory.core.receipt import AttemptOutcome, Receipt
from theory.core.refs import Ref
from theory.core.world_path import WorldName


@dataclass(frozen=True, slots=True)
class PlanView:
    """A plan as it stood when the executor answered."""

    plan_id: PlanId
    name: str
    world: WorldName
    snapshot_id: str | None
    """None until the registry snapshot is pinned."""
    state: PlanState
    seq: int
    """Grows with each change of the plan or of one of its executions; the position to resume a watch from."""
    create_time: datetime
    finish_time: datetime | None
    failure: Failure | None
    execution_count: int
    max_usd_micro: UsdMicro
    replay_of: ExecutionId | None = None
    """The execution that it repeats; None where it is no replay."""

    def to_document(self) -> dict[str, JSON]:
        """As JSON has it; what is not known is null."""
        return {
            "plan_id": self.plan_id.text,
            "name": self.name,
            "world": self.world.text,
            "snapshot_id": self.snapshot_id,
            "state": self.state.value,
            "seq": self.seq,
            "create_time": rfc3339(self.create_time),
            "finish_time": _time(self.finish_time),
            "failure": None if self.failure is None else self.failure.to_document(),
            "execution_count": self.execution_count,
            "max_usd_micro": self.max_usd_micro,
            "replay_of": None if self.replay_of is None else self.replay_of.text,
        }


@dataclass(frozen=True, slots=True)
class ExecutionView:
    """An execution as it stood when the executor answered."""

    plan_id: PlanId
    execution_id: ExecutionId
    transition_id: TransitionId
    index: int | None
    """Which item of the fan-out, from 0; None where there is none."""
    processor: Ref
    runtime: str
    state: ExecutionState
    seq: int
    """The plan's `seq` at its last change."""
    attempt_idx: int
    epoch: int
    """The fencing token of the current or last attempt; 0 before the first claim."""
    outcome: AttemptOutcome | None
    failure: Failure | None
    memo: MemoVerdict | None
    """What the memo index said; None until it was asked."""
    outputs: tuple[Output, ...]
    named_outputs: Mapping[str, JSON]
    cost_usd_micro: UsdMicro
    """What its attempts cost together."""
    receipt_id: str | None
    start_time: datetime | None
    finish_time: datetime | None
    log_tail: str
    """The last lines that the last attempt wrote."""
    waits_for: Wait | None = None
    """Which limit of its policy holds it up; None where none does, or not for long."""

    @property
    def name(self) -> str:
        """How it is called within its plan: the transition, and the number of the item where there is a fan-out."""
        return self.transition_id.text if self.index is None else f"{self.transition_id.text}.{self.index}"

    @property
    def memo_hit(self) -> bool:
        """Whether an earlier result was used and nothing ran."""
        return self.memo is not None and self.memo.hit

    def to_document(self) -> dict[str, JSON]:
        """As JSON has it; what is not known is null."""
        return {
            "plan_id": self.plan_id.text,
            "execution_id": self.execution_id.text,
            "transition_id": self.transition_id.text,
            "index": self.index,
            "processor": self.processor.text,
            "runtime": self.runtime,
            "state": self.state.value,
            "seq": self.seq,
            "attempt_idx": self.attempt_idx,
            "epoch": self.epoch,
            "outcome": None if self.outcome is None else self.outcome.value,
            "failure": None if self.failure is None else self.failure.to_document(),
            "memo": None if self.memo is None else self.memo.to_document(),
            "outputs": [each.to_document() for each in self.outputs],
            "named_outputs": self.named_outputs,
            "cost_usd_micro": self.cost_usd_micro,
            "receipt_id": self.receipt_id,
            "start_time": _time(self.start_time),
            "finish_time": _time(self.finish_time),
            "log_tail": self.log_tail,
            "waits_for": None if self.waits_for is None else self.waits_for.value,
        }


@dataclass(frozen=True, slots=True)
class RememberedResult:
    """A result that an equal execution would take: its bytes are stored, and its receipt vouches for them."""

    memo_key: str
    execution_id: ExecutionId
    """Whose result it is."""
    receipt: Receipt
    components: Mapping[str, JSON]
    """What the key is made of."""


@dataclass(frozen=True, slots=True)
class LogPart:
    """Some of what an execution printed: one message of its log."""

    position: str
    """Behind it; opaque."""
    attempt_idx: int
    source: LogSource | None
    """None where there is no data, and only the position moves on."""
    data: bytes
    """Secrets blotted out; in no promised encoding, cut anywhere."""
    gap: bool
    """Whether something before it is missing, or was told before and comes again."""
    last: bool
    """Whether nothing follows."""


@dataclass(frozen=True, slots=True)
class PlanChange:
    """What changed in a plan: one message of a watch."""

    seq: int
    """The position to resume from."""
    plan: PlanView
    executions: tuple[ExecutionView, ...]
    """Those that changed since the message before."""


@dataclass(frozen=True, slots=True)
class RuntimeView:
    """One runtime adapter of an executor."""

    kind: str
    ready: bool
    """Whether it answers now."""
    isolation: str
    """What is to separate its processors from their machine: `namespaces`, `gvisor`, or `none`."""
    advice: str
    """If not ready, one sentence that says what to do."""
    isolation_missing: tuple[str, ...] = ()
    """What of that isolation does not hold there."""

    def to_document(self) -> dict[str, JSON]:
        """As JSON has it."""
        return {
            "kind": self.kind,
            "ready": self.ready,
            "isolation": self.isolation,
            "isolation_missing": list(self.isolation_missing),
            "advice": self.advice,
        }


@dataclass(frozen=True, slots=True)
class ExecutorCapabilities:
    """What an executor offers."""

    runtimes: tuple[RuntimeView, ...]
    default_runtime: str
    max_in_flight: int
    """How many executions are carried out at once."""

    def to_document(self) -> dict[str, JSON]:
        """As JSON has it."""
        return {
            "runtimes": [each.to_document() for each in self.runtimes],
            "default_runtime": self.default_runtime,
            "max_in_flight": self.max_in_flight,
        }


def _text(execution_id: ExecutionId | None) -> str | None:
    return None if execution_id is None else execution_id.text


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
