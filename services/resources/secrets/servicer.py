"""The wire face of secrets: decode, call, encode."""

from services.resources.secrets import codec
from services.resources.secrets.domain import Secrets
from services.resources.secrets.ports import SecretSource
from theory.api.resources.v1 import secret_pb2 as pb
from theory.api.resources.v1 import secret_pb2_grpc as rpc
from theory.wire.context import Context


class SecretServicer(rpc.SecretServiceServicer):
    """Serves names and tags to everyone; the access table keeps `Resolve` and `Bind` for the executor."""

    def __init__(self, secrets: Secrets, source: SecretSource) -> None:
        self._secrets = secrets
        self._capabilities = codec.capabilities_to_proto(source)

    async def GetCapabilities(
        self, request: pb.SecretServiceGetCapabilitiesRequest, context: Context
    ) -> pb.SecretServiceGetCapabilitiesResponse:
        return self._capabilities

    async def Check(self, request: pb.CheckRequest, context: Context) -> pb.CheckResponse:
        return codec.tags_to_proto(await self._secrets.check(request.names))

    async def Resolve(
        self, request: pb.SecretServiceResolveRequest, context: Context
    ) -> pb.SecretServiceResolveResponse:
        return codec.values_to_proto(await self._secrets.resolve(request.names))

    async def Bind(self, request: pb.BindRequest, context: Context) -> pb.BindResponse:
        return codec.references_to_proto(await self._secrets.bind(request.names))
