"""What the executor remembers of plans, executions, attempts and results: frozen values, replaced whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from theory.core.artifact import Output
from theory.core.cid import Cid
from theory.core.execution import ExecutionState, Failure, MemoVerdict, PlanState, Wait
from theory.core.ids import ExecutionId, PlanId, TransitionId
from theory.core.jcs import JSON
from theory.core.receipt import AttemptOutcome, Receipt
from theory.core.refs import Ref
from theory.core.selector import Selector, resolve_write_set
from theory.core.spec import RegistrySnapshot
from theory.core.world_path import PathPrefix, WorldName, WorldPath


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """The intent of one attempt, recorded before anything outside is touched in its name."""

    attempt_idx: int
    epoch: int
    image_digest: str
    memo_key: str
    inputs: tuple[tuple[WorldPath, Cid], ...]
    """The mount: what its `reads` resolved to, streams included; nothing else is visible to the processor."""

    components: Mapping[str, JSON]
    """What the memo key was made of, the fingerprint included."""

    reserve_receipt: bytes | None
    """The preimage of the reservation; None where nothing was reserved."""

    start_time: datetime
    holder: str = ""
    """Whose machine it runs on, where executors share plans; empty where there is one."""

    @property
    def secret_names(self) -> tuple[str, ...]:
        """The secrets that the attempt is given, by name, in order."""
        secrets = self.components["secrets"]
        return tuple(sorted(secrets)) if isinstance(secrets, Mapping) else ()


@dataclass(frozen=True, slots=True)
class ExecutionRecord:
    """One transition, or one item of its fan-out, being carried out."""

    plan_id: PlanId
    execution_id: ExecutionId
    ordinal: int
    """Its place in the plan, from 0."""

    transition_id: TransitionId
    index: int | None
    processor: Ref
    runtime: str
    inputs: Mapping[str, JSON]
    reads: tuple[str, ...]
    needs: tuple[TransitionId, ...]
    write_prefix: str | None
    """The folder below which it writes; None where its processor declares exact files alone."""

    state: ExecutionState
    volumes: tuple[str, ...] = ()
    """The plan's volumes that it shares with whoever names them, too."""

    waits_for: Wait | None = None
    """Which limit of its policy it waits for, if it has waited for long."""

    seq: int = 0
    attempt_idx: int = 0
    losses: int = 0
    """How many of its attempts so far were lost, so that a policy can tell them from the processor's own failures."""

    epoch: int = 0
    chunks: tuple[tuple[WorldPath, Cid], ...] | None = None
    """What its `reads` name of streams, fixed when it was first dispatched: every attempt reads the same. None where
    nothing is fixed yet, or any more."""

    attempt: AttemptRecord | None = None
    """The attempt under way; None between attempts, so that None means: nothing outside bears this name."""

    outcome: AttemptOutcome | None = None
    failure: Failure | None = None
    memo: MemoVerdict | None = None
    outputs: tuple[Output, ...] = ()
    named_outputs: Mapping[str, JSON] | None = None
    cost_usd_micro: int = 0
    receipt_id: str | None = None
    start_time: datetime | None = None
    finish_time: datetime | None = None
    log_tail: str = ""

    def write_set(self, snapshot: RegistrySnapshot) -> tuple[Selector, ...]:
        """All that it may write; `Invalid` (`WRITE_PREFIX_REFUSED`) where its processor declares no such folder."""
        prefix = PathPrefix.parse(self.write_prefix) if self.write_prefix is not None else None
        return resolve_write_set(snapshot.get_processor(self.processor).writes, prefix)


@dataclass(frozen=True, slots=True)
class PlanFileRecord:
    """A file that the plan's world holds before its first transition."""

    path: WorldPath
    cid: Cid
    size_bytes: int
    content_type: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """The execution that a plan repeats, and the receipt that says what it was."""

    execution_id: ExecutionId
    receipt_id: str


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """One submission."""

    plan_id: PlanId
    request_id: str
    request_digest: str
    """Of everything submitted: a repeat with the same id must be the same plan."""

    name: str
    world: WorldName
    policy: Ref
    snapshot_id: str
    seed: int
    max_usd_micro: int
    files: tuple[PlanFileRecord, ...]
    state: PlanState
    create_time: datetime
    execution_count: int
    seq: int = 0
    finish_time: datetime | None = None
    failure: Failure | None = None
    scratch_ended: bool = False
    replay_of: Replayed | None = None
    """What it repeats: then it takes no remembered result, and none of its own is remembered."""


@dataclass(frozen=True, slots=True)
class MemoEntry:
    """A result that may be used again: every component of its key, and the execution that made it."""

    memo_key: str
    processor: Ref
    components: Mapping[str, JSON]
    plan_id: PlanId
    execution_id: ExecutionId
    receipt_id: str
    outputs: tuple[Output, ...]
    named_outputs: Mapping[str, JSON]
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Remembered:
    """A result that an equal execution would take now, and the receipt that vouches for it."""

    entry: MemoEntry
    receipt: Receipt
    components: bytes
    """Canonical JSON of what the key is made of."""
