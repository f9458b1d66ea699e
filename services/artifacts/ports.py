"""What the rules of the artifact store need from outside: bytes by content, a table of paths, the ledger."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeVar

from theory.core.cid import Cid
from theory.core.errors import TheoryError
from theory.core.ids import ExecutionId, PlanId
from theory.core.ledger import Appended, PlanEvent
from theory.core.presign import BlobPut, PresignedRequest
from theory.core.settle import Resolution
from theory.core.world_path import WorldName

_T = TypeVar("_T")


class BlobIndex(Protocol):
    """Tells what is stored, without waiting for anything: the rules ask inside the transaction that relies on it."""

    def sizes(self, cids: Collection[Cid]) -> Mapping[Cid, int]:
        """The lengths of those blobs that are stored and durable. Safe on any thread, a few microseconds per blob.

        Where the store is not on this machine, of those that were recalled a while ago.
        """
        ...


class StagedBlob(Protocol):
    """Bytes on their way in. Nobody sees them before `commit`; a crash leaves nothing that is ever read."""

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes. `Exhausted` (`DISK_FULL`), `Unavailable` (`STORE_UNREACHABLE`): then only `discard`."""
        ...

    async def commit(self, cid: Cid) -> None:
        """Give the bytes their name; durable on return where the adapter is.

        The caller guarantees that they hash to `cid`. A blob that is there already is as good. Errors as in `write`.
        """
        ...

    async def discard(self) -> None:
        """Forget the bytes. Harmless after `commit`, and a second time."""
        ...


class BlobReader(Protocol):
    """One stored blob, open. It stays readable until closed."""

    @property
    def size_bytes(self) -> int:
        """Its length."""
        ...

    @property
    def descriptor(self) -> int | None:
        """An open file that holds exactly the blob, for as long as this is open: the kernel can send it by itself.

        None where there is none.
        """
        ...

    async def read(self, offset: int, length: int) -> bytes:
        """Exactly those bytes, which the caller knows to exist; fewer only where the blob was damaged."""
        ...

    async def close(self) -> None:
        """Let it go. Harmless a second time."""
        ...


class StoredBlob(NamedTuple):
    """A blob as the store lists it."""

    cid: Cid
    size_bytes: int
    time: datetime
    """When it came there, by the clock of the store."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A blob that is there and was left out, because it did not fit."""

    size_bytes: int


class BlobAdapter(BlobIndex, Protocol):
    """Bytes by CID. An adapter keeps what it is given; that a name and its bytes agree is the business of the rules.

    A name appears at once with all of its bytes, or not at all. Methods may be called concurrently, also with the same
    CID. Errors: `Exhausted` (`DISK_FULL`), `Unavailable` (`STORE_UNREACHABLE`).
    """

    @property
    def kind(self) -> str:
        """One word for the capabilities, such as `filesystem`."""
        ...

    @property
    def durable(self) -> bool:
        """Whether what was acknowledged survives a crash of the machine."""
        ...

    async def ready(self) -> None:
        """Return where blobs can be stored and read just now, as far as one look tells; asked every few seconds.

        `NotReady` (`STORE_MISSING`, `STORE_DENIED`), and the errors above.
        """
        ...

    async def presigner(self, public_url: str | None) -> "Presigner | None":
        """What makes requests that lead straight to where the bytes are kept; None where nothing there signs.

        Clients reach that place at `public_url`, or as this service does. It was seen to refuse what is not as signed:
        `Unsupported` (`STORE_UNFIT`) where it does not. Other errors as in `ready`.
        """
        ...

    async def recall(self, cids: Collection[Cid]) -> None:
        """Make `sizes` answer for those of them that are stored, for a while: long enough for a transaction to ask.

        Needed where looking takes waiting; elsewhere `sizes` always answers. Errors as above.
        """
        ...

    async def missing(self, cids: Sequence[Cid]) -> set[Cid]:
        """Those of `cids` that are not stored, or not yet durable: whoever relies on one has to put it."""
        ...

    async def put_many(self, blobs: Sequence[tuple[Cid, bytes]]) -> list[TheoryError | None]:
        """Store blobs; one outcome each, in order. One that is there already is a success."""
        ...

    async def read_many(
        self, cids: Sequence[Cid], *, max_each: int, max_total: int
    ) -> list[bytes | Unread | TheoryError | None]:
        """Each blob's bytes, in order; None where there is none, the error of a blob that cannot be read.

        `Unread` for a blob over `max_each`, and for one that would take the whole answer beyond `max_total`.
        """
        ...

    async def stage(self) -> StagedBlob:
        """Begin a blob of unknown length."""
        ...

    async def open(self, cid: Cid) -> BlobReader | None:
        """A blob to read in pieces; None where there is none."""
        ...

    @property
    def exclusive(self) -> bool:
        """Whether no other process can have the store open."""
        ...

    async def scan(self, after: Cid | None, limit: int) -> list[StoredBlob]:
        """Up to `limit` blobs behind `after`, by CID; none only where none follow.

        Those that come or go meanwhile may or may not be told.
        """
        ...

    async def delete(self, cids: Collection[Cid]) -> None:
        """Remove blobs, and forget what is remembered of them. One that is not there is fine; a repeat too.

        The caller sees to it that nobody puts them meanwhile. Whether it returns or raises, nothing of it goes on
        behind the caller's back, unless the caller itself was cancelled. What is open stays readable, or ends in an
        error.
        """
        ...

    async def quarantine(self, cid: Cid) -> None:
        """Move a damaged blob to where nothing is served from, for a person to look at. Not there: nothing happens."""
        ...

    async def close(self) -> None:
        """Finish what runs and let everything go."""
        ...


class Presigner(Protocol):
    """Makes HTTP requests that reach the bytes past gRPC: this service's own data plane, or a store that signs."""

    @property
    def sha256_required(self) -> bool:
        """Whether an upload needs the SHA-256 of its bytes."""
        ...

    @property
    def resumable(self) -> bool:
        """Whether a broken upload can go on where it stands."""
        ...

    @property
    def max_upload_bytes(self) -> int | None:
        """The largest upload; None where it is as large as a blob may be."""
        ...

    async def get(self, blob: BlobPut, expire_time: datetime) -> PresignedRequest:
        """A request that reads a blob, and has it downloaded under its content type.

        It ends at `expire_time`, or earlier, with the credential that signs it; `put` alike.
        """
        ...

    async def put(self, upload_id: str, put: BlobPut, expire_time: datetime) -> PresignedRequest:
        """A request that stores exactly what was announced, and nothing in its place."""
        ...

    async def collect(self, upload_id: str, put: BlobPut) -> None:
        """Bring what has arrived elsewhere into the blobs, verified and durable; nothing to do where it is there.

        Whatever kills it on its way, a blob is there whole or not at all, and asking again ends it. `Invalid`
        (`CID_MISMATCH`, `SIZE_MISMATCH`): then nothing of it is kept. Other errors are those of the blobs.
        """
        ...


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


class PinKind(StrEnum):
    """Why a blob is kept that no path names."""

    INPUT = "input"
    """An execution reads it: kept until the world is dropped, so that its receipt can be re-executed."""
    UPLOAD = "upload"
    """An attempt brought it: kept until its execution is committed or aborted."""


class Pin(NamedTuple):
    """A blob that is kept for someone. Four texts: what the table is keyed by."""

    holder: str
    """The execution that it is kept for."""
    world: str
    """The world whose end is the pin's end."""
    cid: Cid
    kind: PinKind


class Mark(NamedTuple):
    """A blob that nothing referred to when it was looked at, and that goes unless somebody wants it."""

    time: datetime
    """Since when."""
    size_bytes: int
    deleting: bool
    """Whether its bytes are being removed: then nobody may rely on it any more."""


class DroppedWorld(NamedTuple):
    """A world that is gone for ever."""

    world: str
    time: datetime
    """When it was dropped."""
    paths: int
    """How many bound paths went with it, so far."""
    done: bool
    """Whether all of them have gone."""


class RetentionReader(Protocol):
    """What the table remembers of blobs on their way out, and of worlds that are gone."""

    def pinned(self, holder: str, cids: Collection[Cid]) -> set[Cid]:
        """Those of `cids` that are pinned for `holder`, of whichever kind and world."""
        ...

    def referenced(self, cids: Collection[Cid]) -> set[Cid]:
        """Those that are bound, reserved or pinned."""
        ...

    def marked(self) -> bool:
        """Whether any blob is marked. A few microseconds."""
        ...

    def marks(self, cids: Collection[Cid]) -> Mapping[Cid, Mark]:
        """The marks of these blobs; a few microseconds where no blob has one."""
        ...

    def due(self, before: datetime, limit: int) -> Mapping[Cid, Mark]:
        """The oldest marks of before that time whose blobs are not being deleted."""
        ...

    def deleting(self, limit: int) -> Mapping[Cid, Mark]:
        """Blobs that are being deleted, or were when a process ended."""
        ...

    def dropped(self, worlds: Collection[str]) -> Mapping[str, DroppedWorld]:
        """Those of these worlds that are gone."""
        ...

    def dropping(self) -> list[DroppedWorld]:
        """Worlds that are not gone altogether yet."""
        ...

    def reserver(self, world: str) -> ExecutionId | None:
        """An execution that has open reservations in this world, if any has."""
        ...

    def noted(self, name: str) -> str | None:
        """What was last noted under a name."""
        ...


class RetentionTransaction(RetentionReader, Protocol):
    """A `RetentionReader` that also writes."""

    def pin(self, pins: Collection[Pin]) -> None:
        """Keep these blobs, which the caller has seen in the store in this transaction. A pin that is there stays."""
        ...

    def unpin(self, holders: Collection[str], kind: PinKind) -> None:
        """Drop every pin of that kind of these holders. Harmless where there is none."""
        ...

    def mark(self, blobs: Collection[StoredBlob], time: datetime) -> None:
        """Mark blobs that have no mark."""
        ...

    def unmark(self, cids: Collection[Cid]) -> None:
        """Take marks away, deleting or not. Harmless where there is none."""
        ...

    def condemn(self, cids: Collection[Cid]) -> None:
        """Say of marked blobs that they are being deleted."""
        ...

    def drop(self, world: DroppedWorld) -> None:
        """Say that a world is gone, or how far it is gone by now."""
        ...

    def drop_rows(self, world: str, limit: int) -> tuple[int, int]:
        """Forget up to `limit` bound paths of a world, and then as many pins: how many of each it were."""
        ...

    def note(self, name: str, text: str) -> None:
        """Remember a text under a name, in place of the one before."""
        ...


class Input(NamedTuple):
    """One path that an execution's attempt may read, as it was fixed at the dispatch."""

    execution_id: ExecutionId
    epoch: int
    """The attempt's."""
    world: str
    path: str
    cid: Cid


class InputReader(Protocol):
    """What attempts were told that they may read. A part of `BindingReader`, with the same manners."""

    def told(self, execution_ids: Collection[ExecutionId]) -> Mapping[ExecutionId, int]:
        """The epoch to which the inputs belong, of those executions that have any."""
        ...

    def input_paths(self, execution_id: ExecutionId, epoch: int, paths: Collection[str]) -> set[str]:
        """Those of `paths` that are inputs of the execution at exactly that epoch."""
        ...

    def input_page(self, execution_id: ExecutionId, epoch: int, prefix: str, after: str, limit: int) -> list[str]:
        """The first `limit` such paths that begin with `prefix`, a folder, and lie behind `after`, by their bytes."""
        ...

    def readable(self, execution_id: ExecutionId, epoch: int, cids: Collection[Cid]) -> set[Cid]:
        """Those of `cids` that are inputs at that epoch, or pinned as uploads of the execution."""
        ...


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


class EventSink(Protocol):
    """Where events go: the ledger."""

    async def append(self, events: Sequence[PlanEvent]) -> Sequence[Appended | TheoryError]:
        """Append each event to its chain; one answer each, in order. A repeat changes nothing."""
        ...


class WorldStreams(Protocol):
    """The streams of a world, which lie elsewhere."""

    async def drop(self, world: WorldName) -> int:
        """Remove them all, for ever; how many that were. Idempotent, and to be repeated where it failed."""
        ...


class Resolver(Protocol):
    """Who decides an execution that is in doubt: the ledger."""

    async def resolve(self, execution_id: ExecutionId, epoch: int) -> Resolution:
        """The final receipt, or the promise that `epoch` never settles. Both are for ever."""
        ...
