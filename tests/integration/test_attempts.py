"""A token of an attempt in a running installation: taken where attempts may call, found without any setting (I-138)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest

from services.executor.adapters.tokens import KeySigner
from tests.integration.processes import SERVICES, Installation
from theory.core.clock import SystemClock
from theory.core.errors import Denied, NotFound, TheoryError, Unauthenticated
from theory.core.grant import TOKEN_AUDIENCES, AttemptGrant
from theory.core.ids import ExecutionId, PlanId, SystemIds
from theory.core.world_path import WorldName, WorldPath
from theory.sdk.artifacts import ArtifactsClient
from theory.sdk.kv import KVClient
from theory.wire.channel import call, connect

_SHARED = pytest.mark.asyncio(loop_scope="session")
_GRANT = AttemptGrant(PlanId("p-token"), WorldName("p-token"), ExecutionId("p-token.a"), 0, 1, ())
_CAPABILITIES = {
    "registry": "/theory.api.registry.v1.RegistryService/GetCapabilities",
    "executor": "/theory.api.executor.v1.ExecutorService/GetCapabilities",
    "artifacts": "/theory.api.artifacts.v1.ArtifactsService/GetCapabilities",
    "resources": "/theory.api.resources.v1.KVService/GetCapabilities",
    "ledger": "/theory.api.ledger.v1.LedgerService/GetCapabilities",
}


@asynccontextmanager
async def _channel(installation: Installation, service: str, *, spoil: bool = False) -> AsyncIterator[grpc.aio.Channel]:
    home = installation.processes.home
    key, published = home / "executor" / "attempts.key", home / "attempts.jwks.json"
    signer = KeySigner(key, published, clock=SystemClock(), ids=SystemIds())
    token = (await signer.sign(_GRANT)).text.reveal()
    at = len(token) // 2
    sent = f"{token[:at]}{'A' if token[at] != 'A' else 'B'}{token[at + 1 :]}" if spoil else token
    async with connect(installation.processes.urls[service], token=sent) as channel:
        yield channel


async def _refused(channel: grpc.aio.Channel, method: str) -> TheoryError:
    with pytest.raises(TheoryError) as caught:
        await call(channel.unary_unary(method), b"", timeout_s=10)
    return caught.value


@pytest.mark.parametrize("service", SERVICES)
@_SHARED
async def test_a_token_is_for_the_services_that_attempts_use(installation: Installation, service: str) -> None:
    async with _channel(installation, service) as channel:
        method = _CAPABILITIES[service]
        if service in TOKEN_AUDIENCES:
            await call(channel.unary_unary(method), b"", timeout_s=10)
        else:
            refused = await _refused(channel, method)
            assert isinstance(refused, Unauthenticated)
            assert refused.reason == "TOKEN_INVALID"


@pytest.mark.parametrize("service", TOKEN_AUDIENCES)
@_SHARED
async def test_a_token_that_was_changed_is_refused(installation: Installation, service: str) -> None:
    async with _channel(installation, service, spoil=True) as channel:
        refused = await _refused(channel, _CAPABILITIES[service])
    assert isinstance(refused, Unauthenticated)


@_SHARED
async def test_with_it_the_caller_is_the_attempt_and_not_a_client(installation: Installation) -> None:
    async with _channel(installation, "resources") as channel:
        kv = KVClient(channel)
        await kv.put(plan_id="p-token", key="a", value=b"1")
        assert await kv.get(plan_id="p-token", key="a") == b"1"
        with pytest.raises(Denied):
            await kv.get(plan_id="p-other", key="a")
    async with _channel(installation, "artifacts") as channel:
        with pytest.raises(NotFound):
            await ArtifactsClient(channel).stat(_GRANT.world, WorldPath("/artifacts/a"))


@_SHARED
async def test_the_key_is_private_and_the_public_one_is_not(installation: Installation) -> None:
    async with _channel(installation, "resources"):
        home = installation.processes.home
    assert (home / "executor" / "attempts.key").stat().st_mode & 0o077 == 0
    assert (home / "attempts.jwks.json").stat().st_mode & 0o444 == 0o444
