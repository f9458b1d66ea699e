"""One stored blob, read in pieces: each request asks for more than the one before, and runs while the last is used."""

import asyncio
from typing import NamedTuple

from services.artifacts.adapters.blobs.s3.client import Bucket

_MOST_AHEAD_BYTES = 4 * 1024 * 1024


class _Coming(NamedTuple):
    """Bytes that were asked for before anyone wanted them."""

    offset: int
    length: int
    fetching: "asyncio.Task[bytes]"


class Reader:
    """A blob, the last bytes that were fetched of it, and once it is read front to back those behind them."""

    descriptor = None

    def __init__(self, bucket: Bucket, key: str, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._bucket = bucket
        self._key = key
        self._offset = 0
        self._fetched = b""
        self._coming: _Coming | None = None

    async def read(self, offset: int, length: int) -> bytes:
        at = offset - self._offset
        if not 0 <= at <= at + length <= len(self._fetched):
            await self._fetch(offset, length)
            at = 0
        return self._fetched[at : at + length]

    async def close(self) -> None:
        self._fetched = b""
        self._forget()

    async def _fetch(self, offset: int, length: int) -> None:
        goes_on = offset == self._offset + len(self._fetched)
        wanted = self._wanted(offset, max(length, self._ahead() if goes_on else 0))
        coming = self._coming
        if coming is not None and coming.offset == offset and coming.length >= min(length, wanted):
            self._coming = None
            self._fetched = await coming.fetching
        else:
            self._forget()
            self._fetched = await self._bucket.get_range(self._key, offset, wanted) if wanted > 0 else b""
        self._offset = offset
        if goes_on and offset:
            self._look_ahead(offset + len(self._fetched))

    def _look_ahead(self, offset: int) -> None:
        length = self._wanted(offset, self._ahead())
        if length > 0:
            fetching = asyncio.create_task(self._bucket.get_range(self._key, offset, length), name="blob-ahead")
            fetching.add_done_callback(_seen)
            self._coming = _Coming(offset, length, fetching)

    def _ahead(self) -> int:
        return min(2 * len(self._fetched), _MOST_AHEAD_BYTES)

    def _wanted(self, offset: int, length: int) -> int:
        return min(length, self.size_bytes - offset)

    def _forget(self) -> None:
        coming, self._coming = self._coming, None
        if coming is not None:
            coming.fetching.cancel()


def _seen(fetching: "asyncio.Task[bytes]") -> None:
    """What failed for nobody is nobody's error."""
    if not fetching.cancelled():
        fetching.exception()
