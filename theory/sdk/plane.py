"""The client of the data plane: presigned requests, and whole blobs that go by them where the service offers it."""

import asyncio
import functools
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC
from typing import BinaryIO, TypeVar

import grpc

from theory.api.artifacts.v1 import artifacts_pb2 as pb
from theory.api.artifacts.v1.artifacts_pb2_grpc import ArtifactsServiceStub
from theory.core.cid import Cid
from theory.core.clock import Clock, SystemClock
from theory.core.errors import Corrupt, TheoryError
from theory.core.presign import MAX_PRESIGNED, ArtifactGet, BlobGet, BlobPut, PresignedRequest, PresignItem
from theory.sdk.rpc import answers, fitting, unwrapped
from theory.sdk.transfer import PIECE_BYTES, Progress, Transfer, Unreachable, expired
from theory.wire.channel import TIMEOUT_S, call

_T = TypeVar("_T")

_THREADS = 4
_ASKED = 3
"""How many requests one blob may use up: each holds as long as the service's default."""
_VERIFIED_BYTES_PER_S = 16 * 1024 * 1024
"""How fast a commit is at the least."""
_AWAY_S = 60.0
"""For how long bytes go over gRPC after the data plane did not answer."""


@dataclass(frozen=True, slots=True)
class DataPlane:
    """What the data plane of a service allows."""

    resumable: bool
    sha256_required: bool
    max_upload_bytes: int = 0
    """The largest upload; 0 where it is as large as a blob may be."""


class PlaneClient:
    """Presigned requests over the wire, and the bytes behind them over HTTP.

    A service whose data plane cannot be reached from here, such as one behind a tunnel, is used without it.
    """

    def __init__(self, channel: grpc.aio.Channel, clock: Clock | None = None) -> None:
        self._stub = ArtifactsServiceStub(channel)
        self._clock = clock or SystemClock()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="theory-transfer")
        self._offered: DataPlane | None = None
        self._asked = False
        self._away_until = 0.0

    async def presign_many(
        self, items: Sequence[PresignItem], *, ttl_s: int = 0
    ) -> list[PresignedRequest | TheoryError]:
        """A request per item, in order, each for `ttl_s` seconds; 0 leaves that to the service."""
        found: list[PresignedRequest | TheoryError] = []
        for batch in fitting(items, max_items=MAX_PRESIGNED):
            request = pb.PresignBlobsRequest(items=map(_item_to_proto, batch), ttl_s=ttl_s)
            response = await call(self._stub.PresignBlobs, request)
            found += answers(response.results, lambda result: _request_from_proto(result.request))
        return found

    async def commit_many(
        self, upload_ids: Sequence[str], *, timeout_s: float = TIMEOUT_S
    ) -> list[tuple[Cid, int] | TheoryError]:
        """End uploads: CID and length of each, in order. Asking again after a `TimeoutError` is harmless."""
        ended: list[tuple[Cid, int] | TheoryError] = []
        for batch in fitting(upload_ids, max_items=MAX_PRESIGNED):
            response = await call(
                self._stub.CommitUploads, pb.CommitUploadsRequest(upload_ids=batch), timeout_s=timeout_s
            )
            ended += answers(response.results, lambda result: (Cid.parse(result.cid), result.size_bytes))
        return ended

    async def upload(self, put: BlobPut, file: BinaryIO, progress: Progress | None) -> bool:
        """Send what `file` holds from its position on; False where that has to go over gRPC, from the same position."""
        plane = await self._reachable()
        if plane is None or 0 < plane.max_upload_bytes < put.size_bytes:
            return False
        start = file.tell()
        if plane.sha256_required:
            put = replace(put, sha256=await asyncio.to_thread(_sha256, file))
            await asyncio.to_thread(file.seek, start)

        async def send(request: PresignedRequest, transfer: Transfer) -> None:
            await asyncio.to_thread(file.seek, start)
            await self._run(transfer, functools.partial(transfer.put, request, file, resumable=plane.resumable))
            # A store that knows no CIDs has the service read all of the bytes first.
            timeout_s = TIMEOUT_S + put.size_bytes / _VERIFIED_BYTES_PER_S
            ((cid, _),) = unwrapped(await self.commit_many([request.upload_id], timeout_s=timeout_s))
            if cid != put.cid:
                raise Corrupt("BLOB_CORRUPT", "the store took other bytes than were sent", cid=put.cid.text)

        try:
            await self._tried(put, send, progress)
        except Unreachable:
            self._away_until = self._clock.monotonic() + _AWAY_S
            await asyncio.to_thread(file.seek, start)
            return False
        return True

    async def download(self, cid: Cid, into: BinaryIO, progress: Progress | None) -> int | None:
        """Write a blob to `into`; its length, or None where it has to come over gRPC and nothing was written."""
        if await self._reachable() is None:
            return None

        async def receive(request: PresignedRequest, transfer: Transfer) -> int:
            return await self._run(transfer, functools.partial(transfer.get, request, cid, into))

        try:
            return await self._tried(BlobGet(cid), receive, progress)
        except Unreachable:
            self._away_until = self._clock.monotonic() + _AWAY_S
            return None

    async def _tried(
        self,
        item: PresignItem,
        move: Callable[[PresignedRequest, Transfer], Awaitable[_T]],
        progress: Progress | None,
    ) -> _T:
        """What `move` returns; it gets another request where the one before has expired under way."""
        transfer = Transfer(_on_loop(progress))
        asked = 0
        while True:
            (request,) = unwrapped(await self.presign_many([item]))
            asked += 1
            try:
                return await move(request, transfer)
            except TheoryError as error:
                if not expired(error) or asked == _ASKED:
                    raise

    async def _reachable(self) -> DataPlane | None:
        if self._clock.monotonic() < self._away_until:
            return None
        if not self._asked:
            found = await call(self._stub.GetCapabilities, pb.GetCapabilitiesRequest())
            self._offered, self._asked = data_plane_of(found), True
        return self._offered

    async def _run(self, transfer: Transfer, work: Callable[[], _T]) -> _T:
        """What `work` returns in a thread. Cancelled, it is stopped and waited for: it holds the caller's file."""
        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            transfer.stop()
            await asyncio.wait([running])
            if not running.cancelled():
                running.exception()
            raise


def data_plane_of(capabilities: pb.GetCapabilitiesResponse) -> DataPlane | None:
    """The data plane that a service names, if it has one."""
    if not capabilities.HasField("data_plane"):
        return None
    plane = capabilities.data_plane
    return DataPlane(plane.resumable, plane.sha256_required, plane.max_upload_bytes)


def _on_loop(progress: Progress | None) -> Progress | None:
    """`progress`, called by the event loop, whichever thread tells it."""
    if progress is None:
        return None
    loop = asyncio.get_running_loop()

    def tell(done: int, total: int) -> None:
        loop.call_soon_threadsafe(progress, done, total)

    return tell


def _item_to_proto(item: PresignItem) -> pb.PresignBlobsRequest.Item:
    match item:
        case BlobGet(cid):
            return pb.PresignBlobsRequest.Item(get=pb.PresignBlobsRequest.Get(cid=cid.text))
        case ArtifactGet(world, path):
            bound = pb.PresignBlobsRequest.Bound(world=world.text, world_path=path.text)
            return pb.PresignBlobsRequest.Item(get=pb.PresignBlobsRequest.Get(bound=bound))
        case BlobPut(cid, size, content_type, sha256):
            put = pb.PresignBlobsRequest.Put(cid=cid.text, size_bytes=size, content_type=content_type, sha256=sha256)
            return pb.PresignBlobsRequest.Item(put=put)


def _request_from_proto(request: pb.PresignedRequest) -> PresignedRequest:
    return PresignedRequest(
        request.url,
        request.method,
        dict(request.headers),
        request.expire_time.ToDatetime(UTC),
        request.size_bytes,
        request.upload_id,
    )


def _sha256(file: BinaryIO) -> str:
    hashed = hashlib.sha256()
    while piece := file.read(PIECE_BYTES):
        hashed.update(piece)
    return hashed.hexdigest()
