"""The wire face of retention: decode, call, encode."""

from services.artifacts.retention import codec
from services.artifacts.retention.domain.collector import Collected, Collector
from services.artifacts.retention.domain.dropping import Dropping
from services.artifacts.retention.domain.scrubber import Scrubber
from theory.api.artifacts.v1 import retention_pb2 as pb
from theory.api.artifacts.v1 import retention_pb2_grpc as rpc
from theory.core.cid import Cid
from theory.core.world_path import WorldName
from theory.wire.context import Context
from theory.wire.pages import Position

_PAGES = 10
"""Of the store, or batches of deletions, in one call."""
_LOOKING = "look"
"""What a position of a collection begins with once all that was due is deleted."""
_SCRUB_S = 3.0


class RetentionServicer(rpc.RetentionServiceServicer):
    """Serves what leaves the store."""

    def __init__(self, collector: Collector, dropping: Dropping, scrubber: Scrubber) -> None:
        self._collector = collector
        self._dropping = dropping
        self._scrubber = scrubber
        self._capabilities = codec.capabilities_to_proto(collector, scrubber)

    async def GetCapabilities(
        self, request: pb.RetentionServiceGetCapabilitiesRequest, context: Context
    ) -> pb.RetentionServiceGetCapabilitiesResponse:
        return self._capabilities

    async def CollectGarbage(self, request: pb.CollectGarbageRequest, context: Context) -> pb.CollectGarbageResponse:
        position = Position.of(request)
        phase, _, cid = str(position.after or "").partition(" ")
        if phase != _LOOKING:
            part, more = await self._delete(dry_run=request.dry_run)
            return codec.collected_to_proto(part, position.token("" if more else _LOOKING))
        part, after = Collected(), Cid(cid) if cid else None
        for _ in range(_PAGES):
            page, after = await self._collector.look(after, dry_run=request.dry_run)
            part += page
            if after is None:
                return codec.collected_to_proto(part, "")
        return codec.collected_to_proto(part, position.token(f"{_LOOKING} {after}"))

    async def DropWorld(self, request: pb.DropWorldRequest, context: Context) -> pb.DropWorldResponse:
        return codec.dropped_to_proto(await self._dropping.drop(WorldName.parse(request.world)))

    async def ScrubBlobs(self, request: pb.ScrubBlobsRequest, context: Context) -> pb.ScrubBlobsResponse:
        position = Position.of(request)
        after = Cid(str(position.after)) if position.after else None
        part = await self._scrubber.part(after, for_s=_SCRUB_S)
        return codec.scrubbed_to_proto(part, position.token(part.after.text) if part.after else "")

    async def _delete(self, *, dry_run: bool) -> tuple[Collected, bool]:
        total = Collected()
        for _ in range(_PAGES):
            part, more = await self._collector.delete_due(dry_run=dry_run)
            total += part
            if not more:
                return total, False
        return total, True
