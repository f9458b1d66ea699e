"""The client of blobs: bytes under the BLAKE3 of their content, hashed here on the way out and on the way in."""

import asyncio
import io
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

import grpc

from theory.api.artifacts.v1 import artifacts_pb2 as pb
from theory.api.artifacts.v1.artifacts_pb2_grpc import ArtifactsServiceStub
from theory.core.cid import Cid, CidHasher
from theory.core.errors import Corrupt, Exhausted, Invalid, TheoryError
from theory.core.presign import BlobPut, PresignedRequest, PresignItem
from theory.sdk.batch import Coalescer
from theory.sdk.plane import DataPlane, PlaneClient, data_plane_of
from theory.sdk.rpc import answers, fitting, unwrapped
from theory.sdk.transfer import Progress
from theory.wire.channel import call, send, stream
from theory.wire.chunks import CHUNK_BYTES, split_file

MAX_ITEMS = 1_000
MAX_INLINE_BYTES = 1024 * 1024
"""The largest blob that travels inside of a batch; larger ones are streamed."""
MAX_BATCH_BYTES = 6 * 1024 * 1024

_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class ArtifactsCapabilities:
    """What the store is, and the limits it keeps."""

    adapter: str
    durable: bool
    max_blob_bytes: int
    max_inline_bytes: int
    max_batch_items: int
    data_plane: DataPlane | None = None
    """What goes by HTTP; None where everything goes over gRPC."""


class BlobsClient:
    """Blobs over the wire. Raises only `TheoryError`, or `TimeoutError`.

    Single calls of one turn of the event loop make one RPC. The batch forms take any number of items and send as many
    RPCs as they need, one after the other. Whatever is returned was hashed here: the service is not taken at its word.
    Blobs over 1 MiB go by the data plane where the service has one that can be reached, and over gRPC otherwise;
    whoever gives `progress` is told of those.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = ArtifactsServiceStub(channel)
        self._plane = PlaneClient(channel)
        self._put_inline = Coalescer(self.put_blobs_many, max_items=MAX_ITEMS, max_bytes=MAX_BATCH_BYTES, size_of=len)
        self._get_inline = Coalescer(self.get_blobs_many, max_items=MAX_ITEMS)
        self._is_missing = Coalescer(self._which_missing, max_items=MAX_ITEMS)
        self._max_blob_bytes: int | None = None

    async def capabilities(self) -> ArtifactsCapabilities:
        """What the store is, and the limits it keeps."""
        found = await call(self._stub.GetCapabilities, pb.GetCapabilitiesRequest())
        return ArtifactsCapabilities(
            found.adapter,
            found.durable,
            found.max_blob_bytes,
            found.max_inline_bytes,
            found.max_batch_items,
            data_plane_of(found),
        )

    async def presign(self, item: PresignItem, *, ttl_s: int = 0) -> PresignedRequest:
        """An HTTP request that whoever holds it may make for `ttl_s` seconds, 900 unless given. It is a secret.

        `NotFound` (`BLOB_UNKNOWN`, `ARTIFACT_UNKNOWN`); `Invalid` (`TTL_INVALID`, `BLOB_TOO_LARGE`); `Unsupported`
        (`CAPABILITY_MISSING`) where the service has no data plane.
        """
        (request,) = unwrapped(await self._plane.presign_many([item], ttl_s=ttl_s))
        return request

    async def presign_many(
        self, items: Sequence[PresignItem], *, ttl_s: int = 0
    ) -> list[PresignedRequest | TheoryError]:
        """`presign` of each item, in order."""
        return await self._plane.presign_many(items, ttl_s=ttl_s)

    async def commit_uploads(self, upload_ids: Sequence[str]) -> list[tuple[Cid, int] | TheoryError]:
        """End uploads that went by presigned requests: CID and length of each, in order. Idempotent.

        `NotFound` (`UPLOAD_UNKNOWN`) where not all bytes arrived; `Invalid` (`ID_INVALID`, `CID_MISMATCH`).
        """
        return await self._plane.commit_many(upload_ids)

    async def find_missing(self, cids: Sequence[Cid]) -> list[Cid]:
        """Those of `cids` that the store does not hold, in order, each once."""
        missing: list[Cid] = []
        for batch in fitting(dict.fromkeys(cids), max_items=MAX_ITEMS):
            request = pb.FindMissingBlobsRequest(cids=[cid.text for cid in batch])
            found = await call(self._stub.FindMissingBlobs, request)
            missing += (Cid.parse(text) for text in found.missing_cids)
        return missing

    async def put_blob(self, data: bytes, *, progress: Progress | None = None) -> Cid:
        """Store bytes and return their CID. Idempotent. `Invalid` (`BLOB_TOO_LARGE`); `Exhausted` (`DISK_FULL`)."""
        if len(data) <= MAX_INLINE_BYTES:
            return await self._put_inline(data)
        cid = await asyncio.to_thread(Cid.of, data)
        if await self._is_missing(cid):
            await self._store(io.BytesIO(data), cid, len(data), progress)
        return cid

    async def put_blobs_many(self, blobs: Sequence[bytes]) -> list[Cid | TheoryError]:
        """Store blobs of at most 1 MiB each; one CID or error each, in order."""
        stored: list[Cid | TheoryError] = []
        for batch in fitting(blobs, max_items=MAX_ITEMS, max_bytes=MAX_BATCH_BYTES, size_of=len):
            request = pb.PutBlobsRequest()
            for data in batch:
                request.items.add(data=data, expected_cid=Cid.of(data).text)
            response = await call(self._stub.PutBlobs, request)
            stored += answers(response.results, lambda result: Cid.parse(result.cid))
        return stored

    async def get_blob(self, cid: Cid, *, max_bytes: int | None = None) -> bytes:
        """The blob's bytes, all of them held in memory.

        `NotFound` (`BLOB_UNKNOWN`); `Corrupt` (`BLOB_CORRUPT`); `Invalid` (`BLOB_TOO_LARGE`) beyond `max_bytes`.
        """
        try:
            data = await self._get_inline(cid)
        except Invalid as error:
            if error.reason != "BLOB_TOO_LARGE" or (max_bytes is not None and max_bytes <= MAX_INLINE_BYTES):
                raise
        else:
            _refuse_large(len(data), max_bytes)
            return data
        found = _Held(max_bytes)
        await self._fetch(cid, cast("BinaryIO", found), None)
        return bytes(found.data)

    async def get_blobs_many(self, cids: Sequence[Cid]) -> list[bytes | TheoryError]:
        """Blobs of at most 1 MiB each, in order. Per item `NotFound` (`BLOB_UNKNOWN`), `Corrupt` (`BLOB_CORRUPT`).

        `Invalid` (`BLOB_TOO_LARGE`) where it has to be downloaded.
        """

        async def ask(batch: Sequence[Cid]) -> list[bytes | TheoryError]:
            response = await call(self._stub.GetBlobs, pb.GetBlobsRequest(cids=[cid.text for cid in batch]))
            found = answers(response.results, lambda result: result.data)
            return [verified(cid, each) for cid, each in zip(batch, found, strict=True)]

        return await until_answered(cids, ask)

    async def upload(self, file: BinaryIO, size_bytes: int) -> Cid:
        """Hash and store what `file` holds from its position on, in one pass: what is hashed is what is stored.

        Always over gRPC: the data plane would have to be told the CID before the first byte. `Invalid`
        (`SIZE_MISMATCH`) where that is not `size_bytes`; errors as in `put_blob`, of which `BLOB_TOO_LARGE` comes
        before anything is read.
        """
        if size_bytes <= MAX_INLINE_BYTES:
            data = await asyncio.to_thread(file.read, size_bytes + 1)
            if len(data) != size_bytes:
                raise _other_size(size_bytes, len(data))
            return await self._put_inline(data)
        await self._require_allowed(size_bytes)
        return await self._send(_pieces_of(file), expected=None, size_bytes=size_bytes)

    async def upload_file(self, path: Path, *, progress: Progress | None = None) -> Cid:
        """Store a local file and return its CID. It is read and hashed first, and only sent where the store lacks it.

        `Invalid` (`CID_MISMATCH`, `SIZE_MISMATCH`) where it changes meanwhile; errors as in `put_blob`, of which
        `BLOB_TOO_LARGE` comes before anything is read; the file's own `OSError`.
        """
        with await asyncio.to_thread(path.open, "rb") as file:
            await self._require_allowed(os.fstat(file.fileno()).st_size)
            cid, size = await asyncio.to_thread(_hashed, file)
            if await self._is_missing(cid):
                await asyncio.to_thread(file.seek, 0)
                if size <= MAX_INLINE_BYTES:
                    return await self.upload(file, size)
                await self._store(file, cid, size, progress)
        return cid

    async def download(
        self, cid: Cid, into: BinaryIO, *, size_bytes: int | None = None, progress: Progress | None = None
    ) -> int:
        """Write a blob of any size to `into`; its length. Whoever knows that before saves a question.

        `NotFound` (`BLOB_UNKNOWN`). `Corrupt` (`BLOB_CORRUPT`) where what arrived is not the CID's: throw it away.
        """
        if size_bytes is None or size_bytes <= MAX_INLINE_BYTES:
            try:
                data = await self._get_inline(cid)
            except Invalid as error:
                if error.reason != "BLOB_TOO_LARGE":
                    raise
            else:
                await asyncio.to_thread(_write, into, data)
                return len(data)
        return await self._fetch(cid, into, progress)

    async def _fetch(self, cid: Cid, into: BinaryIO, progress: Progress | None) -> int:
        """Write a large blob to `into`, the faster way that there is."""
        fetched = await self._plane.download(cid, into, progress)
        if fetched is not None:
            return fetched
        size = 0
        async with aclosing(self._receive(cid)) as chunks:
            async for chunk in chunks:
                await asyncio.to_thread(_write, into, chunk)
                size += len(chunk)
        return size

    async def _store(self, file: BinaryIO, cid: Cid, size_bytes: int, progress: Progress | None) -> None:
        """Store what `file` holds, which hashes to `cid`, the faster way that there is."""
        if not await self._plane.upload(BlobPut(cid, size_bytes), file, progress):
            await self._send(_pieces_of(file), expected=cid, size_bytes=size_bytes)

    async def _require_allowed(self, size_bytes: int) -> None:
        """`Invalid` (`BLOB_TOO_LARGE`) for more than the service takes, by what it said when it was first asked."""
        if size_bytes <= MAX_INLINE_BYTES:
            return
        if self._max_blob_bytes is None:
            self._max_blob_bytes = (await self.capabilities()).max_blob_bytes
        if size_bytes > self._max_blob_bytes:
            message = f"a blob has at most {self._max_blob_bytes} bytes here, and this one has {size_bytes}"
            raise Invalid("BLOB_TOO_LARGE", message, max_bytes=str(self._max_blob_bytes))

    async def _receive(self, cid: Cid) -> AsyncGenerator[bytes, None]:
        """The chunks of a whole blob; raises `Corrupt` at their end where they are not the CID's."""
        hasher = CidHasher()
        async with stream(self._stub.DownloadBlob, pb.DownloadBlobRequest(cid=cid.text)) as messages:
            async for message in messages:
                if message.WhichOneof("part") == "chunk":
                    hasher.update(message.chunk)
                    yield message.chunk
        if hasher.cid() != cid:
            raise _corrupt(cid)

    async def _send(self, chunks: AsyncIterator[bytes], *, expected: Cid | None, size_bytes: int) -> Cid:
        hasher = CidHasher()

        async def messages() -> AsyncGenerator[pb.UploadBlobRequest, None]:
            header = pb.UploadBlobRequest.Header(expected_cid=expected.text if expected else "", size_bytes=size_bytes)
            yield pb.UploadBlobRequest(header=header)
            async for chunk in chunks:
                hasher.update(chunk)
                yield pb.UploadBlobRequest(chunk=chunk)

        answer = await send(self._stub.UploadBlob, messages())
        if answer.cid != hasher.cid().text:
            raise _corrupt(hasher.cid())
        return hasher.cid()

    async def _which_missing(self, cids: Sequence[Cid]) -> list[bool]:
        missing = set(await self.find_missing(cids))
        return [cid in missing for cid in cids]


async def until_answered(
    items: Sequence[_K], ask: Callable[[Sequence[_K]], Awaitable[Sequence[_V | TheoryError]]]
) -> list[_V | TheoryError]:
    """What `ask` answers for each item, in order; items for which a reply had no room are asked for again."""
    found: dict[int, _V | TheoryError] = {}
    waiting = list(range(len(items)))
    while waiting:
        batch = waiting[:MAX_ITEMS]
        answered = await ask([items[place] for place in batch])
        found.update(zip(batch, answered, strict=True))
        left = [place for place in batch if _is_left_out(found[place])]
        # Where there was no room for any of them, asking again would ask for ever.
        waiting = waiting[MAX_ITEMS:] if len(left) == len(batch) else left + waiting[MAX_ITEMS:]
    return [found[place] for place in range(len(items))]


def verified(cid: Cid, found: bytes | TheoryError) -> bytes | TheoryError:
    """`found`, if it is what `cid` names; `Corrupt` (`BLOB_CORRUPT`) otherwise."""
    return found if isinstance(found, TheoryError) or Cid.of(found) == cid else _corrupt(cid)


def _is_left_out(answer: object) -> bool:
    return isinstance(answer, Exhausted) and answer.reason == "REPLY_FULL"


def _hashed(file: BinaryIO) -> tuple[Cid, int]:
    hasher = CidHasher()
    for chunk in split_file(file):
        hasher.update(chunk)
    return hasher.cid(), hasher.size_bytes


class _Held:
    """A blob in memory, as much of a binary file as a download needs; it grows no further than `max_bytes`."""

    def __init__(self, max_bytes: int | None) -> None:
        self.data = bytearray()
        self._max_bytes = max_bytes

    def write(self, piece: bytes | memoryview) -> int:
        _refuse_large(len(self.data) + len(piece), self._max_bytes)
        self.data += piece
        return len(piece)


async def _pieces_of(file: BinaryIO) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
        yield chunk


def _write(file: BinaryIO, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[file.write(view) :]


def _refuse_large(size: int, max_bytes: int | None) -> None:
    if max_bytes is not None and size > max_bytes:
        raise Invalid("BLOB_TOO_LARGE", f"the blob has more than {max_bytes} bytes", max_bytes=str(max_bytes))


def _other_size(announced: int, actual: int) -> Invalid:
    message = "the file is not as long as announced"
    return Invalid("SIZE_MISMATCH", message, expected=str(announced), actual=str(actual))


def _corrupt(cid: Cid) -> Corrupt:
    return Corrupt("BLOB_CORRUPT", "the bytes that arrived do not hash to their CID", cid=cid.text)
