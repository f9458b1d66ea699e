"""What the ledger's rules need from outside: a store with transactions that read and write in bulk."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeVar

from theory.core.checkpoint import LogKey
from theory.core.ledger import Budget, ChainHead
from theory.core.money import UsdMicro
from theory.core.tiles import TileKey

_T = TypeVar("_T")

MIN_US, MAX_US = -(2**62), 2**62
"""Before and behind every time that can be written down."""


class StoredEvent(NamedTuple):
    """An event exactly as it is kept, damage included; nothing but `preimage` was hashed.

    A pruned one has neither `preimage` nor `event_id`; its `prev_hash` is the hash of the event before it.
    """

    plan_id: str
    seq: int
    event_id: str
    kind: str
    ts: str
    prev_hash: str
    this_hash: str
    preimage: bytes
    log_index: int
    """Which leaf of the Merkle tree it is, from 0: the order in which events were committed."""


class Payload(NamedTuple):
    """What an event says, without saying it."""

    log_index: int
    seq: int
    kind: str
    this_hash: str
    size_bytes: int


class StoredReceipt(NamedTuple):
    """A receipt exactly as it is kept, damage included."""

    receipt_id: str
    plan_id: str
    position: int
    """`seq` of the first event of the plan that carries `receipt_id`."""
    kind: str
    execution_id: str
    epoch: int
    preimage: bytes


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events of a chain a reader wants."""

    kinds: tuple[str, ...] = ()
    """These kinds, and those of `families`; all kinds where both are empty."""
    families: tuple[str, ...] = ()
    """What kinds begin with, the dot included: `scratch.`."""
    begin_us: int = MIN_US
    """From this time on, as the emitters state it, in microseconds since 1970."""
    end_us: int = MAX_US
    """Before this time."""

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return self == _EVERYTHING

    def takes(self, kind: str, ts_us: int) -> bool:
        """Whether an event is wanted."""
        wanted = not (self.kinds or self.families) or kind in self.kinds or kind.startswith(self.families)
        return wanted and self.begin_us <= ts_us < self.end_us


_EVERYTHING = EventFilter()


@dataclass(frozen=True, slots=True)
class Execution:
    """What the ledger knows of one execution. Nothing of it ever goes back."""

    execution_id: str
    plan_id: str | None
    """None where it was resolved before anyone claimed it."""
    epoch: int = 0
    """The newest that was issued; 0 where none was."""
    fenced_epoch: int = 0
    """This epoch and all below can never settle."""
    settled_receipt_id: str | None = None
    """The final receipt, from the final settlement on and for ever."""


class AttemptState(StrEnum):
    """Where an attempt stands. It leaves `OPEN` once."""

    OPEN = "open"
    SETTLED = "settled"
    """By its executor; a repeat of that gets the receipt again."""
    LOST = "lost"
    """Closed from outside, by a later claim or a resolution; its executor is fenced."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of an execution, and the money that hangs on it."""

    execution_id: str
    epoch: int
    attempt_idx: int
    reserved_usd_micro: UsdMicro
    state: AttemptState = AttemptState.OPEN
    outcome: str | None = None
    cost_usd_micro: UsdMicro = 0
    receipt_id: str | None = None
    """What was stated when it was closed."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What a transaction writes. Rows that exist are replaced, but events and receipts are only ever added.

    Of an event its preimage may be dropped, and nothing else ever changes.
    """

    events: Sequence[StoredEvent] = ()
    """Of each chain in order of `seq`, right behind its head."""
    heads: Sequence[ChainHead] = ()
    tiles: Mapping[TileKey, bytes] = field(default_factory=dict)
    """Those that are new or longer."""
    receipts: Sequence[StoredReceipt] = ()
    budgets: Sequence[tuple[Budget | None, Budget]] = ()
    """As they were read, None where they are new; and as they shall be."""
    executions: Sequence[Execution] = ()
    attempts: Sequence[Attempt] = ()
    pruned: Sequence[Payload] = ()
    """Events that lose their preimages."""

    @property
    def log_sizes(self) -> tuple[int, int] | None:
        """How many leaves the Merkle tree had, and has with these events; None where there are none."""
        return (self.events[0].log_index, self.events[-1].log_index + 1) if self.events else None


class LedgerTransaction(Protocol):
    """One atomic unit of work. Its reads see one state that nobody changes until it is over.

    A read takes many keys because one question costs as much as a hundred; what is not there is missing in the answer.
    """

    def heads(self, plan_ids: Collection[str]) -> Mapping[str, ChainHead]:
        """The newest positions of chains, by plan id; an empty chain is missing."""
        ...

    def events(self, keys: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], StoredEvent]:
        """The events with these pairs of plan id and event id."""
        ...

    def kinds(self, plan_id: str, among: Collection[str]) -> Collection[str]:
        """Which of these kinds a chain has events of."""
        ...

    def payloads(self, plan_id: str, *, after_seq: int, to_seq: int, chosen: EventFilter, limit: int) -> list[Payload]:
        """The first of the `chosen` events in (`after_seq`, `to_seq`] that are not pruned, in order, by kind alone."""
        ...

    def budgets(self, plan_ids: Collection[str]) -> Mapping[str, Budget]:
        """Accounts by plan id."""
        ...

    def executions(self, execution_ids: Collection[str]) -> Mapping[str, Execution]:
        """Executions by id."""
        ...

    def attempts(self, keys: Collection[tuple[str, int]]) -> Mapping[tuple[str, int], Attempt]:
        """The attempts with these pairs of execution id and epoch."""
        ...

    def receipts(self, receipt_ids: Collection[str]) -> Mapping[str, StoredReceipt]:
        """Receipts by id, as stored."""
        ...

    def log_size(self) -> int:
        """How many leaves the Merkle tree has."""
        ...

    def tiles(self, keys: Collection[TileKey]) -> Mapping[TileKey, bytes]:
        """Tiles of the Merkle tree, as long as they are now; one without leaves is missing."""
        ...

    def write(self, changes: Changes) -> None:
        """Write all of it; called at most once, last.

        The store itself refuses to change or remove an event or a receipt, but for dropping the preimage of an event of
        a kind that may be pruned, and an account that would leave
        `0 <= reserved`, `0 <= spent`, `0 <= debt`, `reserved + spent <= cap`: `Corrupt` (`STORE_CORRUPT`), because the
        rules never ask for it. `Conflict` (`SEQ_CONFLICT`) where another writer came between; nothing is written then.
        """
        ...


class Signer(Protocol):
    """Holds the key of the log, which never leaves it."""

    @property
    def key(self) -> LogKey:
        """The public part, and the name of the log."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The Ed25519 signature of `message`. A fraction of a millisecond."""
        ...


class LedgerStore(Protocol):
    """Where the ledger keeps its books.

    Every method raises `Unavailable` (`STORE_UNREACHABLE`), `Exhausted` (`DISK_FULL`) or `Corrupt` (`STORE_CORRUPT`)
    where the store fails.
    """

    @property
    def kind(self) -> str:
        """The adapter's name for capabilities."""
        ...

    @property
    def durable(self) -> bool:
        """Whether what `transact` returned survives a power cut."""
        ...

    async def transact(self, fn: Callable[[LedgerTransaction], _T]) -> _T:
        """What `fn` returned, once all it wrote is kept; nothing is kept where it raises.

        `fn` only computes, and may run on another thread. Transactions of several callers may share one commit.
        """
        ...

    def listen(self, hear: Callable[[Collection[str]], None]) -> None:
        """From now on call `hear` with the plan ids of the chains to which this process appended, once that is kept."""
        ...

    async def list_events(
        self, plan_id: str, *, after_seq: int, chosen: EventFilter, limit: int, max_bytes: int
    ) -> tuple[Sequence[StoredEvent], ChainHead, bool]:
        """The `chosen` events behind `after_seq` in order, the head, both of one state; and whether more follow.

        At most `limit`, and no more than fill `max_bytes`, but at least one where there is one.
        """
        ...

    async def heads(self, plan_ids: Collection[str]) -> Mapping[str, ChainHead]:
        """The newest positions of chains, by plan id; an empty chain is missing."""
        ...

    async def list_heads(self, *, after: str, limit: int) -> tuple[Sequence[ChainHead], bool]:
        """Heads of the chains whose plan ids sort behind `after`, in that order; and whether more follow."""
        ...

    async def log_size(self) -> int:
        """How many leaves the Merkle tree has: every event that was answered is one of them."""
        ...

    async def tiles(self, keys: Collection[TileKey]) -> Mapping[TileKey, bytes]:
        """Tiles of the Merkle tree. They only grow: what was seen of one stays true."""
        ...

    async def budget(self, plan_id: str) -> Budget | None:
        """One account."""
        ...

    async def receipts(self, receipt_ids: Collection[str]) -> Mapping[str, StoredReceipt]:
        """Receipts by id, as stored."""
        ...

    async def list_receipts(
        self, plan_id: str, *, after_position: int, limit: int, max_bytes: int
    ) -> tuple[Sequence[StoredReceipt], bool]:
        """Receipts of one plan behind `after_position`, in order of position; bounded as `list_events` is."""
        ...

    async def close(self) -> None:
        """Finish what was begun, and let go."""
        ...
