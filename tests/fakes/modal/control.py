"""Client, environment, app: what the client asks for around the objects."""

# ruff: noqa: N802 - RPC names are the proto's

from google.protobuf.empty_pb2 import Empty
from modal_proto import api_pb2 as pb

from tests.fakes.modal.hub import Hub
from tests.fakes.modal.named import Named


class ControlHandlers:
    """RPCs of no object."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub)  # type: ignore[call-arg]
        self.apps: Named[None] = Named(hub, "App", "ap", lambda: None)

    async def ClientHello(self, request: Empty) -> pb.ClientHelloResponse:
        return pb.ClientHelloResponse()

    async def EnvironmentGetOrCreate(
        self, request: pb.EnvironmentGetOrCreateRequest
    ) -> pb.EnvironmentGetOrCreateResponse:
        name = request.deployment_name or "main"
        return pb.EnvironmentGetOrCreateResponse(
            environment_id=f"en-{name}",
            metadata=pb.EnvironmentMetadata(
                name=name, settings=pb.EnvironmentSettings(image_builder_version="2025.06")
            ),
        )

    async def AppGetOrCreate(self, request: pb.AppGetOrCreateRequest) -> pb.AppGetOrCreateResponse:
        app = self.apps.resolve(request.environment_name, request.app_name, request.object_creation_type)
        return pb.AppGetOrCreateResponse(
            app_id=app.object_id, handle_metadata=pb.AppHandleMetadata(app_id=app.object_id, description=app.name)
        )
