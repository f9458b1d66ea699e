"""Blobs: bytes under the BLAKE3 of their content, hashed by this service on the way in and on the way out."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from services.artifacts.domain.leases import Leases, condemned
from services.artifacts.domain.limits import CHUNK_BYTES, MAX_BATCH_BYTES, MAX_INLINE_BYTES
from services.artifacts.ports import BlobAdapter, BlobReader, StagedBlob, Unread
from theory.core.cid import Cid, CidHasher
from theory.core.errors import Corrupt, Exhausted, Invalid, NotFound, OutOfRange, TheoryError


@dataclass(frozen=True, slots=True)
class NewBlob:
    """Bytes to store."""

    data: bytes
    expected: Cid | None = None
    """The CID that the writer computed."""


@dataclass(frozen=True, slots=True)
class Download:
    """A blob on its way out."""

    size_bytes: int
    """Length of the whole blob, whatever the range."""
    chunks: AsyncIterator[bytes]


class BlobStore:
    """What everyone may rely on about bytes, whichever adapter keeps them."""

    def __init__(self, blobs: BlobAdapter, leases: Leases, *, max_blob_bytes: int) -> None:
        self._blobs = blobs
        self._leases = leases
        self.max_blob_bytes = max_blob_bytes
        """The largest blob that `upload` takes."""

    async def find_missing(self, cids: Sequence[Cid]) -> list[Cid]:
        """Those of `cids` that are not stored, in order, each once. The others may be relied on for a lease."""
        wanted = list(dict.fromkeys(cids))
        leaving = await self._leases.renew(wanted)
        missing = await self._blobs.missing(wanted) | leaving
        return [cid for cid in wanted if cid in missing]

    async def put_many(self, blobs: Sequence[NewBlob]) -> list[Cid | TheoryError]:
        """Store small blobs; one CID or error each, in order. They may be relied on for a lease.

        `Invalid` (`BLOB_TOO_LARGE`, `CID_MISMATCH`): nothing was stored; `Exhausted` (`DISK_FULL`); `Unavailable`
        (`STORE_UNREACHABLE`, `BLOB_CONDEMNED`).
        """
        named = [_named(blob) for blob in blobs]
        data_by_cid = {cid: blob.data for cid, blob in zip(named, blobs, strict=True) if isinstance(cid, Cid)}
        error_by_cid: dict[Cid, TheoryError | None] = {}
        for cid in await self._leases.claim(data_by_cid.keys()):
            error_by_cid[cid] = condemned(cid)
            del data_by_cid[cid]
        outcomes = await self._blobs.put_many(list(data_by_cid.items())) if data_by_cid else []
        error_by_cid.update(zip(data_by_cid, outcomes, strict=True))
        return [(error_by_cid[each] or each) if isinstance(each, Cid) else each for each in named]

    async def get_many(self, cids: Sequence[Cid]) -> list[bytes | TheoryError]:
        """Small blobs, verified; one each, in order.

        `NotFound` (`BLOB_UNKNOWN`); `Corrupt` (`BLOB_CORRUPT`); `Exhausted` (`REPLY_FULL`): ask again in another call;
        `Invalid` (`BLOB_TOO_LARGE`): download it.
        """
        found = await self._blobs.read_many(cids, max_each=MAX_INLINE_BYTES, max_total=MAX_BATCH_BYTES)
        return [_verified(cid, each) for cid, each in zip(cids, found, strict=True)]

    @asynccontextmanager
    async def upload(self, *, expected: Cid | None, size_bytes: int | None) -> AsyncIterator["Upload"]:
        """Take in one blob of any size inside a block; unless it was committed there, nothing of it is left.

        `Invalid` (`BLOB_TOO_LARGE`) where more is announced than `max_blob_bytes`.
        """
        upload = await self.begin(expected=expected, size_bytes=size_bytes)
        try:
            yield upload
        finally:
            await upload.discard()

    async def begin(self, *, expected: Cid | None, size_bytes: int | None) -> "Upload":
        """As `upload`, for those that outlive a block: whoever begins one discards it, whatever becomes of it."""
        if size_bytes is not None:
            self.refuse_large(size_bytes)
        return Upload(await self._blobs.stage(), self._leases, expected, size_bytes, self.max_blob_bytes)

    def refuse_large(self, size_bytes: int) -> None:
        """`Invalid` (`BLOB_TOO_LARGE`) for more than `max_blob_bytes`."""
        if size_bytes > self.max_blob_bytes:
            raise _too_large(self.max_blob_bytes)

    async def holds(self, cid: Cid) -> bool:
        """Whether a blob is stored; if it is, it may be relied on for a lease."""
        return not await self.find_missing([cid])

    async def recall(self, cids: Collection[Cid]) -> None:
        """Before a transaction that will ask for these blobs. As `Leases.recall`."""
        await self._leases.recall(cids)

    def expire_time(self) -> datetime:
        """Until when blobs may be relied on that are told to be stored from now on."""
        return self._leases.expire_time()

    @asynccontextmanager
    async def reading(self, cid: Cid) -> AsyncIterator[BlobReader]:
        """A blob that is open inside a block, not verified; `NotFound` (`BLOB_UNKNOWN`)."""
        reader = await self._blobs.open(cid)
        if reader is None:
            raise _unknown(cid)
        try:
            yield reader
        finally:
            await reader.close()

    @asynccontextmanager
    async def download(self, cid: Cid, *, offset: int, limit: int) -> AsyncIterator[Download]:
        """A blob, or the range of it that begins at `offset` and has at most `limit` bytes; 0 is no limit.

        The whole blob is verified before its last chunk is handed out. A range cannot be: the bytes are then as good as
        the disk. `NotFound` (`BLOB_UNKNOWN`); `OutOfRange` (`RANGE_PAST_END`); while reading, `Corrupt`
        (`BLOB_CORRUPT`).
        """
        async with self.reading(cid) as reader:
            size = reader.size_bytes
            if offset > 0 and offset >= size:
                message = f"the blob ends before byte {offset}"
                raise OutOfRange("RANGE_PAST_END", message, size_bytes=str(size))
            end = min(offset + limit, size) if limit else size
            whole = offset == 0 and end == size
            yield Download(size, _whole(reader, cid) if whole else _range(reader, cid, offset, end))


class Upload:
    """One blob on its way in."""

    def __init__(
        self, staged: StagedBlob, leases: Leases, expected: Cid | None, announced: int | None, max_bytes: int
    ) -> None:
        self._staged = staged
        self._leases = leases
        self._expected = expected
        self._announced = announced
        self._max_bytes = max_bytes
        self._hasher = CidHasher()

    @property
    def size_bytes(self) -> int:
        """How many bytes came so far."""
        return self._hasher.size_bytes

    async def discard(self) -> None:
        """Forget what was not committed. Harmless a second time."""
        await self._staged.discard()

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes. `Invalid` (`BLOB_TOO_LARGE`, `SIZE_MISMATCH`) as soon as they are too many."""
        size = self._hasher.size_bytes + len(chunk)
        if size > self._max_bytes:
            raise _too_large(self._max_bytes)
        if self._announced is not None and size > self._announced:
            raise _other_size(self._announced, size)
        self._hasher.update(chunk)
        await self._staged.write(chunk)

    async def commit(self) -> tuple[Cid, int]:
        """Store what came; its CID and length. It may be relied on for a lease.

        `Invalid` (`SIZE_MISMATCH`, `CID_MISMATCH`), `Unavailable` (`BLOB_CONDEMNED`): nothing is kept.
        """
        cid, size = self._hasher.cid(), self._hasher.size_bytes
        if self._announced is not None and size != self._announced:
            raise _other_size(self._announced, size)
        _refuse_mismatch(self._expected, cid)
        if await self._leases.claim([cid]):
            raise condemned(cid)
        await self._staged.commit(cid)
        return cid, size


def compute_cid(data: bytes) -> Cid:
    """The CID of `data`, which is not stored; `Invalid` (`BLOB_TOO_LARGE`)."""
    if len(data) > MAX_INLINE_BYTES:
        raise _too_large(MAX_INLINE_BYTES)
    return Cid.of(data)


def _named(blob: NewBlob) -> Cid | TheoryError:
    try:
        cid = compute_cid(blob.data)
        _refuse_mismatch(blob.expected, cid)
    except TheoryError as error:
        return error
    return cid


def _verified(cid: Cid, found: bytes | Unread | TheoryError | None) -> bytes | TheoryError:
    if isinstance(found, bytes):
        return found if Cid.of(found) == cid else _corrupt(cid)
    if isinstance(found, Unread):
        if found.size_bytes > MAX_INLINE_BYTES:
            return _too_large(MAX_INLINE_BYTES)
        return Exhausted("REPLY_FULL", "the reply is full: ask for this item again")
    return _unknown(cid) if found is None else found


async def _whole(reader: BlobReader, cid: Cid) -> AsyncIterator[bytes]:
    """All bytes; the last ones only once all of them are known to be right."""
    hasher = CidHasher()
    kept = b""
    async for chunk in _range(reader, cid, 0, reader.size_bytes):
        hasher.update(chunk)
        if kept:
            yield kept
        kept = chunk
    if hasher.cid() != cid:
        raise _corrupt(cid)
    if kept:
        yield kept


async def _range(reader: BlobReader, cid: Cid, offset: int, end: int) -> AsyncIterator[bytes]:
    while offset < end:
        chunk = await reader.read(offset, min(CHUNK_BYTES, end - offset))
        if not chunk:
            raise _corrupt(cid)
        yield chunk
        offset += len(chunk)


def _refuse_mismatch(expected: Cid | None, actual: Cid) -> None:
    if expected is not None and expected != actual:
        message = "the bytes do not hash to the expected CID"
        raise Invalid("CID_MISMATCH", message, expected=expected.text, actual=actual.text)


def _other_size(announced: int, actual: int) -> Invalid:
    message = "the bytes are not as many as announced"
    return Invalid("SIZE_MISMATCH", message, expected=str(announced), actual=str(actual))


def _too_large(max_bytes: int) -> Invalid:
    return Invalid("BLOB_TOO_LARGE", f"a blob has at most {max_bytes} bytes here", max_bytes=str(max_bytes))


def _unknown(cid: Cid) -> NotFound:
    return NotFound("BLOB_UNKNOWN", "the store holds no blob with this CID", cid=cid.text)


def _corrupt(cid: Cid) -> Corrupt:
    return Corrupt("BLOB_CORRUPT", "the stored bytes no longer hash to their CID", cid=cid.text)
