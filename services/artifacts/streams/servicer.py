"""The wire face of streams: decode, call, encode."""

from services.artifacts.domain.batch import for_sound
from services.artifacts.streams import codec
from services.artifacts.streams.domain.fixing import Fixing
from services.artifacts.streams.domain.promotion import Promotion
from services.artifacts.streams.domain.streams import Streams
from services.artifacts.streams.ports import StreamStore
from theory.api.artifacts.v1 import streams_pb2 as pb
from theory.api.artifacts.v1 import streams_pb2_grpc as rpc
from theory.core.artifact import content_type_of
from theory.core.ids import ExecutionId, PlanId
from theory.core.stream import MAX_BATCH_CHUNKS, series_of
from theory.core.world_path import PathPrefix, WorldName
from theory.wire.batches import decoded
from theory.wire.context import Context, current_grant, time_remaining
from theory.wire.pages import Page


class StreamsServicer(rpc.StreamsServiceServicer):
    """Serves the streams of every world."""

    def __init__(self, streams: Streams, fixing: Fixing, promotion: Promotion, store: StreamStore) -> None:
        self._streams = streams
        self._fixing = fixing
        self._promotion = promotion
        self._capabilities = codec.capabilities_to_proto(store)

    async def GetCapabilities(
        self, request: pb.StreamsServiceGetCapabilitiesRequest, context: Context
    ) -> pb.StreamsServiceGetCapabilitiesResponse:
        return self._capabilities

    async def AppendChunks(self, request: pb.AppendChunksRequest, context: Context) -> pb.AppendChunksResponse:
        appended = await self._streams.append(
            WorldName.parse(request.world),
            series_of(request.series),
            request.chunks,
            expected_idx=codec.expected_idx_from_proto(request),
            limits=codec.limits_from_proto(request),
            plan_id=PlanId.parse(request.plan_id) if request.plan_id else None,
            attempt=current_grant(),
        )
        return pb.AppendChunksResponse(first_idx=appended.first_idx, watermark_idx=appended.watermark_idx)

    async def ReadChunks(self, request: pb.ReadChunksRequest, context: Context) -> pb.ReadChunksResponse:
        page = await self._streams.read(
            WorldName.parse(request.world),
            series_of(request.series),
            from_idx=request.from_idx,
            max_chunks=codec.max_chunks_from_proto(request),
            wait_s=request.wait_s,
            time_left_s=time_remaining(),
            attempt=current_grant(),
        )
        return codec.page_to_proto(page)

    async def GetStreamStatus(self, request: pb.GetStreamStatusRequest, context: Context) -> pb.GetStreamStatusResponse:
        world, attempt = WorldName.parse(request.world), current_grant()
        series = decoded(request.series, series_of, most=codec.MAX_ITEMS)
        answers = await for_sound(series, lambda sound: self._streams.status_many(world, sound, attempt=attempt))
        return pb.GetStreamStatusResponse(results=map(codec.status_to_proto, answers))

    async def ListStreams(self, request: pb.ListStreamsRequest, context: Context) -> pb.ListStreamsResponse:
        world = WorldName.parse(request.world)
        prefix = PathPrefix.parse(request.prefix) if request.prefix else None
        page = Page.of(request)
        found = await self._streams.page(world, prefix, after=str(page.after or ""), limit=page.size + 1)
        shown = found[: page.size]
        return pb.ListStreamsResponse(
            streams=map(codec.stream_to_proto, shown),
            next_page_token=page.token_after(shown[-1].series.text) if len(found) > page.size else "",
        )

    async def FixChunks(self, request: pb.FixChunksRequest, context: Context) -> pb.FixChunksResponse:
        world, execution_id = WorldName.parse(request.world), ExecutionId.parse(request.execution_id)
        fixed = await self._fixing.fix(world, execution_id, codec.selectors_from_proto(request))
        return pb.FixChunksResponse(streams=map(codec.fixed_to_proto, fixed))

    async def PromoteChunks(self, request: pb.PromoteChunksRequest, context: Context) -> pb.PromoteChunksResponse:
        world, series = WorldName.parse(request.world), series_of(request.series)
        plan_id = PlanId.parse(request.plan_id) if request.plan_id else None
        content_type = content_type_of(request.content_type)
        items = decoded(request.items, codec.promoted_from_proto, most=MAX_BATCH_CHUNKS)
        answers = await for_sound(
            items,
            lambda sound: self._promotion.promote(world, series, sound, content_type=content_type, plan_id=plan_id),
        )
        return pb.PromoteChunksResponse(results=map(codec.promoted_to_proto, answers))
