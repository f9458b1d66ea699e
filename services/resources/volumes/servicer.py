"""The wire face of volumes: decode, call, encode."""

from typing import cast

from services.resources.volumes import codec
from services.resources.volumes.domain import Volumes
from services.resources.volumes.ports import VolumeStore
from theory.api.resources.v1 import volume_pb2 as pb
from theory.api.resources.v1 import volume_pb2_grpc as rpc
from theory.wire.context import Context
from theory.wire.pages import Page


class VolumeServicer(rpc.VolumeServiceServicer):
    """Serves the volumes of every plan; the access table keeps their places for the executor."""

    def __init__(self, volumes: Volumes, store: VolumeStore) -> None:
        self._volumes = volumes
        self._capabilities = codec.capabilities_to_proto(store.kind)

    async def GetCapabilities(
        self, request: pb.VolumeServiceGetCapabilitiesRequest, context: Context
    ) -> pb.VolumeServiceGetCapabilitiesResponse:
        return self._capabilities

    async def CreateVolume(self, request: pb.CreateVolumeRequest, context: Context) -> pb.CreateVolumeResponse:
        plan_id = codec.plan_id_from_proto(request.plan_id)
        made = await self._volumes.create(plan_id=plan_id, name=request.name)
        return pb.CreateVolumeResponse(volume=codec.volume_to_proto(made))

    async def DeleteVolume(self, request: pb.DeleteVolumeRequest, context: Context) -> pb.DeleteVolumeResponse:
        await self._volumes.delete(plan_id=codec.plan_id_from_proto(request.plan_id), name=request.name)
        return pb.DeleteVolumeResponse()

    async def ListVolumes(self, request: pb.ListVolumesRequest, context: Context) -> pb.ListVolumesResponse:
        page = Page.of(request)
        after = cast("str", page.after or "")
        volumes = await self._volumes.list(plan_id=codec.plan_id_from_proto(request.plan_id))
        left = [each for each in volumes if each.name > after]
        shown = left[: page.size]
        return pb.ListVolumesResponse(
            volumes=map(codec.volume_to_proto, shown),
            next_page_token=page.token_after(shown[-1].name) if len(left) > len(shown) else "",
        )

    async def LocateVolume(self, request: pb.LocateVolumeRequest, context: Context) -> pb.LocateVolumeResponse:
        plan_id = codec.plan_id_from_proto(request.plan_id)
        return pb.LocateVolumeResponse(location=await self._volumes.locate(plan_id=plan_id, name=request.name))

    async def EndPlan(
        self, request: pb.VolumeServiceEndPlanRequest, context: Context
    ) -> pb.VolumeServiceEndPlanResponse:
        await self._volumes.end_plan(codec.plan_id_from_proto(request.plan_id))
        return pb.VolumeServiceEndPlanResponse()
