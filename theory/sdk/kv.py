"""The client of keys: single calls that travel in batches, and the batches themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC

import grpc

from theory.api.resources.v1 import kv_pb2
from theory.api.resources.v1.kv_pb2_grpc import KVServiceStub
from theory.core.adapters import KVIncr, KVPut, KVValue
from theory.core.errors import Invalid, TheoryError
from theory.sdk import sendable
from theory.sdk.places import PlaceCoalescer
from theory.sdk.rpc import answers, features_of, fitting, outcomes
from theory.wire.channel import call

MAX_ITEMS = 1_000
MAX_BATCH_BYTES = 6 * 1024 * 1024

_ITEM_BYTES = 32
_LONGEST_CHARACTER_BYTES = 4


@dataclass(frozen=True, slots=True)
class KVCapabilities:
    """What the store is, and the limits it keeps."""

    adapter: str
    durable: bool
    max_key_bytes: int
    max_value_bytes: int
    max_batch_items: int
    features: frozenset[str]
    """What it offers beyond the common promises, such as `REQUEST_IDS`."""
    max_plan_keys: int
    max_plan_bytes: int


class KVClient:
    """`theory.core.adapters.KVAdapter` over the wire. Raises only `TheoryError`, or `TimeoutError`.

    Single calls of one turn of the event loop, for one plan, make one RPC. The batch forms take any number of items and
    send as many RPCs as they need, one after the other.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = KVServiceStub(channel)
        self._get = PlaceCoalescer(self._values, max_items=MAX_ITEMS)
        self._put = PlaceCoalescer(self.put_many, max_items=MAX_ITEMS, max_bytes=MAX_BATCH_BYTES, size_of=_size_of)
        self._delete = PlaceCoalescer(self.delete_many, max_items=MAX_ITEMS)
        self._incr = PlaceCoalescer(self.incr_many, max_items=MAX_ITEMS)

    async def capabilities(self) -> KVCapabilities:
        """What the store is, and the limits it keeps."""
        found = await call(self._stub.GetCapabilities, kv_pb2.KVServiceGetCapabilitiesRequest())
        return KVCapabilities(
            found.adapter,
            found.durable,
            found.max_key_bytes,
            found.max_value_bytes,
            found.max_batch_items,
            features_of(kv_pb2.KVFeature.items(), found.features, "KV_FEATURE_"),
            found.max_plan_keys,
            found.max_plan_bytes,
        )

    async def get(self, *, plan_id: str, key: str) -> bytes | None:
        """The value; None where the key is absent or has expired."""
        return await self._get(plan_id, key)

    async def put(self, *, plan_id: str, key: str, value: bytes, ttl_s: int | None = None) -> None:
        """Set the value. It expires after `ttl_s` seconds; without one it never does, and an earlier end is cleared."""
        await self._put(plan_id, KVPut(key, value, ttl_s))

    async def delete(self, *, plan_id: str, key: str) -> None:
        """Forget the key; an absent one is fine."""
        await self._delete(plan_id, key)

    async def incr(self, *, plan_id: str, key: str, by: int = 1, ttl_s: int | None = None) -> int:
        """Add to a counter and return the sum; `ttl_s` applies only where this creates the key.

        Sent once: after `Unavailable` or `TimeoutError` nobody knows whether it was added. `incr_many` with a
        `request_id` can be repeated.
        """
        return await self._incr(plan_id, KVIncr(key, by, ttl_s))

    async def get_many(self, plan_id: str, keys: Sequence[str]) -> list[KVValue | TheoryError | None]:
        """`get` of each key, with its end. `Exhausted` (`REPLY_FULL`) for an item that no longer fits the answer."""
        return await sendable.ask(keys, _key_fault, lambda sound: self._get_sound(plan_id, sound))

    async def put_many(self, plan_id: str, items: Sequence[KVPut]) -> list[TheoryError | None]:
        """`put` of each item; of two writes of a key the later one stays."""
        return await sendable.ask(items, _put_fault, lambda sound: self._put_sound(plan_id, sound))

    async def delete_many(self, plan_id: str, keys: Sequence[str]) -> list[TheoryError | None]:
        """`delete` of each key."""
        return await sendable.ask(keys, _key_fault, lambda sound: self._delete_sound(plan_id, sound))

    async def incr_many(
        self, plan_id: str, items: Sequence[KVIncr], request_id: str | None = None
    ) -> list[int | TheoryError]:
        """`incr` of each item, in order, in one RPC: at most 1,000, else `Invalid` (`BATCH_SIZE`).

        With a `request_id` a repeat answers as the first call did and adds nothing; `AlreadyExists`
        (`REQUEST_ID_TAKEN`) where the id came with other items.
        """
        if request_id is not None and not sendable.is_text(request_id):
            raise Invalid("ID_INVALID", "a request_id is no Unicode text", field="request_id")
        return await sendable.ask(items, _incr_fault, lambda sound: self._incr_sound(plan_id, sound, request_id))

    async def begin_plan(self, plan_id: str, *, event_every: int = 0) -> None:
        """Make each `event_every`-th change an event of the plan's chain; 0 for none. For the executor's identity."""
        _require_plan_id(plan_id)
        if event_every not in sendable.INT32:
            raise Invalid("EVENT_SAMPLING_INVALID", "event_every is out of range", min="0", max="1000000")
        request = kv_pb2.KVServiceBeginPlanRequest(plan_id=plan_id, event_every=event_every)
        await call(self._stub.BeginPlan, request)

    async def end_plan(self, plan_id: str) -> None:
        """Forget every key of the plan, and take none any more. For the executor's identity."""
        _require_plan_id(plan_id)
        await call(self._stub.EndPlan, kv_pb2.KVServiceEndPlanRequest(plan_id=plan_id))

    async def _values(self, plan_id: str, keys: Sequence[str]) -> list[bytes | TheoryError | None]:
        return [each.value if isinstance(each, KVValue) else each for each in await self.get_many(plan_id, keys)]

    async def _get_sound(self, plan_id: str, keys: Sequence[str]) -> list[KVValue | TheoryError | None]:
        _require_plan_id(plan_id)
        found: list[KVValue | TheoryError | None] = []
        for batch in fitting(keys, max_items=MAX_ITEMS):
            response = await call(self._stub.Get, kv_pb2.GetRequest(plan_id=plan_id, keys=batch))
            found += answers(response.results, _value)
        return found

    async def _put_sound(self, plan_id: str, items: Sequence[KVPut]) -> list[TheoryError | None]:
        _require_plan_id(plan_id)
        ended: list[TheoryError | None] = []
        for batch in fitting(items, max_items=MAX_ITEMS, max_bytes=MAX_BATCH_BYTES, size_of=_size_of):
            request = kv_pb2.PutRequest(plan_id=plan_id)
            for item in batch:
                request.items.add(key=item.key, value=item.value, ttl_s=item.ttl_s)
            ended += outcomes((await call(self._stub.Put, request)).statuses)
        return ended

    async def _delete_sound(self, plan_id: str, keys: Sequence[str]) -> list[TheoryError | None]:
        _require_plan_id(plan_id)
        ended: list[TheoryError | None] = []
        for batch in fitting(keys, max_items=MAX_ITEMS):
            response = await call(self._stub.Delete, kv_pb2.DeleteRequest(plan_id=plan_id, keys=batch))
            ended += outcomes(response.statuses)
        return ended

    async def _incr_sound(
        self, plan_id: str, items: Sequence[KVIncr], request_id: str | None
    ) -> list[int | TheoryError]:
        _require_plan_id(plan_id)
        request = kv_pb2.IncrRequest(plan_id=plan_id, request_id=request_id or "")
        for item in items:
            request.items.add(key=item.key, by=item.by, ttl_s=item.ttl_s)
        return answers((await call(self._stub.Incr, request)).results, lambda result: result.value)


def _value(result: kv_pb2.GetResponse.Result) -> KVValue | None:
    if not result.HasField("value"):
        return None
    return KVValue(result.value, result.expire_time.ToDatetime(UTC) if result.HasField("expire_time") else None)


def _size_of(item: KVPut) -> int:
    return len(item.value) + _LONGEST_CHARACTER_BYTES * len(item.key) + _ITEM_BYTES


def _require_plan_id(plan_id: str) -> None:
    if not sendable.is_text(plan_id):
        raise Invalid("ID_INVALID", "a plan_id is no Unicode text", field="plan_id")


def _key_fault(key: str) -> Invalid | None:
    return None if sendable.is_text(key) else Invalid("KEY_INVALID", "a key is Unicode text", rule="utf8")


def _put_fault(item: KVPut) -> Invalid | None:
    return _key_fault(item.key) or _ttl_fault(item.ttl_s)


def _incr_fault(item: KVIncr) -> Invalid | None:
    if item.by not in sendable.INT64:
        return Invalid("FIELD_INVALID", "an addition is an int64", field="by")
    return _key_fault(item.key) or _ttl_fault(item.ttl_s)


def _ttl_fault(ttl_s: int | None) -> Invalid | None:
    if ttl_s is None or ttl_s in sendable.INT32:
        return None
    return Invalid("TTL_INVALID", "a time to live is a number of seconds below 2^31", min="1", max=str(31_536_000))
