"""The wire face of queues: decode, call, encode."""

from services.resources.queue import codec
from services.resources.queue.domain.queue import Queue
from services.resources.queue.ports import QueueQuotas, QueueStore
from theory.api.resources.v1 import queue_pb2 as pb
from theory.api.resources.v1 import queue_pb2_grpc as rpc
from theory.wire.context import Context, current_grant, time_remaining


class QueueServicer(rpc.QueueServiceServicer):
    """Serves the topics of every plan."""

    def __init__(self, queue: Queue, store: QueueStore, quotas: QueueQuotas) -> None:
        self._queue = queue
        self._capabilities = codec.capabilities_to_proto(store, quotas)

    async def GetCapabilities(
        self, request: pb.QueueServiceGetCapabilitiesRequest, context: Context
    ) -> pb.QueueServiceGetCapabilitiesResponse:
        return self._capabilities

    async def Publish(self, request: pb.PublishRequest, context: Context) -> pb.PublishResponse:
        plan_id = codec.plan_id_from_proto(request.plan_id)
        items, most = codec.publishes_from_proto(request), codec.max_receives_from_proto(request)
        answers = await self._queue.publish_many(
            plan_id, request.topic, items, max_receives=most, attempt=current_grant()
        )
        return codec.published_to_proto(answers)

    async def Consume(self, request: pb.ConsumeRequest, context: Context) -> pb.ConsumeResponse:
        messages = await self._queue.consume(
            plan_id=codec.plan_id_from_proto(request.plan_id),
            topic=request.topic,
            max_messages=codec.max_messages_from_proto(request),
            visibility_timeout_s=codec.visibility_from_proto(request),
            wait_s=request.wait_s,
            dead_letters=request.dead_letters,
            time_left_s=time_remaining(),
            attempt=current_grant(),
        )
        return codec.messages_to_proto(messages)

    async def Ack(self, request: pb.AckRequest, context: Context) -> pb.AckResponse:
        plan_id = codec.plan_id_from_proto(request.plan_id)
        answers = await self._queue.ack_many(plan_id, request.topic, request.receipt_handles, attempt=current_grant())
        return pb.AckResponse(statuses=codec.statuses_to_proto(answers))

    async def Nack(self, request: pb.NackRequest, context: Context) -> pb.NackResponse:
        plan_id = codec.plan_id_from_proto(request.plan_id)
        answers = await self._queue.nack_many(
            plan_id, request.topic, codec.nacks_from_proto(request), attempt=current_grant()
        )
        return pb.NackResponse(statuses=codec.statuses_to_proto(answers))

    async def Extend(self, request: pb.ExtendRequest, context: Context) -> pb.ExtendResponse:
        plan_id = codec.plan_id_from_proto(request.plan_id)
        answers = await self._queue.extend_many(
            plan_id, request.topic, codec.extends_from_proto(request), attempt=current_grant()
        )
        return pb.ExtendResponse(statuses=codec.statuses_to_proto(answers))

    async def Redrive(self, request: pb.RedriveRequest, context: Context) -> pb.RedriveResponse:
        plan_id = codec.plan_id_from_proto(request.plan_id)
        answers = await self._queue.redrive_many(
            plan_id, request.topic, request.receipt_handles, attempt=current_grant()
        )
        return pb.RedriveResponse(statuses=codec.statuses_to_proto(answers))

    async def GetStats(self, request: pb.GetStatsRequest, context: Context) -> pb.GetStatsResponse:
        plan_id = codec.plan_id_from_proto(request.plan_id)
        return codec.stats_to_proto(await self._queue.stats(plan_id, attempt=current_grant()))

    async def BeginPlan(
        self, request: pb.QueueServiceBeginPlanRequest, context: Context
    ) -> pb.QueueServiceBeginPlanResponse:
        await self._queue.begin_plan(codec.plan_id_from_proto(request.plan_id), event_every=request.event_every)
        return pb.QueueServiceBeginPlanResponse()

    async def EndPlan(self, request: pb.QueueServiceEndPlanRequest, context: Context) -> pb.QueueServiceEndPlanResponse:
        await self._queue.end_plan(codec.plan_id_from_proto(request.plan_id))
        return pb.QueueServiceEndPlanResponse()
