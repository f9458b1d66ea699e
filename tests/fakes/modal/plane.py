"""The control plane: every kind of object behind one service. Another kind is another class of handlers."""

from collections.abc import Mapping

from grpclib import GRPCError, Status
from modal_proto.api_grpc import ModalClientBase

from tests.fakes.modal.control import ControlHandlers
from tests.fakes.modal.dicts import DictHandlers
from tests.fakes.modal.queues import QueueHandlers
from tests.fakes.modal.rpc import Service
from tests.fakes.modal.sandboxes import SandboxHandlers
from tests.fakes.modal.volumes import VolumeHandlers


class ControlPlane(ControlHandlers, DictHandlers, QueueHandlers, SandboxHandlers, VolumeHandlers, Service):
    """Whoever has the token may call everything."""

    BASE = ModalClientBase

    def authorize(self, rpc: str, meta: Mapping[str, str]) -> None:
        if (meta.get("x-modal-token-id"), meta.get("x-modal-token-secret")) != self.hub.token:
            raise GRPCError(Status.UNAUTHENTICATED, "the token is not valid")
