"""Streams in words: series of chunks in a world, their limits and counters, and what is read of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from theory.core.cid import Cid
from theory.core.errors import Invalid, shown
from theory.core.world_path import WorldName, WorldPath

FACET = "streams"
MAX_CHUNK_BYTES = 1024 * 1024
MAX_BATCH_CHUNKS = 100
"""The most chunks of one append or one read."""
MAX_BATCH_BYTES = 6 * 1024 * 1024
"""The most bytes of chunks that one append or one answer carries."""
MAX_STREAM_CHUNKS = 100_000
MAX_STREAM_BYTES = 1024 * 1024 * 1024
MAX_SAMPLE_EVERY_N = 1_000_000
MAX_WAIT_S = 20

_LONGEST_IDX = "9" * 19
_RANGES = {
    "max_chunks": (1, MAX_STREAM_CHUNKS),
    "max_bytes": (MAX_CHUNK_BYTES, MAX_STREAM_BYTES),
    "sample_every_n": (0, MAX_SAMPLE_EVERY_N),
}


def series_of(text: str) -> WorldPath:
    """The series that `text` spells: a path below `/streams/` that has room for its chunks below it.

    `Invalid` (`PATH_INVALID`) otherwise.
    """
    path = WorldPath.parse(text)
    if path.facet != FACET:
        raise Invalid("PATH_INVALID", "a stream lives below /streams/", rule="facet", value=shown(text))
    WorldPath.parse(f"{text}/{_LONGEST_IDX}")
    return path


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """What a stream keeps and tells of. Holding one proves that each figure is within its range."""

    max_chunks: int = 1_000
    max_bytes: int = 64 * 1024 * 1024
    sample_every_n: int = 100
    """Each chunk whose index is divisible by it becomes an event; 0 for none."""

    def __post_init__(self) -> None:
        """`Invalid` (`STREAM_LIMIT_INVALID`) with the `field` that is out of range."""
        for field, (least, most) in _RANGES.items():
            if not least <= getattr(self, field) <= most:
                message = f"{field} is {least} to {most}"
                raise Invalid("STREAM_LIMIT_INVALID", message, field=field, min=str(least), max=str(most))


class AskedLimits(NamedTuple):
    """The limits that an append names; None leaves one to the stream, or to the default where it makes the stream."""

    max_chunks: int | None = None
    max_bytes: int | None = None
    sample_every_n: int | None = None

    def given(self) -> dict[str, int]:
        """Those that are named."""
        return {name: value for name, value in self._asdict().items() if value is not None}


ANY_LIMITS = AskedLimits()


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream and its counters."""

    world: WorldName
    series: WorldPath
    limits: StreamLimits
    chunk_count: int
    """How many chunks were ever appended."""
    dropped_chunks: int
    """How many of them are no longer kept: the index of the oldest that is."""
    kept_bytes: int
    create_time: datetime
    update_time: datetime

    @property
    def watermark_idx(self) -> int:
        """The index of the newest chunk."""
        return self.chunk_count - 1


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk of a stream."""

    idx: int
    cid: Cid
    data: bytes
    append_time: datetime


class AppendedChunks(NamedTuple):
    """Where the chunks of an append are."""

    first_idx: int
    watermark_idx: int
    """The newest chunk of the stream, whoever appended it."""


@dataclass(frozen=True, slots=True)
class ChunkPage:
    """What was read of a stream."""

    chunks: tuple[Chunk, ...]
    next_idx: int
    """Where to read on."""
    watermark_idx: int
    skipped_chunks: int
    """How many indexes were dropped before they were read."""


class StreamAdapter(Protocol):
    """Streams of worlds: chunks by index, the newest of each stream kept, all of them counted.

    An index never changes its bytes and never comes back. Errors of everything: `Invalid` (`WORLD_INVALID`,
    `PATH_INVALID`) for names that are none.
    """

    async def append_many(
        self,
        world: str,
        series: str,
        chunks: Sequence[bytes],
        *,
        expected_idx: int | None = None,
        limits: AskedLimits = ANY_LIMITS,
        plan_id: str | None = None,
    ) -> AppendedChunks:
        """Append 1 to 100 chunks, at most 1 MiB each and 6 MiB together: all or none. They are there once it returns.

        The first append makes the stream and fixes its limits: later `AlreadyExists` (`STREAM_TAKEN`) for another
        figure, `AlreadyExists` (`PATH_SHADOWED`) below or above another stream. With `expected_idx`, the index that the
        first chunk must get, a repeat succeeds and adds nothing; `Conflict` (`STREAM_IDX_CONFLICT`) where other chunks
        stand there, or none do. `plan_id` names the chain that records the samples. `Invalid` (`BATCH_SIZE`,
        `CHUNK_TOO_LARGE`, `STREAM_LIMIT_INVALID`).
        """
        ...

    async def read(
        self, world: str, series: str, *, from_idx: int = 0, max_chunks: int = MAX_BATCH_CHUNKS, wait_s: int = 0
    ) -> ChunkPage:
        """Chunks from an index on, or from the oldest that is kept; where there is none, after up to `wait_s` seconds.

        `NotFound` (`STREAM_UNKNOWN`) where nothing was appended; `Corrupt` (`CHUNK_CORRUPT`).
        """
        ...

    async def status(self, world: str, series: str) -> Stream:
        """The counters; `NotFound` (`STREAM_UNKNOWN`)."""
        ...
