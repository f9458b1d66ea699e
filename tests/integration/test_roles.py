"""Who may do what, asked of the running installation: what is for services is denied to everyone else (I-84)."""

import grpc
import pytest

from services.artifacts.access import ACCESS as ARTIFACTS
from services.executor.access import ACCESS as EXECUTOR
from services.ledger.access import ACCESS as LEDGER
from services.registry.access import ACCESS as REGISTRY
from services.resources.access import ACCESS as RESOURCES
from tests.integration.processes import Installation
from theory.core.errors import Denied, Invalid, NotFound, TheoryError, Unauthenticated
from theory.wire.channel import call, connect
from theory.wire.identity import Role

_SHARED = pytest.mark.asyncio(loop_scope="session")
_TABLES = {"artifacts": ARTIFACTS, "executor": EXECUTOR, "ledger": LEDGER, "registry": REGISTRY, "resources": RESOURCES}
_FOR_SERVICES = [
    (service, method)
    for service, access in _TABLES.items()
    for method, scope in access.items()
    if Role.CLIENT not in scope
]


async def _refusal(channel: grpc.aio.Channel, method: str) -> TheoryError:
    with pytest.raises(TheoryError) as caught:
        await call(channel.unary_unary(method), b"", timeout_s=10)
    return caught.value


def test_there_is_something_to_deny() -> None:
    assert len(_FOR_SERVICES) == 18


@pytest.mark.parametrize(("service", "method"), _FOR_SERVICES, ids=[method for _, method in _FOR_SERVICES])
@_SHARED
async def test_a_client_may_not(installation: Installation, service: str, method: str) -> None:
    denied = await _refusal(installation.theory.channel(service), method)
    assert isinstance(denied, Denied)
    assert (denied.reason, denied.metadata) == ("ROLE_DENIED", {"method": method, "role": "client"})


@pytest.mark.parametrize(
    ("service", "method", "role"),
    [
        ("ledger", "/theory.api.ledger.v1.LedgerService/Claim", Role.ARTIFACTS),
        ("ledger", "/theory.api.ledger.v1.LedgerService/Settle", Role.RESOURCES),
        ("resources", "/theory.api.resources.v1.SecretService/Resolve", Role.REGISTRY),
        ("artifacts", "/theory.api.artifacts.v1.ArtifactsService/PrepareBindings", Role.LEDGER),
    ],
)
@_SHARED
async def test_another_service_may_not(installation: Installation, service: str, method: str, role: Role) -> None:
    async with connect(installation.processes.urls[service], token=installation.processes.token(role)) as channel:
        denied = await _refusal(channel, method)
    assert isinstance(denied, Denied)
    assert denied.metadata["role"] == role


@_SHARED
async def test_the_executor_may(installation: Installation) -> None:
    processes = installation.processes
    async with connect(processes.urls["ledger"], token=processes.token(Role.EXECUTOR)) as channel:
        refused = await _refusal(channel, "/theory.api.ledger.v1.LedgerService/Claim")
        assert isinstance(refused, Invalid | NotFound)


@_SHARED
async def test_a_token_of_another_installation_opens_nothing(installation: Installation) -> None:
    token = installation.processes.token(Role.EXECUTOR)
    forged = f"{token[:-1]}{'0' if token[-1] != '0' else '1'}"
    async with connect(installation.processes.urls["ledger"], token=forged) as channel:
        refused = await _refusal(channel, "/theory.api.ledger.v1.LedgerService/GetCapabilities")
        assert isinstance(refused, Unauthenticated)
        assert refused.reason == "TOKEN_INVALID"


@_SHARED
async def test_what_holds_the_installation_is_private(installation: Installation) -> None:
    for path in installation.processes.home.rglob("*"):
        if path.suffix in {".sock", ".key"}:
            assert path.stat().st_mode & 0o077 == 0, path
