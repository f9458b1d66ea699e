"""Keeping: chunks on their way into blobs that are pinned for one execution, a batch at a time."""

from collections.abc import Mapping, Sequence

from services.artifacts.domain.artifacts import Artifacts
from services.artifacts.domain.store import BlobStore, NewBlob
from services.artifacts.ports import Pin, PinKind
from services.artifacts.streams.domain.ring import corrupt
from services.artifacts.streams.ports import Named, StreamKey
from theory.core.chunk import MAX_FIXED_BYTES, MAX_FIXED_CHUNKS, FixedChunk, chunk_path
from theory.core.cid import Cid
from theory.core.errors import Invalid, TheoryError, Unavailable
from theory.core.ids import ExecutionId
from theory.core.stream import MAX_BATCH_BYTES, MAX_BATCH_CHUNKS, Chunk
from theory.core.world_path import WorldName, WorldPath

_TRIES = 3
"""How often a batch is stored, where what was there already is collected before it is pinned."""


class Blobs:
    """Stores blobs and pins them for one execution."""

    def __init__(self, store: BlobStore, artifacts: Artifacts, world: WorldName, execution_id: ExecutionId) -> None:
        self._store = store
        self._artifacts = artifacts
        self._world = world
        self._execution_id = execution_id

    async def stored(self, cids: Sequence[Cid]) -> set[Cid]:
        """Those that are stored, and need no bytes."""
        return set(cids).difference(await self._store.find_missing(cids))

    async def keep(self, data_by_cid: Mapping[Cid, bytes | None]) -> None:
        """Store and pin blobs; None stands for the bytes of one that is stored. Raises the first error of one.

        `Unavailable` (`STORE_UNREACHABLE`) where such a one was collected meanwhile: asked again, it has bytes.
        """
        unpinned = list(data_by_cid)
        for _ in range(_TRIES):
            await self._put({cid: data_by_cid[cid] for cid in await self._store.find_missing(unpinned)})
            # A blob that was there before may have been collected between the two steps.
            unpinned = await self._unpinned(unpinned)
            if not unpinned:
                return
        raise _collected()

    async def _put(self, data_by_cid: Mapping[Cid, bytes | None]) -> None:
        blobs = [NewBlob(data, cid) for cid, data in data_by_cid.items() if data is not None]
        if len(blobs) < len(data_by_cid):
            raise _collected()
        for answer in await self._store.put_many(blobs) if blobs else ():
            if isinstance(answer, TheoryError):
                raise answer

    async def _unpinned(self, cids: Sequence[Cid]) -> list[Cid]:
        """Pin blobs; those that are gone."""
        holder, world = self._execution_id.text, self._world.text
        outcomes = await self._artifacts.pin_many([Pin(holder, world, cid, PinKind.INPUT) for cid in cids])
        for error in outcomes:
            if error is not None and error.reason != "BLOB_UNKNOWN":
                raise error
        return [cid for cid, error in zip(cids, outcomes, strict=True) if error is not None]


class Keeping:
    """Takes chunks, whatever streams they are of, and lists what it took."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._found: dict[str, list[tuple[int, FixedChunk]]] = {}
        self._waiting: dict[Cid, bytes | None] = {}
        self._waiting_bytes = 0
        self._chunks = 0
        self._bytes = 0

    async def take(self, key: StreamKey, chunk: Chunk) -> None:
        """Take a chunk with its bytes; `Invalid` (`CHUNKS_TOO_MANY`), `Corrupt` (`CHUNK_CORRUPT`)."""
        if Cid.of(chunk.data) != chunk.cid:
            raise corrupt(key, chunk)
        await self._add(key, Named(chunk.idx, chunk.cid, len(chunk.data)), chunk.data)

    async def take_stored(self, key: StreamKey, chunk: Named) -> None:
        """Take a chunk whose bytes are a blob; `Invalid` (`CHUNKS_TOO_MANY`)."""
        await self._add(key, chunk, None)

    async def listed(self) -> Mapping[str, Sequence[tuple[int, FixedChunk]]]:
        """All that was taken, by series and index; on return each is a blob that is pinned."""
        await self._store()
        return {series: sorted(found) for series, found in self._found.items()}

    async def _add(self, key: StreamKey, chunk: Named, data: bytes | None) -> None:
        self._chunks += 1
        self._bytes += chunk.size_bytes
        require_few(self._chunks, self._bytes)
        weight = 0 if data is None else len(data)
        if len(self._waiting) == MAX_BATCH_CHUNKS or self._waiting_bytes + weight > MAX_BATCH_BYTES:
            await self._store()
        if self._waiting.get(chunk.cid) is None:
            self._waiting[chunk.cid] = data
            self._waiting_bytes += weight
        fixed = FixedChunk(chunk_path(WorldPath(key.series), chunk.idx), chunk.cid, chunk.size_bytes)
        self._found.setdefault(key.series, []).append((chunk.idx, fixed))

    async def _store(self) -> None:
        waiting, self._waiting, self._waiting_bytes = self._waiting, {}, 0
        if waiting:
            await self._blobs.keep(waiting)


def require_few(chunks: int, size_bytes: int) -> None:
    """`Invalid` (`CHUNKS_TOO_MANY`) for more than one execution may read."""
    if chunks > MAX_FIXED_CHUNKS or size_bytes > MAX_FIXED_BYTES:
        message = (
            f"one execution reads at most {MAX_FIXED_CHUNKS} chunks and {MAX_FIXED_BYTES} bytes of streams: name fewer"
        )
        limits = {"max_chunks": str(MAX_FIXED_CHUNKS), "max_bytes": str(MAX_FIXED_BYTES)}
        raise Invalid("CHUNKS_TOO_MANY", message, **limits)


def _collected() -> Unavailable:
    return Unavailable("STORE_UNREACHABLE", "a blob was collected while it was being pinned: ask again")
