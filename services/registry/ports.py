"""What the registry's rules need from outside: a store that only ever adds."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from theory.core.errors import TheoryError
from theory.core.ledger import Appended, PlanEvent
from theory.core.refs import SpecKind
from theory.core.registry import SpecDraft, SpecName


class SpecRow(NamedTuple):
    """A document exactly as it is kept, damage included: texts need not be what they were."""

    kind: str
    ref: str
    document: bytes
    digest: str
    create_time: str
    seal: str
    """Covers every other field but `document`, which `digest` covers."""


class SnapshotRow(NamedTuple):
    """A snapshot exactly as it is kept, damage included."""

    snapshot_id: str
    document: bytes
    digest: str
    """Covers `document`, when it was pinned included; `snapshot_id` covers all but that."""


class CatalogDocument(NamedTuple):
    """A document of a catalog."""

    source: str
    """The file it stands in, seen from beside the catalog."""
    draft: SpecDraft


class RegistryStore(Protocol):
    """Where documents and snapshots are kept. What is there is never changed nor removed; the store itself refuses it.

    The rules pass sealed rows and judge what they get back. Each method sees everything that was answered before it.
    Errors: `Unavailable` (`STORE_UNREACHABLE`), `Exhausted` (`DISK_FULL`), `Corrupt` (`STORE_CORRUPT`).
    """

    @property
    def kind(self) -> str:
        """One word for the capabilities, such as `sql`."""
        ...

    @property
    def durable(self) -> bool:
        """Whether what was answered survives a crash of the machine."""
        ...

    async def add(self, items: Sequence[tuple[SpecRow, PlanEvent]]) -> Sequence[SpecRow | None]:
        """Keep each row whose name is free, all in one step; of equal names the first.

        None for a row that is kept now; the row that stands there for one whose name was taken. Events of the rows that
        are kept now, and of no others, go to the ledger: at least once, whatever crashes.
        """
        ...

    async def find(self, names: Collection[SpecName]) -> Mapping[SpecName, SpecRow]:
        """The rows of these names; what is not there is missing in the answer."""
        ...

    async def page(
        self, kind: SpecKind | None, *, after: tuple[str, str], limit: int, max_bytes: int
    ) -> tuple[Sequence[SpecRow], bool]:
        """Rows of one kind, or of all, whose (kind, ref) sort behind `after` by their bytes, in that order.

        Beside them, whether others follow. At most `limit`, and no more than fill `max_bytes` with documents, but at
        least one where there is one.
        """
        ...

    async def pin(self, row: SnapshotRow) -> SnapshotRow:
        """Keep the snapshot unless one with its id is kept; the one that stands there from now on."""
        ...

    async def snapshot(self, snapshot_id: str) -> SnapshotRow | None:
        """The snapshot of this id."""
        ...

    def start(self, sink: "EventSink") -> None:
        """Begin to hand events to `sink`, those of an earlier process included."""
        ...

    async def close(self) -> None:
        """Stop handing over, finish what runs, and let go."""
        ...


class EventSink(Protocol):
    """Where events go: the ledger."""

    async def append(self, events: Sequence[PlanEvent]) -> Sequence[Appended | TheoryError]:
        """Append each event to its chain; one answer each, in order. A repeat changes nothing."""
        ...
