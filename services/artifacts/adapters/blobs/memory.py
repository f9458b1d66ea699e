"""Bytes in the memory of this process: gone with it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from services.artifacts.ports import BlobAdapter, BlobReader, Presigner, StagedBlob, StoredBlob, Unread
from theory.core.cid import Cid
from theory.core.clock import Clock, SystemClock
from theory.core.errors import TheoryError

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""The time of what a test put into `data_by_cid` itself."""


async def open(url: str) -> BlobAdapter:
    """`memory:`; each opening is a store of its own."""
    return MemoryBlobs()


class MemoryBlobs:
    """A mapping. What a test wants damaged, it damages in `data_by_cid`."""

    kind = "memory"
    durable = False
    exclusive = True

    def __init__(self, clock: Clock | None = None) -> None:
        self.data_by_cid: dict[Cid, bytes] = {}
        self.quarantined: dict[Cid, bytes] = {}
        """What was moved out of the way."""
        self._clock = clock or SystemClock()
        self._time_by_cid: dict[str, datetime] = {}

    def sizes(self, cids: Collection[Cid]) -> Mapping[Cid, int]:
        return {cid: len(data) for cid in cids if (data := self.data_by_cid.get(cid)) is not None}

    async def ready(self) -> None:
        """As long as the process lives."""

    async def presigner(self, public_url: str | None) -> Presigner | None:
        return None

    async def recall(self, cids: Collection[Cid]) -> None:
        """`sizes` always answers."""

    async def missing(self, cids: Sequence[Cid]) -> set[Cid]:
        return {cid for cid in cids if cid not in self.data_by_cid}

    async def put_many(self, blobs: Sequence[tuple[Cid, bytes]]) -> list[TheoryError | None]:
        now = self._clock.now()
        for cid, data in blobs:
            if self.data_by_cid.setdefault(cid, data) is data:
                self._time_by_cid[cid.text] = now
        return [None] * len(blobs)

    async def read_many(
        self, cids: Sequence[Cid], *, max_each: int, max_total: int
    ) -> list[bytes | Unread | TheoryError | None]:
        answers: list[bytes | Unread | TheoryError | None] = []
        room = max_total
        for cid in cids:
            data = self.data_by_cid.get(cid)
            if data is None:
                answers.append(None)
            elif len(data) > min(max_each, room):
                answers.append(Unread(len(data)))
            else:
                room -= len(data)
                answers.append(data)
        return answers

    async def stage(self) -> StagedBlob:
        return _Staged(self)

    async def open(self, cid: Cid) -> BlobReader | None:
        data = self.data_by_cid.get(cid)
        return None if data is None else _Reader(data)

    async def scan(self, after: Cid | None, limit: int) -> list[StoredBlob]:
        behind = sorted((cid for cid in self.data_by_cid if after is None or cid.text > after.text), key=str)[:limit]
        return [
            StoredBlob(cid, len(self.data_by_cid[cid]), self._time_by_cid.get(cid.text, _LONG_AGO)) for cid in behind
        ]

    async def delete(self, cids: Collection[Cid]) -> None:
        for cid in cids:
            self.data_by_cid.pop(cid, None)
            self._time_by_cid.pop(cid.text, None)

    async def quarantine(self, cid: Cid) -> None:
        if (data := self.data_by_cid.pop(cid, None)) is not None:
            self.quarantined[cid] = data

    async def close(self) -> None:
        self.data_by_cid.clear()


class _Staged:
    def __init__(self, blobs: MemoryBlobs) -> None:
        self._blobs = blobs
        self._chunks: list[bytes] = []

    async def write(self, chunk: bytes) -> None:
        self._chunks.append(chunk)

    async def commit(self, cid: Cid) -> None:
        await self._blobs.put_many([(cid, b"".join(self._chunks))])

    async def discard(self) -> None:
        self._chunks.clear()


class _Reader:
    descriptor = None

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size_bytes = len(data)

    async def read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]

    async def close(self) -> None:
        """Nothing to let go."""
