"""Promotion: chunks that the ring keeps become artifacts, by the rules of a direct write."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from services.artifacts.domain.artifacts import Artifacts, NewArtifact
from services.artifacts.domain.batch import for_sound
from services.artifacts.domain.bindings import Written
from services.artifacts.domain.store import NewBlob
from services.artifacts.streams.domain.ring import corrupt, unknown
from services.artifacts.streams.ports import StreamKey, StreamReader, StreamStore
from theory.core.cid import Cid
from theory.core.errors import NotFound, TheoryError
from theory.core.ids import PlanId
from theory.core.stream import MAX_BATCH_BYTES, MAX_CHUNK_BYTES, Chunk, Stream
from theory.core.world_path import WorldName, WorldPath

_AT_ONCE = MAX_BATCH_BYTES // MAX_CHUNK_BYTES
"""How many chunks are held in memory; so many never weigh more than a batch may."""


@dataclass(frozen=True, slots=True)
class Promoted:
    """A chunk to bind."""

    idx: int
    path: WorldPath


class Promotion:
    """Binds chunks of streams to paths."""

    def __init__(self, store: StreamStore, artifacts: Artifacts) -> None:
        self._store = store
        self._artifacts = artifacts

    async def promote(
        self,
        world: WorldName,
        series: WorldPath,
        items: Sequence[Promoted],
        *,
        content_type: str,
        plan_id: PlanId | None = None,
    ) -> list[Written | TheoryError]:
        """Bind each chunk on its own; one outcome each, in order.

        `NotFound` (`STREAM_UNKNOWN`, `WORLD_DROPPED`) as a whole. Per item `NotFound` (`CHUNK_UNKNOWN`), `Corrupt`
        (`CHUNK_CORRUPT`), and what a direct write is refused with.
        """
        key = StreamKey(world.text, series.text)
        written: list[Written | TheoryError] = []
        for start in range(0, len(items), _AT_ONCE):
            some = items[start : start + _AT_ONCE]
            found = await self._store.read(partial(_found, key=key, idxs=[each.idx for each in some]))
            named = [
                chunk if isinstance(chunk, TheoryError) else NewArtifact(each.path, NewBlob(chunk.data), content_type)
                for each, chunk in zip(some, found, strict=True)
            ]
            written += await for_sound(named, lambda sound: self._artifacts.put_many(world, plan_id, sound))
        return written


def _found(table: StreamReader, key: StreamKey, idxs: Sequence[int]) -> list[Chunk | TheoryError]:
    held = table.held([key]).get(key)
    if held is None:
        raise unknown(key, gone=table.dropped(key.world))
    return [_chunk(table, key, held.stream, idx) for idx in idxs]


def _chunk(table: StreamReader, key: StreamKey, stream: Stream, idx: int) -> Chunk | TheoryError:
    if not stream.dropped_chunks <= idx < stream.chunk_count:
        places = {"idx": idx, "next_idx": stream.chunk_count, "oldest_idx": stream.dropped_chunks}
        message = "the stream has not come so far, or has dropped the chunk"
        return NotFound("CHUNK_UNKNOWN", message, series=key.series, **{name: str(at) for name, at in places.items()})
    [chunk] = table.chunks(key, idx, 1)
    return chunk if Cid.of(chunk.data) == chunk.cid else corrupt(key, chunk)
