"""Volume: made, listed and deleted by name; nothing mounts it here."""

# ruff: noqa: N802 - RPC names are the proto's

from google.protobuf.empty_pb2 import Empty
from modal_proto import api_pb2 as pb

from tests.fakes.modal.hub import Hub
from tests.fakes.modal.named import Entry, Named


class VolumeHandlers:
    """RPCs of Volume."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)  # type: ignore[call-arg]
        self._hub = hub
        self.volumes: Named[None] = Named(hub, "Volume", "vo", lambda: None)

    async def VolumeGetOrCreate(self, request: pb.VolumeGetOrCreateRequest) -> pb.VolumeGetOrCreateResponse:
        found = self.volumes.resolve(request.environment_name, request.deployment_name, request.object_creation_type)
        return pb.VolumeGetOrCreateResponse(
            volume_id=found.object_id, version=request.version, metadata=_metadata(found)
        )

    async def VolumeList(self, request: pb.VolumeListRequest) -> pb.VolumeListResponse:
        page = self.volumes.page(request.environment_name, request.pagination)
        items = [
            pb.VolumeListItem(label=e.name, volume_id=e.object_id, created_at=e.created_at, metadata=_metadata(e))
            for e in page
        ]
        return pb.VolumeListResponse(items=items, environment_name=request.environment_name)

    async def VolumeDelete(self, request: pb.VolumeDeleteRequest) -> Empty:
        self.volumes.delete(request.volume_id)
        return Empty()


def _metadata(entry: Entry[None]) -> pb.VolumeMetadata:
    return pb.VolumeMetadata(name=entry.name, creation_info=entry.creation_info)
