"""Every method of every service has a scope, and the server grants what the tables say, to nobody else."""

import importlib
import pkgutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor

import theory.api
from services.executor.adapters.tokens import KeySigner
from theory.core.clock import SystemClock
from theory.core.errors import Invalid
from theory.core.grant import TOKEN_AUDIENCES, AttemptGrant
from theory.core.ids import ExecutionId, PlanId, SystemIds
from theory.core.world_path import WorldName
from theory.wire.access import methods_of, require_total
from theory.wire.attempts import AttemptTokens
from theory.wire.channel import connect
from theory.wire.identity import ANYONE, SERVICES, WITH_ATTEMPTS, Role, Scope, only
from theory.wire.server import ServiceUnit, running

_EXECUTOR = only(Role.EXECUTOR)

# What a table must not open by mistake: the scope of these is a promise of its own.
_PINNED: Mapping[str, Scope] = {
    "/theory.api.resources.v1.SecretService/Resolve": _EXECUTOR,
    "/theory.api.resources.v1.KVService/EndPlan": _EXECUTOR,
    "/theory.api.resources.v1.QueueService/EndPlan": _EXECUTOR,
    "/theory.api.artifacts.v1.ArtifactsService/PrepareBindings": only(Role.EXECUTOR, Role.ATTEMPT),
    "/theory.api.artifacts.v1.ArtifactsService/PinInputs": _EXECUTOR,
    "/theory.api.artifacts.v1.ArtifactsService/CommitBindings": _EXECUTOR,
    "/theory.api.artifacts.v1.ArtifactsService/AbortBindings": _EXECUTOR,
    "/theory.api.ledger.v1.LedgerService/OpenBudget": _EXECUTOR,
    "/theory.api.ledger.v1.LedgerService/Claim": _EXECUTOR,
    "/theory.api.ledger.v1.LedgerService/Settle": _EXECUTOR,
    "/theory.api.ledger.v1.LedgerService/Resolve": only(Role.EXECUTOR, Role.ARTIFACTS),
}

# All that an attempt may call; the whole rest of the installation is closed to it.
_FOR_ATTEMPTS: Mapping[str, frozenset[str]] = {
    "artifacts.v1.ArtifactsService": frozenset(
        {
            "GetCapabilities",
            "FindMissingBlobs",
            "PutBlobs",
            "GetBlobs",
            "UploadBlob",
            "DownloadBlob",
            "ComputeCid",
            "StatArtifacts",
            "ReadArtifacts",
            "ListArtifacts",
            "PrepareBindings",
        }
    ),
    "artifacts.v1.StreamsService": frozenset({"GetCapabilities", "AppendChunks", "ReadChunks", "GetStreamStatus"}),
    "resources.v1.KVService": frozenset({"GetCapabilities", "Get", "Put", "Delete", "Incr"}),
    "resources.v1.QueueService": frozenset(
        {"GetCapabilities", "Publish", "Consume", "Ack", "Nack", "Extend", "Redrive", "GetStats"}
    ),
}
_ATTEMPT = AttemptGrant(PlanId("p"), WorldName("p"), ExecutionId("p.t"), 0, 1, ())


def _services() -> dict[str, list[ServiceDescriptor]]:
    """Every service of every proto, by the name of what serves it: theory.api.<name>.v1."""
    found: dict[str, list[ServiceDescriptor]] = {}
    for module in pkgutil.walk_packages(theory.api.__path__, "theory.api."):
        if module.name.endswith("_pb2"):
            descriptor: FileDescriptor = importlib.import_module(module.name).DESCRIPTOR
            for service in descriptor.services_by_name.values():
                found.setdefault(module.name.split(".")[2], []).append(service)
    return found


_BY_OWNER = _services()


def _table(owner: str) -> Mapping[str, Scope]:
    return cast("Mapping[str, Scope]", importlib.import_module(f"services.{owner}.access").ACCESS)


def _methods(owner: str) -> list[str]:
    return [method for service in _BY_OWNER[owner] for method in methods_of(service)]


def test_all_five_services_are_seen() -> None:
    assert set(_BY_OWNER) == {"registry", "executor", "artifacts", "resources", "ledger"}


@pytest.mark.parametrize("owner", sorted(_BY_OWNER))
def test_every_method_has_a_scope_and_every_scope_a_method(owner: str) -> None:
    require_total(_table(owner), _methods(owner))


@pytest.mark.parametrize("owner", sorted(_BY_OWNER))
def test_a_method_left_out_is_noticed(owner: str) -> None:
    for method in _methods(owner):
        rest = {name: scope for name, scope in _table(owner).items() if name != method}
        with pytest.raises(Invalid) as caught:
            require_total(rest, _methods(owner))
        assert caught.value.reason == "CONFIG_INVALID"
        assert method in caught.value.message


def test_a_scope_without_a_method_is_noticed() -> None:
    with pytest.raises(Invalid):
        require_total({"/x.Y/Z": ANYONE}, [])


@pytest.mark.parametrize("owner", sorted(_BY_OWNER))
def test_a_scope_names_roles_and_is_never_empty(owner: str) -> None:
    for method, scope in _table(owner).items():
        assert scope, method
        assert scope <= WITH_ATTEMPTS, method


@pytest.mark.parametrize("method", sorted(_PINNED))
def test_what_is_promised_to_few_is_open_to_few(method: str) -> None:
    owner = method.split(".")[2]
    assert _table(owner)[method] == _PINNED[method]


def test_attempts_may_call_what_is_named_here_and_nothing_else() -> None:
    tables = {method: scope for owner in _BY_OWNER for method, scope in _table(owner).items()}
    named = {f"/theory.api.{service}/{name}" for service, names in _FOR_ATTEMPTS.items() for name in names}
    assert {method for method, scope in tables.items() if Role.ATTEMPT in scope} == named


def test_anyone_is_no_attempt() -> None:
    assert Role.ATTEMPT not in ANYONE | SERVICES


def test_events_are_appended_by_services_alone() -> None:
    assert _table("ledger")["/theory.api.ledger.v1.LedgerService/AppendEvents"] <= SERVICES


@pytest.mark.parametrize("owner", sorted(_BY_OWNER))
async def test_the_server_grants_each_method_to_its_scope_alone(owner: str, tmp_path: Path) -> None:
    published, clock = tmp_path / "keys", SystemClock()
    signer = KeySigner(tmp_path / "key", published, clock=clock, ids=SystemIds())
    token = (await signer.sign(_ATTEMPT)).text.reveal()
    attempts = AttemptTokens(published, audience=owner, clock=clock) if owner in TOKEN_AUDIENCES else None
    unit = ServiceUnit(owner, _table(owner), lambda server: _register_empty(owner, server), attempts=attempts)
    granted: dict[str, set[Role]] = {}
    async with running([unit]) as server, connect(server.url, token=token) as attempt:
        channels = {role: server.channel(role) for role in ANYONE} | {Role.ATTEMPT: attempt}
        for method, kind in _kinds(owner):
            granted[method] = {role for role in Role if await _passes(channels[role], method, kind)}
    assert granted == {method: set(scope) for method, scope in _table(owner).items()}


def _kinds(owner: str) -> list[tuple[str, str]]:
    return [
        (f"/{service.full_name}/{method.name}", _kind(method))
        for service in _BY_OWNER[owner]
        for method in service.methods
    ]


def _kind(method: Any) -> str:
    return "_".join("stream" if streams else "unary" for streams in (method.client_streaming, method.server_streaming))


def _register_empty(owner: str, server: grpc.aio.Server) -> None:
    """Handlers that answer with an empty message, of the right shape."""

    async def one(_request: Any, _context: Any) -> bytes:
        return b""

    for service in _BY_OWNER[owner]:
        handlers = {}
        for method in service.methods:
            kind = _kind(method)
            make = getattr(grpc, f"{kind}_rpc_method_handler")
            handlers[method.name] = make(_nothing if kind.endswith("stream") else one)
        server.add_registered_method_handlers(service.full_name, handlers)


async def _passes(channel: grpc.aio.Channel, method: str, kind: str) -> bool:
    call = getattr(channel, kind)(method)(_nothing() if kind.startswith("stream") else b"", timeout=10)
    try:
        if kind.endswith("stream"):
            async for _ in call:
                pass
        else:
            await call
    except grpc.aio.AioRpcError as error:
        # The token of an attempt proves nothing at all where no attempt may call.
        if error.code() not in {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED}:
            raise
        return False
    return True


async def _nothing(*_: object) -> AsyncIterator[bytes]:
    for each in list[bytes]():
        yield each
