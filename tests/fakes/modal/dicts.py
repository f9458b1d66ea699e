"""Dict: entries that expire when nobody reads or writes them for a week; put-if-absent and pop are atomic."""

# ruff: noqa: N802 - RPC names are the proto's

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from google.protobuf.empty_pb2 import Empty
from grpclib import GRPCError, Status
from modal_proto import api_pb2 as pb

from tests.fakes.modal.hub import Hub
from tests.fakes.modal.named import Entry, Named

IDLE_S = 7 * 86_400.0
MAX_ENTRIES = 10_000
"""Of one update."""


@dataclass
class Value:
    """What a key holds."""

    data: bytes
    touched: float


@dataclass
class DictObject:
    """Keys and values as the client serialised them."""

    values: dict[bytes, Value] = field(default_factory=dict)

    def get(self, key: bytes, now: float) -> Value | None:
        found = self.values.get(key)
        if found is None or now - found.touched >= IDLE_S:
            self.values.pop(key, None)
            return None
        found.touched = now  # a read counts, too
        return found

    def put(self, key: bytes, data: bytes, now: float, *, only_if_absent: bool) -> bool:
        """Whether the key is new."""
        found = self.get(key, now)
        if found is None or not only_if_absent:
            self.values[key] = Value(data, now)
        return found is None


class DictHandlers:
    """RPCs of Dict."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)  # type: ignore[call-arg]
        self._hub = hub
        self.dicts: Named[DictObject] = Named(hub, "Dict", "di", DictObject)

    async def DictGetOrCreate(self, request: pb.DictGetOrCreateRequest) -> pb.DictGetOrCreateResponse:
        found = self.dicts.resolve(request.environment_name, request.deployment_name, request.object_creation_type)
        return pb.DictGetOrCreateResponse(dict_id=found.object_id, metadata=_metadata(found))

    async def DictList(self, request: pb.DictListRequest) -> pb.DictListResponse:
        page = self.dicts.page(request.environment_name, request.pagination)
        infos = [pb.DictListResponse.DictInfo(name=e.name, dict_id=e.object_id, metadata=_metadata(e)) for e in page]
        return pb.DictListResponse(dicts=infos, environment_name=request.environment_name)

    async def DictUpdate(self, request: pb.DictUpdateRequest) -> pb.DictUpdateResponse:
        held = self.dicts.get(request.dict_id).thing
        if len(request.updates) > MAX_ENTRIES:
            raise GRPCError(Status.INVALID_ARGUMENT, f"at most {MAX_ENTRIES} entries in one update")
        absent, now = request.if_not_exists, self._hub.now()
        new = [held.put(each.key, each.value, now, only_if_absent=absent) for each in request.updates]
        return pb.DictUpdateResponse(created=all(new) if absent else True)

    async def DictGet(self, request: pb.DictGetRequest) -> pb.DictGetResponse:
        found = self.dicts.get(request.dict_id).thing.get(request.key, self._hub.now())
        return pb.DictGetResponse(found=found is not None, value=found.data if found else None)

    async def DictContains(self, request: pb.DictContainsRequest) -> pb.DictContainsResponse:
        found = self.dicts.get(request.dict_id).thing.get(request.key, self._hub.now())
        return pb.DictContainsResponse(found=found is not None)

    async def DictPop(self, request: pb.DictPopRequest) -> pb.DictPopResponse:
        held = self.dicts.get(request.dict_id).thing
        found = held.get(request.key, self._hub.now())
        held.values.pop(request.key, None)
        return pb.DictPopResponse(found=found is not None, value=found.data if found else None)

    async def DictContents(self, request: pb.DictContentsRequest) -> AsyncIterator[pb.DictEntry]:
        edge = self._hub.now() - IDLE_S
        held = self.dicts.get(request.dict_id).thing
        for key, value in list(held.values.items()):
            if value.touched > edge:  # to list is not to read
                yield pb.DictEntry(key=key, value=value.data if request.values else b"")

    async def DictDelete(self, request: pb.DictDeleteRequest) -> Empty:
        self.dicts.delete(request.dict_id)
        return Empty()


def _metadata(entry: Entry[DictObject]) -> pb.DictMetadata:
    return pb.DictMetadata(name=entry.name, creation_info=entry.creation_info)
