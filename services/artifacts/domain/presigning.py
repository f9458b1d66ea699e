"""Handing out HTTP requests for blobs, and what is made of the uploads that came by them."""

from collections.abc import Sequence
from datetime import timedelta

from services.artifacts.domain.artifacts import Artifacts
from services.artifacts.domain.grants import GrantKey, Ticket
from services.artifacts.domain.leases import Leases, condemned
from services.artifacts.domain.store import BlobStore
from services.artifacts.ports import BlobIndex, Presigner
from theory.core.artifact import DEFAULT_CONTENT_TYPE, Artifact
from theory.core.cid import Cid
from theory.core.clock import Clock
from theory.core.errors import Invalid, NotFound, TheoryError
from theory.core.ids import IdSource
from theory.core.presign import ArtifactGet, BlobGet, BlobPut, PresignedRequest, PresignItem

_NONCE_BYTES = 12


class Presigning:
    """What everyone may rely on about presigned requests, whichever store signs them."""

    def __init__(
        self,
        blobs: BlobStore,
        index: BlobIndex,
        leases: Leases,
        artifacts: Artifacts,
        presigner: Presigner,
        *,
        key: GrantKey,
        clock: Clock,
        ids: IdSource,
    ) -> None:
        self._blobs = blobs
        self._index = index
        self._leases = leases
        self._artifacts = artifacts
        self._presigner = presigner
        self._key = key
        self._clock = clock
        self._ids = ids

    async def presign_many(
        self, items: Sequence[PresignItem | TheoryError], *, ttl_s: int
    ) -> list[PresignedRequest | TheoryError]:
        """A request per item, in order; an error stays one. A request to read is given only for what is there.

        They hold for `ttl_s` seconds. Per item: `NotFound` (`BLOB_UNKNOWN`, `ARTIFACT_UNKNOWN`); `Invalid`
        (`BLOB_TOO_LARGE`; `FIELD_INVALID` where a checksum is missing).
        """
        lifetime = timedelta(seconds=ttl_s)
        return [await self._presign(item, lifetime) for item in items]

    async def commit_many(self, upload_ids: Sequence[str]) -> list[tuple[Cid, int] | TheoryError]:
        """End each upload: CID and length, in order. Idempotent, however long ago it was handed out.

        What is stored may be relied on for a lease. Per item: `Invalid` (`ID_INVALID`, `CID_MISMATCH`,
        `SIZE_MISMATCH`); `NotFound` (`UPLOAD_UNKNOWN`); `Unavailable` (`BLOB_CONDEMNED`).
        """
        return [await self._commit(each) for each in upload_ids]

    async def _presign(self, item: PresignItem | TheoryError, lifetime: timedelta) -> PresignedRequest | TheoryError:
        try:
            match item:
                case TheoryError():
                    return item
                case BlobPut():
                    return await self._presign_put(item, lifetime)
                case BlobGet():
                    return await self._presign_get(item.cid, DEFAULT_CONTENT_TYPE, lifetime)
                case ArtifactGet():
                    (found,) = await self._artifacts.stat_many(item.world, [item.path])
                    if isinstance(found, Artifact):
                        return await self._presign_get(found.cid, found.content_type, lifetime)
                    return found
        except TheoryError as error:
            return error

    async def _presign_get(self, cid: Cid, content_type: str, lifetime: timedelta) -> PresignedRequest:
        size = await self._size_of(cid)
        if size is None:
            raise NotFound("BLOB_UNKNOWN", "the store holds no blob with this CID", cid=cid.text)
        return await self._presigner.get(BlobPut(cid, size, content_type), self._clock.now() + lifetime)

    async def _presign_put(self, put: BlobPut, lifetime: timedelta) -> PresignedRequest:
        self._blobs.refuse_large(put.size_bytes)
        most = self._presigner.max_upload_bytes
        if most is not None and put.size_bytes > most:
            message = f"an upload by a request has at most {most} bytes here: use UploadBlob"
            raise Invalid("BLOB_TOO_LARGE", message, max_bytes=str(most))
        if self._presigner.sha256_required and not put.sha256:
            raise Invalid("FIELD_INVALID", "this store needs the SHA-256 of an upload", field="sha256")
        expire_time = self._clock.now() + lifetime
        ticket = Ticket(self._ids.token_hex(_NONCE_BYTES), int(expire_time.timestamp()), put)
        return await self._presigner.put(self._key.seal(ticket), put, expire_time)

    async def _commit(self, upload_id: str) -> tuple[Cid, int] | TheoryError:
        try:
            put = self._key.open(upload_id).put
            if await self._leases.claim([put.cid]):
                raise condemned(put.cid)
            await self._presigner.collect(upload_id, put)
            size = await self._size_of(put.cid)
        except TheoryError as error:
            return error
        if size is None:
            return NotFound("UPLOAD_UNKNOWN", "not all bytes of this upload have arrived", cid=put.cid.text)
        if size != put.size_bytes:
            message = "the bytes are not as many as announced"
            return Invalid("SIZE_MISMATCH", message, expected=str(put.size_bytes), actual=str(size))
        return put.cid, size

    async def _size_of(self, cid: Cid) -> int | None:
        await self._leases.recall([cid])
        return self._index.sizes([cid]).get(cid)
