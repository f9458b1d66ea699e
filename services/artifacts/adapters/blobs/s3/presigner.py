"""Blobs that come and go past this service: into a staging object of the bucket, and from there under their CID."""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Coroutine
from datetime import datetime

from services.artifacts.adapters.blobs.s3.client import Bucket
from services.artifacts.adapters.blobs.s3.flights import Flights, Outcome
from services.artifacts.adapters.blobs.s3.signing import Signing
from services.artifacts.adapters.blobs.s3.staging import STAGING
from theory.core.cid import Cid, CidHasher
from theory.core.errors import Invalid, TheoryError
from theory.core.presign import BlobPut, PresignedRequest

_log = logging.getLogger(__name__)

_GIB = 1024 * 1024 * 1024
_PIECE_BYTES = 8 * 1024 * 1024
"""What is read of a staged object at a time; the next piece comes while one is hashed."""


class S3Presigner:
    """Signs for a bucket, and takes over what arrived there. Behind the port of `Presigner`.

    An upload has a staging object of its own, which its request makes where there is none. Its bytes have the SHA-256
    that was announced: the store saw to it. So whoever reads it twice reads the same. Once the blob has its name, the
    staging object is emptied, not removed: while it stands, the request cannot make it again. The sweep removes it when
    the request has long expired.
    """

    sha256_required = True
    resumable = False
    max_upload_bytes = 5 * _GIB  # of one PUT

    def __init__(
        self,
        bucket: Bucket,
        signing: Signing,
        flights: Flights,
        *,
        key_of: Callable[[Cid], str],
        put: Callable[[Cid, bytes], Coroutine[object, object, Outcome]],
        promote: Callable[[str, int, Cid], Coroutine[object, object, Outcome]],
    ) -> None:
        self._bucket = bucket
        self._signing = signing
        self._flights = flights
        self._key_of = key_of
        self._put = put
        self._promote = promote
        self._taking: dict[str, asyncio.Task[Outcome]] = {}

    async def get(self, blob: BlobPut, expire_time: datetime) -> PresignedRequest:
        return await self._signing.get(self._key_of(blob.cid), blob, expire_time)

    async def put(self, upload_id: str, put: BlobPut, expire_time: datetime) -> PresignedRequest:
        return await self._signing.put(staging_key(upload_id), put, expire_time, upload_id)

    async def collect(self, upload_id: str, put: BlobPut) -> None:
        # An id says what was announced, so one outcome serves all that bring it. It goes on when they go away: who asks
        # again, after a time that was too short for the bytes, finds it done or under way.
        staged = staging_key(upload_id)
        taking = self._taking.get(staged)
        if taking is None:
            taking = self._taking[staged] = self._flights.start(self._outcome(staged, put))
            taking.add_done_callback(lambda _: self._taking.pop(staged, None))
        outcome = await asyncio.shield(taking)
        if outcome is not None:
            raise outcome

    async def _outcome(self, staged: str, put: BlobPut) -> Outcome:
        try:
            return await self._collected(staged, put)
        except TheoryError as error:
            return error

    async def _collected(self, staged: str, put: BlobPut) -> Outcome:
        size = await self._bucket.size_of(staged)
        if size is None:
            return None
        if await self._bucket.size_of(self._key_of(put.cid)) is None:
            if size != put.size_bytes:
                return await self._refused(staged, size, _other_size(put, size)) if size else None
            actual = await self._read(staged, size)
            if actual is None:  # another caller has ended it meanwhile
                return None
            if actual != put.cid:
                return await self._refused(staged, size, _other_cid(put.cid, actual))
            outcome = await self._named(staged, put)
            if outcome is not None:
                return outcome
        if size:
            await self._retire(staged)
        return None

    async def _named(self, staged: str, put: BlobPut) -> Outcome:
        if not put.size_bytes:  # there is nothing to copy
            return await self._put(put.cid, b"")
        return await self._flights.join(put.cid, lambda: self._promote(staged, put.size_bytes, put.cid))

    async def _read(self, key: str, size: int) -> Cid | None:
        """The CID of an object; None where it is shorter than it was."""
        hasher = CidHasher()
        coming = self._piece(key, 0, size)
        try:
            while hasher.size_bytes < size:
                piece = await coming
                end = hasher.size_bytes + len(piece)
                coming = self._piece(key, end, size)
                if len(piece) != min(_PIECE_BYTES, size - hasher.size_bytes):
                    return None
                await asyncio.to_thread(hasher.update, piece)
        finally:
            coming.cancel()
        return hasher.cid()

    def _piece(self, key: str, begin: int, size: int) -> "asyncio.Task[bytes]":
        return asyncio.create_task(self._fetched(key, begin, min(_PIECE_BYTES, size - begin)), name="blob-piece")

    async def _fetched(self, key: str, begin: int, length: int) -> bytes:
        return await self._bucket.get_range(key, begin, length) if length else b""

    async def _refused(self, staged: str, size: int, error: TheoryError) -> Outcome:
        """Keep nothing of it. The name is free again: what comes there is refused in the same way."""
        await self._bucket.delete(staged)
        _log.info("upload.refused", extra={"theory_fields": {"reason": error.reason, "size_bytes": size}})
        return error

    async def _retire(self, staged: str) -> None:
        try:
            await self._bucket.empty(staged)
        except TheoryError as error:  # the blob is stored; the sweep finds what is left
            _log.warning("staging.left", extra={"theory_fields": {"reason": error.reason}})


def staging_key(upload_id: str) -> str:
    """Where an upload arrives. Ids are longer than some stores let a name be."""
    return f"{STAGING}upload-{hashlib.sha256(upload_id.encode()).hexdigest()}"


def _other_size(put: BlobPut, actual: int) -> Invalid:
    message = "the bytes are not as many as announced"
    return Invalid("SIZE_MISMATCH", message, expected=str(put.size_bytes), actual=str(actual))


def _other_cid(expected: Cid, actual: Cid) -> Invalid:
    message = "the bytes do not hash to the expected CID"
    return Invalid("CID_MISMATCH", message, expected=expected.text, actual=actual.text)
