"""The wire face of keys: decode, call, encode."""

from services.resources.kv import codec
from services.resources.kv.domain import KV
from services.resources.kv.ports import KVQuotas, KVStore
from theory.api.resources.v1 import kv_pb2 as pb
from theory.api.resources.v1 import kv_pb2_grpc as rpc
from theory.wire.context import Context, current_grant


class KVServicer(rpc.KVServiceServicer):
    """Serves the keys of every plan."""

    def __init__(self, kv: KV, store: KVStore, quotas: KVQuotas) -> None:
        self._kv = kv
        self._capabilities = codec.capabilities_to_proto(store, quotas)

    async def GetCapabilities(
        self, request: pb.KVServiceGetCapabilitiesRequest, context: Context
    ) -> pb.KVServiceGetCapabilitiesResponse:
        return self._capabilities

    async def Get(self, request: pb.GetRequest, context: Context) -> pb.GetResponse:
        plan_id = codec.plan_id_from_proto(request.plan_id)
        return codec.values_to_proto(await self._kv.get_many(plan_id, request.keys, attempt=current_grant()))

    async def Put(self, request: pb.PutRequest, context: Context) -> pb.PutResponse:
        plan_id = codec.plan_id_from_proto(request.plan_id)
        answers = await self._kv.put_many(plan_id, codec.puts_from_proto(request), attempt=current_grant())
        return pb.PutResponse(statuses=codec.statuses_to_proto(answers))

    async def Delete(self, request: pb.DeleteRequest, context: Context) -> pb.DeleteResponse:
        plan_id = codec.plan_id_from_proto(request.plan_id)
        answers = await self._kv.delete_many(plan_id, request.keys, attempt=current_grant())
        return pb.DeleteResponse(statuses=codec.statuses_to_proto(answers))

    async def Incr(self, request: pb.IncrRequest, context: Context) -> pb.IncrResponse:
        plan_id = codec.plan_id_from_proto(request.plan_id)
        request_id = codec.request_id_from_proto(request.request_id)
        answers = await self._kv.incr_many(
            plan_id, codec.incrs_from_proto(request), request_id, attempt=current_grant()
        )
        return codec.sums_to_proto(answers)

    async def BeginPlan(self, request: pb.KVServiceBeginPlanRequest, context: Context) -> pb.KVServiceBeginPlanResponse:
        await self._kv.begin_plan(codec.plan_id_from_proto(request.plan_id), event_every=request.event_every)
        return pb.KVServiceBeginPlanResponse()

    async def EndPlan(self, request: pb.KVServiceEndPlanRequest, context: Context) -> pb.KVServiceEndPlanResponse:
        await self._kv.end_plan(codec.plan_id_from_proto(request.plan_id))
        return pb.KVServiceEndPlanResponse()
