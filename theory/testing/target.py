"""A server anywhere as a target: its address, the identities that a home can prove, and what the server says it is."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import grpc

from theory.api.artifacts.v1 import artifacts_pb2
from theory.api.artifacts.v1.artifacts_pb2_grpc import ArtifactsServiceStub
from theory.core.cid import Cid
from theory.core.errors import Denied, TheoryError, Unauthenticated, Unsupported
from theory.core.presign import BlobPut
from theory.sdk.artifacts import ArtifactsClient
from theory.sdk.executor import ExecutorClient
from theory.sdk.kv import KVClient
from theory.sdk.ledger import LedgerClient
from theory.sdk.queue import QueueClient
from theory.sdk.registry import RegistryClient
from theory.sdk.secrets import SecretsClient
from theory.sdk.streams import StreamsClient
from theory.sdk.volumes import VolumesClient
from theory.testing.case import Lacking, Target
from theory.testing.cases.secrets import SEEDED
from theory.wire.channel import IdentifiedChannel, call, connect
from theory.wire.identity import ANYONE, Role, ServiceKeys

SMALL_PLAN_ITEMS = 2_000
SMALL_PLAN_BYTES = 32 << 20
"""Quotas up to these figures can be reached by a case."""

_REACHED_S = 5.0


@dataclass(frozen=True, slots=True)
class Offer:
    """What a server says of one primitive."""

    adapter: str
    durable: bool | None
    """Whether what it answered survives a crash; None where the primitive has no such figure."""
    capabilities: frozenset[str]
    slack_s: int = 0


@dataclass(frozen=True, slots=True)
class Opened:
    """A target, and what was found out about it."""

    target: Target
    offer: Offer
    roles: tuple[Role, ...]
    """The identities that can be proven there."""


@asynccontextmanager
async def opened(url: str, primitive: str, keys: ServiceKeys | None) -> AsyncIterator[Opened]:
    """The server at `url`, asked what it can do.

    With the `keys` of its installation cases speak in every role. Without, they are whoever the server takes a caller
    without a token for, and cases that need another role are skipped. Raises what the question raises.
    """
    ask = _OFFER_BY_PRIMITIVE[primitive]
    channel = connect(url)
    assert isinstance(channel, IdentifiedChannel)
    try:
        by_role = {role: channel.as_caller(keys.token_of(role)) for role in ANYONE} if keys else {Role.CLIENT: channel}
        client = by_role[Role.CLIENT]
        offer = await ask(client)
        target = Target(
            partial(_proven, by_role),
            offer.capabilities,
            slack_s=offer.slack_s,
            answers=partial(_answered, ask, client),
        )
        yield Opened(target, offer, tuple(by_role))
    finally:
        await channel.close()


def _proven(by_role: Mapping[Role, grpc.aio.Channel], role: Role) -> grpc.aio.Channel:
    if role not in by_role:
        raise Lacking(f"needs the identity of the {role}, for which there is no token: --home names the installation")
    return by_role[role]


async def _answered(ask: "_Ask", channel: grpc.aio.Channel) -> None:
    await ask(channel)


async def offered(channel: grpc.aio.Channel, primitive: str) -> Offer:
    """What the server behind `channel` says of a primitive."""
    return await _OFFER_BY_PRIMITIVE[primitive](channel)


_Ask = Callable[[grpc.aio.Channel], Awaitable[Offer]]


async def _kv(channel: grpc.aio.Channel) -> Offer:
    found = await KVClient(channel).capabilities()
    small = _small(found.features, found.max_plan_keys, found.max_plan_bytes)
    return Offer(found.adapter, found.durable, found.features | small | await _ledger_beside(channel))


async def _queue(channel: grpc.aio.Channel) -> Offer:
    found = await QueueClient(channel).capabilities()
    items = max(found.max_plan_messages, found.max_plan_topics)
    small = _small(found.features, items, found.max_plan_bytes)
    capabilities = found.features | small | await _ledger_beside(channel)
    return Offer(found.adapter, found.durable, capabilities, found.redelivery_slack_s)


def _small(features: frozenset[str], items: int, size_bytes: int) -> frozenset[str]:
    reachable = "QUOTAS" in features and items <= SMALL_PLAN_ITEMS and size_bytes <= SMALL_PLAN_BYTES
    return frozenset({"SMALL_QUOTAS"} if reachable else ())


async def _secret(channel: grpc.aio.Channel) -> Offer:
    client = SecretsClient(channel)
    seeded = not any(isinstance(each, TheoryError) for each in await client.check([*SEEDED]))
    return Offer(
        await client.adapter(), None, await client.features() | frozenset({"SEEDED_SECRETS"} if seeded else ())
    )


async def _volume(channel: grpc.aio.Channel) -> Offer:
    return Offer(await VolumesClient(channel).adapter(), None, frozenset())


async def _artifacts(channel: grpc.aio.Channel) -> Offer:
    found = await call(ArtifactsServiceStub(channel).GetCapabilities, artifacts_pb2.GetCapabilitiesRequest())
    plane = found.HasField("data_plane") and await _plane_reached(channel)
    capabilities = frozenset({"DATA_PLANE"} if plane else ())
    return Offer(found.adapter, found.durable, capabilities | await _ledger_beside(channel))


async def _plane_reached(channel: grpc.aio.Channel) -> bool:
    """Whether something listens where presigned requests lead to: it may be another machine's loopback."""
    nothing = BlobPut(Cid.of(b""), 0, sha256=hashlib.sha256(b"").hexdigest())
    parts = urlsplit((await ArtifactsClient(channel).presign(nothing)).url)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    try:
        async with asyncio.timeout(_REACHED_S):
            _, writer = await asyncio.open_connection(parts.hostname, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def _streams(channel: grpc.aio.Channel) -> Offer:
    found = await StreamsClient(channel).capabilities()
    return Offer(found.adapter, found.durable, await _ledger_beside(channel))


async def _ledger(channel: grpc.aio.Channel) -> Offer:
    found = await LedgerClient(channel).capabilities()
    return Offer(found.adapter, found.durable, frozenset())


async def _registry(channel: grpc.aio.Channel) -> Offer:
    found = await RegistryClient(channel).capabilities()
    return Offer(found.adapter, found.durable, frozenset())


async def _executor(channel: grpc.aio.Channel) -> Offer:
    found = await ExecutorClient(channel).capabilities()
    capabilities = set()
    mock = any(each.kind == "mock" and each.ready for each in found.runtimes)
    if mock and await _served(_registry(channel)):
        capabilities.add("MOCK")
    if await _served(_ledger(channel)) and await _served(_artifacts(channel)):
        capabilities.add("PEERS")
    return Offer(", ".join(each.kind for each in found.runtimes), None, frozenset(capabilities))


async def _ledger_beside(channel: grpc.aio.Channel) -> frozenset[str]:
    return frozenset({"LEDGER"} if await _served(_ledger(channel)) else ())


async def _served(asked: Awaitable[Any]) -> bool:
    """Whether another primitive answers at the same address; what refuses this caller is not of use to its cases."""
    try:
        await asked
    except (Unsupported, Denied, Unauthenticated):
        return False
    return True


_OFFER_BY_PRIMITIVE: Mapping[str, _Ask] = {
    "kv": _kv,
    "queue": _queue,
    "secret": _secret,
    "volume": _volume,
    "artifacts": _artifacts,
    "streams": _streams,
    "ledger": _ledger,
    "registry": _registry,
    "executor": _executor,
}
