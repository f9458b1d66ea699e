"""The client of volumes."""

from collections.abc import Sequence
from datetime import UTC

import grpc

from theory.api.resources.v1 import volume_pb2
from theory.api.resources.v1.volume_pb2_grpc import VolumeServiceStub
from theory.core.adapters import Volume
from theory.core.errors import Invalid, shown
from theory.sdk import sendable
from theory.wire.channel import call


class VolumesClient:
    """`theory.core.adapters.VolumeAdapter` over the wire. Raises only `TheoryError`, or `TimeoutError`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = VolumeServiceStub(channel)

    async def adapter(self) -> str:
        """Where the volumes lie, in a word such as `directory`."""
        return (await call(self._stub.GetCapabilities, volume_pb2.VolumeServiceGetCapabilitiesRequest())).adapter

    async def create(self, *, plan_id: str, name: str) -> Volume:
        """An empty volume, or the one that has this name.

        `Invalid` (`VOLUME_NAME_INVALID`), `Exhausted` (`QUOTA_EXCEEDED`), `NotReady` (`PLAN_ENDED`).
        """
        _require_text(plan_id, name)
        request = volume_pb2.CreateVolumeRequest(plan_id=plan_id, name=name)
        return _volume((await call(self._stub.CreateVolume, request)).volume)

    async def delete(self, *, plan_id: str, name: str) -> None:
        """Remove it with all that lies in it; an absent one is fine."""
        _require_text(plan_id, name)
        await call(self._stub.DeleteVolume, volume_pb2.DeleteVolumeRequest(plan_id=plan_id, name=name))

    async def list(self, *, plan_id: str) -> Sequence[Volume]:
        """The plan's volumes, by name."""
        _require_text(plan_id, "")
        volumes: list[Volume] = []
        token = ""
        while True:
            request = volume_pb2.ListVolumesRequest(plan_id=plan_id, page_token=token)
            page = await call(self._stub.ListVolumes, request)
            volumes += map(_volume, page.volumes)
            token = page.next_page_token
            if not token:
                return volumes

    async def locate(self, *, plan_id: str, name: str) -> str:
        """What a runtime of the same provider mounts, for the executor's identity; `NotFound` (`VOLUME_UNKNOWN`)."""
        _require_text(plan_id, name)
        request = volume_pb2.LocateVolumeRequest(plan_id=plan_id, name=name)
        return (await call(self._stub.LocateVolume, request)).location

    async def end_plan(self, plan_id: str) -> None:
        """Remove every volume of the plan, and make none any more. For the executor's identity."""
        _require_text(plan_id, "")
        await call(self._stub.EndPlan, volume_pb2.VolumeServiceEndPlanRequest(plan_id=plan_id))


def _volume(volume: volume_pb2.Volume) -> Volume:
    return Volume(volume.name, volume.create_time.ToDatetime(UTC))


def _require_text(plan_id: str, name: str) -> None:
    if not sendable.is_text(plan_id):
        raise Invalid("ID_INVALID", "a plan_id is no Unicode text", field="plan_id")
    if not sendable.is_text(name):
        raise Invalid("VOLUME_NAME_INVALID", "the name of a volume is no Unicode text", value=shown(name))
