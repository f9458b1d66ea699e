"""Protobuf to the words of volumes, and back."""

from services.resources.volumes.ports import MAX_PLAN_VOLUMES
from theory.api.resources.v1 import volume_pb2 as pb
from theory.core.adapters import Volume
from theory.core.ids import PlanId
from theory.wire.moments import timestamp


def plan_id_from_proto(plan_id: str) -> str:
    """The id, checked."""
    return PlanId.parse(plan_id).text


def volume_to_proto(volume: Volume) -> pb.Volume:
    """One volume."""
    return pb.Volume(name=volume.name, create_time=timestamp(volume.create_time))


def capabilities_to_proto(kind: str) -> pb.VolumeServiceGetCapabilitiesResponse:
    """What the store is, and the limits."""
    return pb.VolumeServiceGetCapabilitiesResponse(adapter=kind, max_plan_volumes=MAX_PLAN_VOLUMES)
