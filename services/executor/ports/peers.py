"""The ports to the other four services, as narrow as the executor's rules need them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from theory.core.adapters import TopicStats
from theory.core.artifact import Artifact, Output
from theory.core.chain import NewEvent
from theory.core.chunk import FixedChunk
from theory.core.cid import Cid
from theory.core.errors import TheoryError
from theory.core.ids import ExecutionId, PlanId
from theory.core.receipt import Receipt
from theory.core.refs import Ref, SpecKind
from theory.core.secret import Secret
from theory.core.selector import Selector
from theory.core.settle import Claimed, ClaimRequest, Settled, SettleRequest
from theory.core.spec import RegistrySnapshot
from theory.core.world_path import PathPrefix, WorldName, WorldPath


class Ledger(Protocol):
    """Decides. Every method is safe to call again after a lost answer, but `claim`, which then issues a new epoch."""

    async def open_budget(self, plan_id: PlanId, cap_usd_micro: int) -> None:
        """Open the plan's account; again with the same cap is fine."""
        ...

    async def append(self, plan_id: str, events: Sequence[NewEvent]) -> None:
        """Record events in the plan's chain, in this order; known event ids are passed over."""
        ...

    async def claim(self, request: ClaimRequest) -> Claimed:
        """Issue the epoch of a new attempt, or return the receipt of a settled execution.

        `NotReady` (`BUDGET_INSUFFICIENT`) where the account cannot pay.
        """
        ...

    async def settle(self, request: SettleRequest) -> Settled:
        """Settle an attempt; `Conflict` (`EPOCH_FENCED`) where it is no longer the current one."""
        ...

    async def receipts(self, receipt_ids: Sequence[str]) -> Sequence[Receipt | TheoryError]:
        """Receipts by id, each verified against it; `NotFound` (`RECEIPT_UNKNOWN`) per item."""
        ...


class World(Protocol):
    """Holds the bytes and the paths. Concurrent calls of one loop tick share an RPC."""

    async def stat(self, world: WorldName, path: WorldPath) -> Artifact | None:
        """What is bound at `path`; None where nothing is."""
        ...

    def listing(self, world: WorldName, prefix: PathPrefix) -> AsyncIterator[Artifact]:
        """What is bound below `prefix`, in order of path."""
        ...

    async def fix_chunks(
        self, world: WorldName, execution_id: ExecutionId, selectors: Sequence[Selector]
    ) -> Sequence[FixedChunk]:
        """The chunks that these selectors of streams name and the rings keep now, in order of path.

        Each is a stored blob, kept for the execution. Another call may find others. `Invalid` (`CHUNKS_TOO_MANY`),
        `Corrupt` (`CHUNK_CORRUPT`), `Exhausted` (`DISK_FULL`).
        """
        ...

    async def bind_files(self, world: WorldName, plan_id: PlanId, files: Sequence[Output]) -> None:
        """Bind stored blobs to paths, recorded in the plan's chain; the first file that cannot be bound is raised."""
        ...

    async def missing(self, cids: Sequence[Cid]) -> list[Cid]:
        """Which of these blobs the store lacks."""
        ...

    async def put(self, data: bytes) -> Cid:
        """Store a blob of at most 1 MiB. Idempotent."""
        ...

    async def upload(self, file: BinaryIO, size_bytes: int) -> Cid:
        """Hash and store what `file` holds from its position on, in one pass.

        `Invalid` (`SIZE_MISMATCH`) where that is not `size_bytes`.
        """
        ...

    async def blob(self, cid: Cid) -> bytes:
        """A blob, whole and verified: for those whose size the caller knows to be small."""
        ...

    async def download(self, cid: Cid, into: BinaryIO) -> None:
        """Write a blob of any size to `into`, verified; `Corrupt` where the bytes are not the CID's."""
        ...

    async def pin_inputs(
        self,
        world: WorldName,
        plan_id: PlanId,
        execution_id: ExecutionId,
        epoch: int,
        inputs: Sequence[tuple[WorldPath, Cid]],
    ) -> None:
        """Open to an attempt what it reads, and nothing else. Idempotent.

        `Conflict` (`EPOCH_FENCED`), `NotFound` (`BLOB_UNKNOWN`).
        """
        ...

    async def prepare(
        self, world: WorldName, plan_id: PlanId, execution_id: ExecutionId, epoch: int, outputs: Sequence[Output]
    ) -> None:
        """Reserve the paths of an attempt: all or none.

        `Conflict` (`PATH_RESERVED`: retry later; `EPOCH_FENCED`), `AlreadyExists` (`PATH_BOUND`, `PATH_SHADOWED`).
        """
        ...

    async def commit(
        self,
        world: WorldName,
        plan_id: PlanId,
        execution_id: ExecutionId,
        epoch: int,
        receipt_id: str,
        outputs: Sequence[Output],
    ) -> None:
        """Bind exactly these outputs and drop the execution's other reservations. Idempotent."""
        ...

    async def abort(self, execution_id: ExecutionId, epoch: int) -> None:
        """Drop the reservations up to `epoch`. Idempotent."""
        ...


class Registry(Protocol):
    """Pins specs."""

    async def create_snapshot(self, roots: Sequence[tuple[SpecKind, Ref]]) -> RegistrySnapshot:
        """The closure of `roots`; `NotFound` (`SPEC_UNKNOWN`) names what was never published."""
        ...

    async def snapshot(self, snapshot_id: str) -> RegistrySnapshot:
        """A pinned snapshot, its id verified."""
        ...


class Secrets(Protocol):
    """Knows secrets by name."""

    async def tags(self, names: Sequence[str]) -> Mapping[str, str | TheoryError]:
        """For each name the opaque tag of its value, or why there is none."""
        ...

    async def resolve(self, names: Sequence[str]) -> Mapping[str, Secret]:
        """The values; `NotFound` (`SECRET_UNKNOWN`) names all that are missing."""
        ...


class Scratch(Protocol):
    """Holds keys, topics and volumes of plans."""

    async def begin_plan(self, plan_id: PlanId, event_every: int) -> None:
        """Make each `event_every`-th change of keys, and of topics, an event of the plan; 0 for none. Idempotent."""
        ...

    async def end_plan(self, plan_id: PlanId) -> None:
        """Drop everything of the plan, and take nothing any more. Idempotent."""
        ...

    async def queue_stats(self, plan_id: PlanId) -> Sequence[TopicStats]:
        """The counts of each topic, by name."""
        ...

    async def volume_kind(self) -> str:
        """Where volumes lie, in the word by which a runtime knows whether it can mount them: `directory`."""
        ...

    async def volume(self, plan_id: PlanId, name: str) -> str:
        """What a runtime mounts for the plan's volume of this name, which is made where it is missing."""
        ...


@dataclass(frozen=True, slots=True)
class Peers:
    """The other four services, as this one sees them."""

    ledger: Ledger
    world: World
    registry: Registry
    secrets: Secrets
    scratch: Scratch
