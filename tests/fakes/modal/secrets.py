"""Secret: names of keys come out, values never do."""

# ruff: noqa: N802 - RPC names are the proto's

from dataclasses import dataclass, field

from google.protobuf.empty_pb2 import Empty
from grpclib import GRPCError, Status
from modal_proto import api_pb2 as pb

from tests.fakes.modal.hub import Hub
from tests.fakes.modal.named import Entry, Named


@dataclass
class SecretObject:
    """Values by key."""

    values: dict[str, str] = field(default_factory=dict)


class SecretHandlers:
    """RPCs of Secret."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)  # type: ignore[call-arg]
        self._hub = hub
        self.secrets: Named[SecretObject] = Named(hub, "Secret", "st", SecretObject)

    async def SecretGetOrCreate(self, request: pb.SecretGetOrCreateRequest) -> pb.SecretGetOrCreateResponse:
        known = set(self.secrets.by_id)
        found = self.secrets.resolve(request.environment_name, request.deployment_name, request.object_creation_type)
        if found.object_id not in known:
            found.thing.values = dict(request.env_dict)
        if missing := sorted(set(request.required_keys) - found.thing.values.keys()):
            raise GRPCError(Status.NOT_FOUND, f"the Secret lacks {', '.join(missing)}")
        return pb.SecretGetOrCreateResponse(secret_id=found.object_id, metadata=_metadata(found))

    async def SecretUpdate(self, request: pb.SecretUpdateRequest) -> Empty:
        values = self.secrets.get(request.secret_id).thing.values
        for each in request.updates:
            if each.HasField("value"):
                values[each.key] = each.value
            else:
                values.pop(each.key, None)
        return Empty()

    async def SecretList(self, request: pb.SecretListRequest) -> pb.SecretListResponse:
        page = self.secrets.page(request.environment_name, request.pagination)
        items = [pb.SecretListItem(label=e.name, secret_id=e.object_id, metadata=_metadata(e)) for e in page]
        return pb.SecretListResponse(items=items, environment_name=request.environment_name)

    async def SecretDelete(self, request: pb.SecretDeleteRequest) -> Empty:
        self.secrets.delete(request.secret_id)
        return Empty()


def _metadata(entry: Entry[SecretObject]) -> pb.SecretMetadata:
    return pb.SecretMetadata(
        name=entry.name,
        creation_info=entry.creation_info,
        keys=sorted(entry.thing.values),
        environment_name=entry.environment,
    )
