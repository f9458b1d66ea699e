"""Protobuf to the words of keys, and back."""

from collections.abc import Iterable, Sequence

from services.resources.kv.ports import MAX_ITEMS, MAX_KEY_BYTES, MAX_VALUE_BYTES, KVQuotas, KVStore
from theory.api.core.v1.item_status_pb2 import ItemStatus
from theory.api.resources.v1 import kv_pb2 as pb
from theory.core.adapters import KVIncr, KVPut, KVValue
from theory.core.errors import TheoryError
from theory.core.ids import PlanId, RequestId
from theory.wire.moments import write_timestamp
from theory.wire.status import item_ok, item_status

_OK = item_ok()


def plan_id_from_proto(plan_id: str) -> str:
    """The id, checked."""
    return PlanId.parse(plan_id).text


def request_id_from_proto(request_id: str) -> str | None:
    """The id, checked; None where it is empty."""
    return RequestId.parse(request_id).text if request_id else None


def puts_from_proto(request: pb.PutRequest) -> Sequence[KVPut]:
    """The writes of a request."""
    return [KVPut(item.key, item.value, item.ttl_s if item.HasField("ttl_s") else None) for item in request.items]


def incrs_from_proto(request: pb.IncrRequest) -> Sequence[KVIncr]:
    """The additions of a request."""
    return [
        KVIncr(item.key, item.by if item.HasField("by") else 1, item.ttl_s if item.HasField("ttl_s") else None)
        for item in request.items
    ]


def values_to_proto(answers: Iterable[KVValue | TheoryError | None]) -> pb.GetResponse:
    """One result per key."""
    response = pb.GetResponse()
    add = response.results.add
    # Field by field, and OK as what it is, an empty message: half the price of handing them over.
    for answer in answers:
        result = add()
        if isinstance(answer, TheoryError):
            result.status.CopyFrom(item_status(answer))
            continue
        result.status.SetInParent()
        if answer is not None:
            result.value = answer.value
            if answer.expire_time is not None:
                write_timestamp(answer.expire_time, result.expire_time)
    return response


def sums_to_proto(answers: Iterable[int | TheoryError]) -> pb.IncrResponse:
    """One result per addition."""
    response = pb.IncrResponse()
    add = response.results.add
    for answer in answers:
        result = add()
        if isinstance(answer, TheoryError):
            result.status.CopyFrom(item_status(answer))
        else:
            result.status.SetInParent()
            result.value = answer
    return response


def statuses_to_proto(answers: Iterable[TheoryError | None]) -> Sequence[ItemStatus]:
    """One status per item."""
    return [_OK if answer is None else item_status(answer) for answer in answers]


def capabilities_to_proto(store: KVStore, quotas: KVQuotas) -> pb.KVServiceGetCapabilitiesResponse:
    """What the store is, and the limits."""
    return pb.KVServiceGetCapabilitiesResponse(
        adapter=store.kind,
        durable=store.durable,
        features=sorted(pb.KVFeature.Value(f"KV_FEATURE_{each}") for each in store.features),
        max_plan_keys=quotas.keys,
        max_plan_bytes=quotas.size_bytes,
        max_key_bytes=MAX_KEY_BYTES,
        max_value_bytes=MAX_VALUE_BYTES,
        max_batch_items=MAX_ITEMS,
    )
