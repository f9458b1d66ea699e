"""Whether services answer, and whether they are ready: the standard health protocol of gRPC."""

from collections.abc import Mapping
from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc

from theory.core.errors import TheoryError
from theory.sdk.client import Theory
from theory.wire.channel import call

GRPC_NAMES: Mapping[str, tuple[str, ...]] = {
    "registry": ("theory.api.registry.v1.RegistryService",),
    "executor": ("theory.api.executor.v1.ExecutorService",),
    "artifacts": ("theory.api.artifacts.v1.ArtifactsService",),
    "resources": (
        "theory.api.resources.v1.KVService",
        "theory.api.resources.v1.QueueService",
        "theory.api.resources.v1.SecretService",
    ),
    "ledger": ("theory.api.ledger.v1.LedgerService",),
}
"""The names by which a service's health is asked for."""

_PATIENCE_S = 3.0


async def serving(theory: Theory, service: str) -> bool:
    """Whether `service` says that it can do its work; raises `TheoryError` where it does not answer or is not there."""
    for name in GRPC_NAMES[service]:
        if not await _serving(theory, service, name):
            return False
    return True


async def ready(theory: Theory, service: str) -> bool:
    """Whether everything behind the address of `service` is ready; False where nothing answers."""
    try:
        return await _serving(theory, service, "ready")
    except (TheoryError, TimeoutError):
        return False


async def _serving(theory: Theory, service: str, name: str) -> bool:
    stub: Any = health_pb2_grpc.HealthStub(theory.channel(service))  # its types know no methods
    answer = await call(stub.Check, health_pb2.HealthCheckRequest(service=name), timeout_s=_PATIENCE_S)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
