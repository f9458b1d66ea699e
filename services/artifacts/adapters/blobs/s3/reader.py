"""One stored blob, read in pieces: each request asks for more than the one before, while the reading goes on."""

from services.artifacts.adapters.blobs.s3.client import Bucket

_MOST_AHEAD_BYTES = 4 * 1024 * 1024


class Reader:
    """A blob and the last bytes that were fetched of it."""

    descriptor = None

    def __init__(self, bucket: Bucket, key: str, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._bucket = bucket
        self._key = key
        self._offset = 0
        self._fetched = b""

    async def read(self, offset: int, length: int) -> bytes:
        at = offset - self._offset
        if not 0 <= at <= at + length <= len(self._fetched):
            await self._fetch(offset, length)
            at = 0
        return self._fetched[at : at + length]

    async def close(self) -> None:
        self._fetched = b""

    async def _fetch(self, offset: int, length: int) -> None:
        goes_on = offset == self._offset + len(self._fetched)
        ahead = min(2 * len(self._fetched), _MOST_AHEAD_BYTES) if goes_on else 0
        wanted = min(max(length, ahead), self.size_bytes - offset)
        self._fetched = await self._bucket.get_range(self._key, offset, wanted) if wanted > 0 else b""
        self._offset = offset
