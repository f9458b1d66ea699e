"""What the rules of streams need from outside: rows of streams and chunks, one writer at a time, and the ledger."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from services.artifacts.ports import EventSink
from theory.core.cid import Cid
from theory.core.ledger import PlanEvent
from theory.core.stream import Chunk, Stream

_T = TypeVar("_T")


class StreamKey(NamedTuple):
    """One series of one world, as texts: what tables are keyed by."""

    world: str
    series: str


@dataclass(frozen=True, slots=True)
class Held:
    """A stream, and what is remembered of its last append beyond the chunks themselves."""

    stream: Stream
    last_idx: int
    """The index of the first chunk of that append."""
    last_mark: str
    """What `mark_of` its chunks is: a repeat is known though its chunks were dropped."""


class Named(NamedTuple):
    """A chunk without its bytes."""

    idx: int
    cid: Cid
    size_bytes: int


class StreamReader(Protocol):
    """One state of the table of streams."""

    def held(self, keys: Collection[StreamKey]) -> Mapping[StreamKey, Held]:
        """Those of these streams that there are."""
        ...

    def page(self, world: str, prefix: str, after: str, limit: int) -> list[Stream]:
        """The first `limit` streams whose series begin with `prefix` and lie behind `after`, by their bytes."""
        ...

    def sizes(self, key: StreamKey, from_idx: int, limit: int) -> list[int]:
        """The lengths of the first `limit` chunks that are kept from an index on, by index."""
        ...

    def cids(self, key: StreamKey, from_idx: int, limit: int) -> list[Cid]:
        """Their CIDs, by index."""
        ...

    def chunks(self, key: StreamKey, from_idx: int, limit: int) -> list[Chunk]:
        """The chunks themselves, by index."""
        ...

    def dropped(self, world: str) -> bool:
        """Whether the world is gone: no stream is made in it any more."""
        ...


class StreamTransaction(StreamReader, Protocol):
    """A `StreamReader` that also writes one stream. All of it is kept, or nothing."""

    def shadowing(self, key: StreamKey) -> str | None:
        """The series of another stream above or below this one. None is made there before this transaction ends."""
        ...

    def keep(self, held: Held, added: Sequence[Chunk]) -> None:
        """Make the stream what `held` says, add chunks, and forget those below its `dropped_chunks`."""
        ...

    def remove(self, key: StreamKey) -> None:
        """Forget the stream and its chunks. Harmless where there is none."""
        ...

    def record(self, events: Iterable[PlanEvent]) -> None:
        """Hand events to the ledger once this transaction is kept: at least once, in order."""
        ...


class StreamStore(Protocol):
    """The table of streams and their chunks.

    Errors of what is asked of it: `Unavailable` (`STORE_UNREACHABLE`), `Exhausted` (`DISK_FULL`), `Corrupt`
    (`STORE_CORRUPT`).
    """

    @property
    def kind(self) -> str:
        """One word for the capabilities, such as `sql`."""
        ...

    @property
    def durable(self) -> bool:
        """Whether what was written survives a crash of the machine."""
        ...

    async def write(self, key: StreamKey, step: Callable[[StreamTransaction], _T]) -> _T:
        """What `step` returned, once everything it wrote is kept; where it raises, nothing is.

        Steps for one stream run one after the other, in whatever process and on whatever thread. A step computes and
        returns plain values; it never waits, and it may run again before it is answered.
        """
        ...

    async def drop_world(self, world: str) -> None:
        """Let no stream be made in this world from now on; those that are there stay until they are removed."""
        ...

    async def read(self, step: Callable[[StreamReader], _T]) -> _T:
        """What `step` returned; it sees every write that was answered before."""
        ...

    def start(self, sink: EventSink) -> None:
        """Begin to hand recorded events to `sink`, those of an earlier process included."""
        ...

    async def ready(self) -> None:
        """Return where the store answers; raise otherwise."""
        ...

    async def close(self) -> None:
        """Stop handing over, finish what runs, and let the store go."""
        ...
