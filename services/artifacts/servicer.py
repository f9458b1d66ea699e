"""The wire face of the artifact store: decode, call, encode."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from services.artifacts import codec
from services.artifacts.domain.artifacts import Artifacts
from services.artifacts.domain.attempts import Attempts, AttemptView
from services.artifacts.domain.batch import for_sound
from services.artifacts.domain.limits import MAX_ATTEMPTS, MAX_BATCH_ITEMS, MAX_INLINE_BYTES, Capabilities
from services.artifacts.domain.presigning import Presigning
from services.artifacts.domain.store import BlobStore, compute_cid
from theory.api.artifacts.v1 import artifacts_pb2 as pb
from theory.api.artifacts.v1 import artifacts_pb2_grpc as rpc
from theory.core.cid import Cid
from theory.core.errors import TheoryError, Unsupported
from theory.core.presign import MAX_PRESIGNED, PresignItem, ttl_s_of
from theory.core.world_path import WorldName
from theory.wire.batches import batch, decoded
from theory.wire.chunks import Parts
from theory.wire.context import Context, current_grant
from theory.wire.moments import timestamp
from theory.wire.pages import Page

_LINGER_BYTES = 64 * 1024 * 1024
_LINGER_S = 2.0


class ArtifactsServicer(rpc.ArtifactsServiceServicer):
    """Blobs and artifacts over gRPC."""

    def __init__(
        self,
        blobs: BlobStore,
        artifacts: Artifacts,
        attempts: Attempts,
        capabilities: Capabilities,
        presigning: Presigning | None,
    ) -> None:
        self._all_blobs = blobs
        self._all_artifacts = artifacts
        self._attempts = attempts
        self._presigning = presigning
        self._capabilities = codec.capabilities_to_proto(capabilities, max_inline_bytes=MAX_INLINE_BYTES)
        # Nobody presigns for an attempt: whoever is handed a URL could pass it on.
        without_plane = replace(capabilities, presigner=None)
        self._capabilities_of_attempts = codec.capabilities_to_proto(without_plane, max_inline_bytes=MAX_INLINE_BYTES)

    async def GetCapabilities(self, request: pb.GetCapabilitiesRequest, context: Context) -> pb.GetCapabilitiesResponse:
        return self._capabilities if current_grant() is None else self._capabilities_of_attempts

    async def FindMissingBlobs(
        self, request: pb.FindMissingBlobsRequest, context: Context
    ) -> pb.FindMissingBlobsResponse:
        expire_time = timestamp(self._all_blobs.expire_time())
        missing = await self._blobs().find_missing(codec.cids_of(request.cids))
        return pb.FindMissingBlobsResponse(missing_cids=[cid.text for cid in missing], expire_time=expire_time)

    async def PutBlobs(self, request: pb.PutBlobsRequest, context: Context) -> pb.PutBlobsResponse:
        blobs = decoded(request.items, codec.new_blob_of, most=MAX_BATCH_ITEMS)
        codec.refuse_heavy(len(item.data) for item in request.items)
        expire_time = timestamp(self._all_blobs.expire_time())
        answers = await for_sound(blobs, self._blobs().put_many)
        return pb.PutBlobsResponse(results=map(codec.put_blob_to_proto, answers), expire_time=expire_time)

    async def GetBlobs(self, request: pb.GetBlobsRequest, context: Context) -> pb.GetBlobsResponse:
        answers = await for_sound(decoded(request.cids, Cid.parse, most=MAX_BATCH_ITEMS), self._blobs().get_many)
        return pb.GetBlobsResponse(results=map(codec.get_blob_to_proto, answers))

    async def UploadBlob(
        self, request_iterator: AsyncIterator[pb.UploadBlobRequest], context: Context
    ) -> pb.UploadBlobResponse:
        async with _lingering(request_iterator):
            parts = Parts(request_iterator)
            expected, size_bytes = codec.upload_of(await parts.header())
            async with self._blobs().upload(expected=expected, size_bytes=size_bytes) as upload:
                async for chunk in parts.chunks():
                    await upload.write(chunk)
                expire_time = timestamp(self._all_blobs.expire_time())
                cid, size = await upload.commit()
        return pb.UploadBlobResponse(cid=cid.text, size_bytes=size, expire_time=expire_time)

    async def DownloadBlob(
        self, request: pb.DownloadBlobRequest, context: Context
    ) -> AsyncIterator[pb.DownloadBlobResponse]:
        offset, limit = codec.range_of(request)
        async with self._blobs().download(Cid.parse(request.cid), offset=offset, limit=limit) as download:
            yield pb.DownloadBlobResponse(header=pb.DownloadBlobResponse.Header(size_bytes=download.size_bytes))
            async for chunk in download.chunks:
                yield pb.DownloadBlobResponse(chunk=chunk)

    async def PresignBlobs(self, request: pb.PresignBlobsRequest, context: Context) -> pb.PresignBlobsResponse:
        presigning = self._offered()
        items: list[PresignItem | TheoryError] = decoded(request.items, codec.presign_item_of, most=MAX_PRESIGNED)
        answers = await presigning.presign_many(items, ttl_s=ttl_s_of(request.ttl_s))
        return pb.PresignBlobsResponse(results=map(codec.presigned_to_proto, answers))

    async def CommitUploads(self, request: pb.CommitUploadsRequest, context: Context) -> pb.CommitUploadsResponse:
        expire_time = timestamp(self._all_blobs.expire_time())
        answers = await self._offered().commit_many(batch(request.upload_ids, MAX_PRESIGNED))
        return pb.CommitUploadsResponse(results=map(codec.committed_to_proto, answers), expire_time=expire_time)

    async def ComputeCid(self, request: pb.ComputeCidRequest, context: Context) -> pb.ComputeCidResponse:
        return pb.ComputeCidResponse(cid=compute_cid(request.data).text)

    async def PutArtifacts(self, request: pb.PutArtifactsRequest, context: Context) -> pb.PutArtifactsResponse:
        world, plan_id = WorldName.parse(request.world), codec.plan_id_of(request.plan_id)
        items = decoded(request.items, codec.new_artifact_of, most=MAX_BATCH_ITEMS)
        codec.refuse_heavy(len(item.data) for item in request.items)
        answers = await for_sound(items, lambda sound: self._all_artifacts.put_many(world, plan_id, sound))
        return pb.PutArtifactsResponse(results=map(codec.written_to_proto, answers))

    async def StatArtifacts(self, request: pb.StatArtifactsRequest, context: Context) -> pb.StatArtifactsResponse:
        world = WorldName.parse(request.world)
        paths = decoded(request.world_paths, codec.path_of, most=MAX_BATCH_ITEMS)
        answers = await for_sound(paths, lambda sound: self._artifacts().stat_many(world, sound))
        return pb.StatArtifactsResponse(results=map(codec.stat_to_proto, answers))

    async def ReadArtifacts(self, request: pb.ReadArtifactsRequest, context: Context) -> pb.ReadArtifactsResponse:
        world = WorldName.parse(request.world)
        paths = decoded(request.world_paths, codec.path_of, most=MAX_BATCH_ITEMS)
        answers = await for_sound(paths, lambda sound: self._artifacts().read_many(world, sound))
        return pb.ReadArtifactsResponse(results=map(codec.read_to_proto, answers))

    async def ListArtifacts(self, request: pb.ListArtifactsRequest, context: Context) -> pb.ListArtifactsResponse:
        world, prefix = WorldName.parse(request.world), codec.prefix_of(request.prefix)
        page = Page.of(request)
        found = await self._artifacts().page(world, prefix, after=str(page.after or ""), limit=page.size + 1)
        shown = found[: page.size]
        return pb.ListArtifactsResponse(
            artifacts=map(codec.artifact_to_proto, shown),
            next_page_token=page.token_after(shown[-1].path.text) if len(found) > page.size else "",
        )

    async def PrepareBindings(self, request: pb.PrepareBindingsRequest, context: Context) -> pb.PrepareBindingsResponse:
        items = decoded(request.items, codec.preparation_of, most=MAX_ATTEMPTS)
        outcomes = await for_sound(items, self._artifacts().prepare_many)
        return pb.PrepareBindingsResponse(statuses=map(codec.outcome_to_proto, outcomes))

    async def PinInputs(self, request: pb.PinInputsRequest, context: Context) -> pb.PinInputsResponse:
        items = decoded(request.items, codec.attempt_inputs_of, most=MAX_ATTEMPTS)
        outcomes = await for_sound(items, self._attempts.tell_many)
        return pb.PinInputsResponse(statuses=map(codec.outcome_to_proto, outcomes))

    async def CommitBindings(self, request: pb.CommitBindingsRequest, context: Context) -> pb.CommitBindingsResponse:
        items = decoded(request.items, codec.commitment_of, most=MAX_ATTEMPTS)
        outcomes = await for_sound(items, self._all_artifacts.commit_many)
        return pb.CommitBindingsResponse(statuses=map(codec.outcome_to_proto, outcomes))

    async def AbortBindings(self, request: pb.AbortBindingsRequest, context: Context) -> pb.AbortBindingsResponse:
        items = decoded(request.items, codec.abortion_of, most=MAX_ATTEMPTS)
        outcomes = await for_sound(items, self._all_artifacts.abort_many)
        return pb.AbortBindingsResponse(statuses=map(codec.outcome_to_proto, outcomes))

    def _blobs(self) -> BlobStore | AttemptView:
        """The blobs as the caller sees them."""
        grant = current_grant()
        return self._all_blobs if grant is None else self._attempts.view(grant)

    def _artifacts(self) -> Artifacts | AttemptView:
        """The paths as the caller sees them."""
        grant = current_grant()
        return self._all_artifacts if grant is None else self._attempts.view(grant)

    def _offered(self) -> Presigning:
        if self._presigning is None:
            message = "this service has no data plane: bytes go over gRPC"
            raise Unsupported("CAPABILITY_MISSING", message, capability="data_plane")
        return self._presigning


@asynccontextmanager
async def _lingering(messages: AsyncIterator[pb.UploadBlobRequest]) -> AsyncIterator[None]:
    """Where the block refuses, read what the client still sends, within bounds, before it is told.

    A client that is answered in the middle of a write may lose the answer, and see an INTERNAL of gRPC's own in its
    place (grpc/grpc#36066).
    """
    try:
        yield
    except TheoryError:
        left = _LINGER_BYTES
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                async for message in messages:
                    left -= len(message.chunk)
                    if left <= 0:
                        break
        raise
