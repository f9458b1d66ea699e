"""The wire face of the registry: decode, call, encode."""

from typing import cast

from services.registry import codec
from services.registry.domain.registry import Registry
from theory.api.registry.v1 import registry_pb2 as pb
from theory.api.registry.v1 import registry_pb2_grpc as rpc
from theory.wire.context import Context
from theory.wire.pages import Page


class RegistryServicer(rpc.RegistryServiceServicer):
    """Serves every document and snapshot."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._capabilities = codec.capabilities_to_proto(registry.adapter, durable=registry.durable)

    async def GetCapabilities(self, request: pb.GetCapabilitiesRequest, context: Context) -> pb.GetCapabilitiesResponse:
        return self._capabilities

    async def PublishSpecs(self, request: pb.PublishSpecsRequest, context: Context) -> pb.PublishSpecsResponse:
        return codec.published_to_proto(await self._registry.publish(codec.drafts_from_proto(request)))

    async def GetSpecs(self, request: pb.GetSpecsRequest, context: Context) -> pb.GetSpecsResponse:
        return codec.specs_to_proto(await self._registry.get(codec.names_from_proto(request)))

    async def ListSpecs(self, request: pb.ListSpecsRequest, context: Context) -> pb.ListSpecsResponse:
        page = Page.of(request)
        kind, ref = cast("tuple[str, str]", page.after or ("", ""))
        listing = await self._registry.list(codec.kind_from_proto(request.kind), after=(kind, ref), limit=page.size)
        return pb.ListSpecsResponse(
            specs=map(codec.spec_to_proto, listing.specs),
            next_page_token=page.token_after(listing.position) if listing.more else "",
        )

    async def CreateSnapshot(self, request: pb.CreateSnapshotRequest, context: Context) -> pb.CreateSnapshotResponse:
        pinned = await self._registry.pin(codec.roots_from_proto(request))
        return pb.CreateSnapshotResponse(snapshot=codec.snapshot_to_proto(pinned))

    async def GetSnapshot(self, request: pb.GetSnapshotRequest, context: Context) -> pb.GetSnapshotResponse:
        pinned = await self._registry.snapshot(request.snapshot_id)
        return pb.GetSnapshotResponse(snapshot=codec.snapshot_to_proto(pinned))
