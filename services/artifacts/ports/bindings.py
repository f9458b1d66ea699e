"""The table of paths: bound ones, reserved ones, and the fences of executions."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar

from services.artifacts.ports.ledger import EventSink
from services.artifacts.ports.retention import Input, InputReader, RetentionReader, RetentionTransaction
from theory.core.cid import Cid
from theory.core.ids import ExecutionId, PlanId
from theory.core.ledger import PlanEvent
from theory.core.world_path import WorldName

_T = TypeVar("_T")


class PathKey(NamedTuple):
    """One path of one world, as texts: what tables are keyed by."""

    world: str
    path: str


class Probe(NamedTuple):
    """A question about what lies below a path, asked by someone whose own reservations do not count."""

    key: PathKey
    owner: str
    """The execution that asks; empty for a direct write."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A path that is taken: bound for ever, or reserved by an execution. Either way it pins its blob."""

    key: PathKey
    cid: Cid
    size_bytes: int
    content_type: str
    time: datetime
    """When it was bound, or reserved."""
    owner: str | None
    """The execution that reserved it; None once it is bound."""


@dataclass(frozen=True, slots=True)
class Fence:
    """What is remembered of an execution for ever: the highest epoch that prepared, committed or aborted."""

    execution_id: ExecutionId
    plan_id: PlanId | None
    """None where only an abort was ever heard of it."""
    world: WorldName | None
    epoch: int
    open: bool
    """Whether paths are reserved at this epoch."""
    time: datetime
    """When it came to stand so."""


class BindingReader(RetentionReader, InputReader, Protocol):
    """One state of the table of paths. Sync and in bulk: a call costs about one statement, however many it asks for."""

    def holds(self, keys: Collection[PathKey]) -> Mapping[PathKey, Hold]:
        """What is taken of exactly these paths."""
        ...

    def below(self, probes: Collection[Probe]) -> Mapping[Probe, Hold]:
        """For each path below which something is taken that its owner does not hold itself: the first such path."""
        ...

    def fences(self, execution_ids: Collection[ExecutionId]) -> Mapping[ExecutionId, Fence]:
        """What is remembered of these executions."""
        ...

    def bound_page(self, world: WorldName, prefix: str, after: str, limit: int) -> list[Hold]:
        """The first `limit` bound paths that begin with `prefix` and lie behind `after`, by the bytes of the path."""
        ...

    def open_fences(self, before: datetime, limit: int) -> list[Fence]:
        """The oldest open reservations that stand so since before that time, oldest first."""
        ...


class BindingTransaction(BindingReader, RetentionTransaction, Protocol):
    """A `BindingReader` that also writes. Nothing else writes meanwhile; all of it is kept, or nothing."""

    def bind(self, holds: Sequence[Hold]) -> None:
        """Make each path bound as the hold says. It is free, or reserved by an execution that the caller speaks for."""
        ...

    def release(self, execution_ids: Collection[ExecutionId]) -> None:
        """Free every path that these executions have reserved and not bound."""
        ...

    def reserve(self, holds: Sequence[Hold]) -> None:
        """Take free paths for the owner that each hold names."""
        ...

    def fence(self, fences: Sequence[Fence]) -> None:
        """Remember these instead of what was remembered of the same executions."""
        ...

    def tell(self, inputs: Sequence[Input]) -> None:
        """Let attempts read these. One that the execution has already stays."""
        ...

    def forget_inputs(self, execution_ids: Collection[ExecutionId]) -> None:
        """Drop what these executions may read. Harmless where there is none."""
        ...

    def record(self, events: Iterable[PlanEvent]) -> None:
        """Hand events to the ledger once this transaction is kept: at least once, in order."""
        ...


class BindingAdapter(Protocol):
    """The table of paths: bound ones, reserved ones, and the fences of executions.

    Errors of both methods: `Unavailable` (`STORE_UNREACHABLE`), `Exhausted` (`DISK_FULL`), `Corrupt` (`STORE_CORRUPT`).
    """

    @property
    def durable(self) -> bool:
        """Whether what was written survives a crash of the machine."""
        ...

    async def write(self, step: Callable[[BindingTransaction], _T]) -> _T:
        """What `step` returned, once everything it wrote is kept; where it raises, nothing is.

        Steps run one after the other, on whatever thread. A step computes and returns plain values; it never waits.
        """
        ...

    async def read(self, step: Callable[[BindingReader], _T]) -> _T:
        """What `step` returned; it sees every write that was answered before."""
        ...

    def start(self, sink: "EventSink") -> None:
        """Begin to hand recorded events to `sink`, those of an earlier process included."""
        ...

    async def close(self) -> None:
        """Stop handing over, finish what runs, and let the store go."""
        ...
