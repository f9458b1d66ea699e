"""Queue: partitions of items that a get takes away, for good, whether its reply arrives or not."""

# ruff: noqa: N802 - RPC names are the proto's

import asyncio
from collections import deque
from dataclasses import dataclass, field

from google.protobuf.empty_pb2 import Empty
from grpclib import GRPCError, Status
from modal_proto import api_pb2 as pb

from tests.fakes.modal.hub import Hub
from tests.fakes.modal.named import Entry, Named

MAX_ITEMS = 5_000
MAX_ITEM_BYTES = 1 << 20
MAX_PARTITION_BYTES = 64 << 20
MAX_PARTITION_KEY_BYTES = 64
PARTITION_S = 86_400.0


@dataclass
class Partition:
    """Items of one partition, first in, first out."""

    items: deque[tuple[int, bytes]] = field(default_factory=deque)
    count: int = 0
    expires: float = float("inf")
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def refresh(self, now: float) -> None:
        if now >= self.expires:
            self.items.clear()
            self.expires = float("inf")

    async def put(self, values: list[bytes], now: float, ttl_s: float) -> None:
        if any(len(value) > MAX_ITEM_BYTES for value in values):
            raise GRPCError(Status.INVALID_ARGUMENT, "an item is over 1 MiB")
        async with self.changed:
            self.refresh(now)
            weight = sum(len(value) for _, value in self.items) + sum(map(len, values))
            if len(self.items) + len(values) > MAX_ITEMS or weight > MAX_PARTITION_BYTES:
                raise GRPCError(Status.RESOURCE_EXHAUSTED, "the partition is full")
            for value in values:
                self.count += 1
                self.items.append((self.count, value))
            self.expires = now + ttl_s
            self.changed.notify_all()

    async def take(self, count: int, now: float, timeout_s: float) -> list[bytes]:
        async with self.changed:
            self.refresh(now)
            await self._wait(timeout_s, 0)
            return [self.items.popleft()[1] for _ in range(min(count, len(self.items)))]

    async def behind(self, last: int, now: float, timeout_s: float) -> list[tuple[int, bytes]]:
        async with self.changed:
            self.refresh(now)
            await self._wait(timeout_s, last)
            return [(number, value) for number, value in self.items if number > last][:100]

    async def _wait(self, timeout_s: float, last: int) -> None:
        def something() -> bool:
            return any(number > last for number, _ in self.items)

        if timeout_s > 0 and not something():
            try:
                async with asyncio.timeout(timeout_s):
                    await self.changed.wait_for(something)
            except TimeoutError:
                return


@dataclass
class QueueObject:
    """Partitions by key."""

    partitions: dict[bytes, Partition] = field(default_factory=dict)

    def partition(self, key: bytes) -> Partition:
        if len(key) > MAX_PARTITION_KEY_BYTES:
            raise GRPCError(Status.INVALID_ARGUMENT, "a partition key has at most 64 bytes")
        return self.partitions.setdefault(key, Partition())


class QueueHandlers:
    """RPCs of Queue."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)  # type: ignore[call-arg]
        self._hub = hub
        self.queues: Named[QueueObject] = Named(hub, "Queue", "qu", QueueObject)

    async def QueueGetOrCreate(self, request: pb.QueueGetOrCreateRequest) -> pb.QueueGetOrCreateResponse:
        found = self.queues.resolve(request.environment_name, request.deployment_name, request.object_creation_type)
        return pb.QueueGetOrCreateResponse(queue_id=found.object_id, metadata=_metadata(found))

    async def QueuePut(self, request: pb.QueuePutRequest) -> Empty:
        partition = self.queues.get(request.queue_id).thing.partition(request.partition_key)
        await partition.put(list(request.values), self._hub.now(), request.partition_ttl_seconds or PARTITION_S)
        return Empty()

    async def QueueGet(self, request: pb.QueueGetRequest) -> pb.QueueGetResponse:
        partition = self.queues.get(request.queue_id).thing.partition(request.partition_key)
        return pb.QueueGetResponse(values=await partition.take(request.n_values or 1, self._hub.now(), request.timeout))

    async def QueueNextItems(self, request: pb.QueueNextItemsRequest) -> pb.QueueNextItemsResponse:
        partition = self.queues.get(request.queue_id).thing.partition(request.partition_key)
        last = int(request.last_entry_id or 0)
        items = await partition.behind(last, self._hub.now(), request.item_poll_timeout)
        return pb.QueueNextItemsResponse(
            items=[pb.QueueItem(entry_id=str(number), value=value) for number, value in items]
        )

    async def QueueLen(self, request: pb.QueueLenRequest) -> pb.QueueLenResponse:
        held = self.queues.get(request.queue_id).thing
        chosen = list(held.partitions.values()) if request.total else [held.partition(request.partition_key)]
        for each in chosen:
            each.refresh(self._hub.now())
        return pb.QueueLenResponse(len=sum(len(each.items) for each in chosen))

    async def QueueDelete(self, request: pb.QueueDeleteRequest) -> Empty:
        self.queues.delete(request.queue_id)
        return Empty()


def _metadata(entry: Entry[QueueObject]) -> pb.QueueMetadata:
    return pb.QueueMetadata(name=entry.name, creation_info=entry.creation_info)
