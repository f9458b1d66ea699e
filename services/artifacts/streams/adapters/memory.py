"""Streams in the memory of this process: gone with it. The verified fake that models and unit tests drive."""

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeVar

from services.artifacts.ports import EventSink
from services.artifacts.streams.ports import Held, StreamKey, StreamReader, StreamStore, StreamTransaction
from services.drivers.events import BestEffort
from theory.core.cid import Cid
from theory.core.clock import Clock
from theory.core.ledger import PlanEvent
from theory.core.secret import Secret
from theory.core.stream import Chunk, Stream

_T = TypeVar("_T")


async def open(url: str, clock: Clock, secret: Secret | None = None) -> StreamStore:
    """`memory:`; each opening is a table of its own."""
    return MemoryStreams(clock)


class MemoryTable:
    """The table itself. What a step writes is put aside until `commit`."""

    def __init__(self) -> None:
        self.events: list[PlanEvent] = []
        """What was recorded, in order."""
        self._held: dict[StreamKey, Held] = {}
        self._chunks: dict[StreamKey, list[Chunk]] = {}
        self._later: list[Callable[[], None]] = []
        self.dropped_worlds: set[str] = set()

    def held(self, keys: Collection[StreamKey]) -> Mapping[StreamKey, Held]:
        return {key: self._held[key] for key in keys if key in self._held}

    def page(self, world: str, prefix: str, after: str, limit: int) -> list[Stream]:
        found = [key for key in self._held if key.world == world and key.series.startswith(prefix)]
        behind = sorted(key for key in found if key.series.encode() > after.encode())
        return [self._held[key].stream for key in behind[:limit]]

    def sizes(self, key: StreamKey, from_idx: int, limit: int) -> list[int]:
        return [len(each.data) for each in self.chunks(key, from_idx, limit)]

    def cids(self, key: StreamKey, from_idx: int, limit: int) -> list[Cid]:
        return [each.cid for each in self.chunks(key, from_idx, limit)]

    def chunks(self, key: StreamKey, from_idx: int, limit: int) -> list[Chunk]:
        kept = self._chunks.get(key, [])
        start = bisect_right(kept, from_idx - 1, key=lambda each: each.idx)
        return kept[start : start + limit]

    def dropped(self, world: str) -> bool:
        return world in self.dropped_worlds

    def shadowing(self, key: StreamKey) -> str | None:
        others = (each.series for each in sorted(self._held) if each.world == key.world)
        return next((each for each in others if f"{key.series}/".startswith(f"{each}/") or _below(each, key)), None)

    def keep(self, held: Held, added: Sequence[Chunk]) -> None:
        self._later.append(lambda: self._keep(held, added))

    def remove(self, key: StreamKey) -> None:
        self._later.append(lambda: self._remove(key))

    def record(self, events: Iterable[PlanEvent]) -> None:
        recorded = list(events)
        self._later.append(lambda: self.events.extend(recorded))

    def commit(self) -> None:
        """Make final what was written."""
        for step in self._later:
            step()
        self._later.clear()

    def undo(self) -> None:
        """Take it back."""
        self._later.clear()

    def _remove(self, key: StreamKey) -> None:
        self._held.pop(key, None)
        self._chunks.pop(key, None)

    def _keep(self, held: Held, added: Sequence[Chunk]) -> None:
        stream = held.stream
        key = StreamKey(stream.world.text, stream.series.text)
        self._held[key] = held
        kept = [each for each in self._chunks.get(key, []) if each.idx >= stream.dropped_chunks]
        self._chunks[key] = [*kept, *added]


class MemoryStreams:
    """A `MemoryTable` behind the port, and a task that hands its events over."""

    kind = "memory"
    durable = False

    def __init__(self, clock: Clock) -> None:
        self.table = MemoryTable()
        self._clock = clock
        self._events: BestEffort | None = None

    async def write(self, key: StreamKey, step: Callable[[StreamTransaction], _T]) -> _T:
        # Nothing is awaited here, so steps run one after the other.
        try:
            result = step(self.table)
        except BaseException:
            self.table.undo()
            raise
        self.table.commit()
        self._hand_over()
        return result

    async def drop_world(self, world: str) -> None:
        self.table.dropped_worlds.add(world)

    async def read(self, step: Callable[[StreamReader], _T]) -> _T:
        return step(self.table)

    def start(self, sink: EventSink) -> None:
        self._events = BestEffort(sink.append, self._clock)
        self._events.start()
        self._hand_over()

    async def ready(self) -> None:
        """Always."""

    async def close(self) -> None:
        if self._events is not None:
            await self._events.close()

    def _hand_over(self) -> None:
        if self._events is not None:
            self._events.emit(self.table.events)
            self.table.events.clear()


def _below(series: str, key: StreamKey) -> bool:
    return series.startswith(f"{key.series}/")
