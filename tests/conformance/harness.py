"""Every adapter as a target: its whole service behind a socket, beside a ledger, at an address that it understands.

A scheme that stands in a table of adapters is under every promise. If it needs more of an address than its name, that
is said in `_URL_BY_SCHEME`.
"""

import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import boto3
import grpc

from services.artifacts import assembly as artifacts
from services.artifacts.config import ArtifactsConfig
from services.artifacts.streams.adapters import MODULE_BY_SCHEME as STREAMS
from services.executor.adapters.state import MODULE_BY_SCHEME as EXECUTOR
from services.executor.adapters.tokens import KeySigner
from services.ledger import assembly as ledger
from services.ledger.adapters import MODULE_BY_SCHEME as LEDGER
from services.ledger.config import LedgerConfig
from services.registry import assembly as registry
from services.registry.adapters import MODULE_BY_SCHEME as REGISTRY
from services.registry.config import RegistryConfig
from services.resources import assembly as resources
from services.resources.config import ResourcesConfig
from services.resources.kv.adapters import MODULE_BY_SCHEME as KV
from services.resources.queue.adapters import MODULE_BY_SCHEME as QUEUE
from services.resources.secrets.adapters import MODULE_BY_SCHEME as SECRETS
from services.resources.volumes.adapters import MODULE_BY_SCHEME as VOLUMES
from tests.embedded import embedded
from tests.fakes.modal import FakeModal
from tests.servers import AWS_REGION, Servers
from theory.core.clock import FakeClock, SystemClock
from theory.core.grant import AttemptGrant
from theory.core.ids import SystemIds
from theory.testing.case import Target
from theory.testing.cases.secrets import SEEDED
from theory.testing.target import offered
from theory.wire.channel import IdentifiedChannel
from theory.wire.identity import ServiceKeys
from theory.wire.server import RunningServer, ServiceUnit, running

ALIASES = frozenset({"redis+unix", "rediss", "redis-streams+unix", "rediss-streams"})
"""Schemes that only say otherwise how to reach what another scheme stands for."""

ARTIFACTS = ("memory-memory", "file-sqlite", "s3-sqlite")
"""Blobs and bindings; each adapter of either is in a pair."""

_TABLE_BY_PRIMITIVE: Mapping[str, Iterable[str]] = {
    "kv": KV,
    "queue": QUEUE,
    "secret": SECRETS,
    "volume": VOLUMES,
    "artifacts": ARTIFACTS,
    "streams": STREAMS,
    "ledger": LEDGER,
    "registry": REGISTRY,
    "executor": EXECUTOR,
}

FOR_ATTEMPTS = frozenset({"kv", "queue", "streams", "artifacts"})
"""Primitives that take tokens of attempts."""

OWN_CLOCK = frozenset({"postgresql", "redis", "redis-streams", "sqs"})
"""Adapters behind which a clock of its own goes: cases wait for it, many at once."""

SMALL_QUOTAS = {
    "max_plan_keys": 1_100,
    "max_plan_key_bytes": 12 << 20,
    "max_plan_topics": 12,
    "max_plan_messages": 300,
    "max_plan_message_bytes": 8 << 20,
}
"""More than the other cases need, and few enough for a case to reach them."""

_AT_ONCE = 8


@dataclass(frozen=True)
class Harness:
    """Where adapters find what they need: a directory of their own, and servers that start when they are asked for."""

    home: Path
    servers: Servers


def adapters_of(primitive: str) -> Sequence[str]:
    """What a primitive may lie on, as the table of its adapters says."""
    return [each for each in _TABLE_BY_PRIMITIVE[primitive] if each not in ALIASES]


def at_once(adapter: str) -> int:
    """How many cases may run at once: a clock is turned by one of them alone."""
    return _AT_ONCE if adapter in OWN_CLOCK else 1


def target_of(primitive: str, adapter: str, harness: Harness) -> AbstractAsyncContextManager[Target]:
    """The adapter, assembled and served as in production, and asked what it offers."""
    return _OPEN_BY_PRIMITIVE[primitive](primitive, adapter, harness)


@asynccontextmanager
async def _scratch(primitive: str, adapter: str, harness: Harness) -> AsyncIterator[Target]:
    """A primitive of the resources service."""
    with ExitStack() as stack:
        url = stack.enter_context(_address())
        clock = None if adapter in OWN_CLOCK else FakeClock()
        stores = {"kv_url": "memory:", "queue_url": "memory:", "secrets_url": "env:THEORY_TEST_NOTHING_"}
        address = _URL_BY_SCHEME.get(adapter)
        chosen = f"{adapter}:" if address is None else address(harness, stack)
        config = {"home": harness.home, "ledger_url": url, **SMALL_QUOTAS, **stores, _SETTING[primitive]: chosen}
        units = [
            await ledger.assemble(LedgerConfig.load({"home": harness.home, "database_url": "memory:"})),
            await resources.assemble(ResourcesConfig.load(config), clock=clock),
        ]
        async with _served(units, url, harness) as server:
            yield await _target(server, primitive, harness.home, clock)


@asynccontextmanager
async def _artifacts(primitive: str, adapter: str, harness: Harness) -> AsyncIterator[Target]:
    blobs, _, bindings = adapter.partition("-")
    stores = {
        "blobs_url": _BLOBS_URL_BY_SCHEME[blobs](harness),
        "database_url": _database(bindings, harness),
        "streams_url": "memory:",
    }
    async with artifacts_target(harness, stores, FakeClock()) as target:
        yield target


@asynccontextmanager
async def artifacts_target(
    harness: Harness, settings: Mapping[str, object], clock: FakeClock | None
) -> AsyncIterator[Target]:
    """An artifact store with these settings, beside a ledger."""
    with _address() as url:
        config = {"home": harness.home, "ledger_url": url, **settings}
        units = [
            await ledger.assemble(LedgerConfig.load({"home": harness.home, "database_url": "memory:"})),
            await artifacts.assemble(ArtifactsConfig.load(config), clock=clock),
        ]
        async with _served(units, url, harness) as server:
            yield await _target(server, "artifacts", harness.home, clock)


@asynccontextmanager
async def _streams(primitive: str, adapter: str, harness: Harness) -> AsyncIterator[Target]:
    clock = None if adapter in OWN_CLOCK else FakeClock()
    with ExitStack() as stack:
        url = stack.enter_context(_address())
        config = {
            "home": harness.home,
            "ledger_url": url,
            "blobs_url": "memory:",
            "database_url": "memory:",
            "streams_url": _URL_BY_SCHEME[adapter](harness, stack),
        }
        units = [
            await ledger.assemble(LedgerConfig.load({"home": harness.home, "database_url": "memory:"})),
            await artifacts.assemble(ArtifactsConfig.load(config), clock=clock),
        ]
        async with _served(units, url, harness) as server:
            yield await _target(server, primitive, harness.home, clock)


@asynccontextmanager
async def _ledger(primitive: str, adapter: str, harness: Harness) -> AsyncIterator[Target]:
    config = {"home": harness.home, "database_url": _database(adapter, harness)}
    async with running([await ledger.assemble(LedgerConfig.load(config))]) as server:
        yield await _target(server, primitive, harness.home)


@asynccontextmanager
async def _registry(primitive: str, adapter: str, harness: Harness) -> AsyncIterator[Target]:
    config = {"home": harness.home, "database_url": _database(adapter, harness)}
    async with running([await registry.assemble(RegistryConfig.load(config))]) as server:
        yield await _target(server, primitive, harness.home)


@asynccontextmanager
async def _executor(primitive: str, adapter: str, harness: Harness) -> AsyncIterator[Target]:
    async with embedded(harness.home, publish=(), database_url=_database(adapter, harness)) as theory:
        yield await _target(theory.server, primitive, harness.home)


def _database(scheme: str, harness: Harness) -> str:
    if scheme == "postgresql":
        return harness.servers.postgres()
    return {"memory": "memory:", "sqlite": f"sqlite:///{harness.home}/store.db"}[scheme]


@contextmanager
def _address() -> Iterator[str]:
    # Known before the server listens: what is assembled for it is told where its peers answer.
    with tempfile.TemporaryDirectory(prefix="theory-") as folder:
        yield f"unix://{folder}/theory.sock"


def _served(units: Sequence[ServiceUnit], url: str, harness: Harness) -> AbstractAsyncContextManager[RunningServer]:
    return running(units, url=url, keys=ServiceKeys.load_or_create(harness.home))


async def _target(server: RunningServer, primitive: str, home: Path, clock: FakeClock | None = None) -> Target:
    """What is served, with what it says it can do."""
    client = server.channel()
    offer = await offered(client, primitive)
    tokens = frozenset({"ATTEMPTS"} if primitive in FOR_ATTEMPTS else ())
    key, published = home / "executor" / "attempts.key", home / "attempts.jwks.json"
    signer = KeySigner(key, published, clock=clock or SystemClock(), ids=SystemIds())

    async def attempt(grant: AttemptGrant) -> grpc.aio.Channel:
        assert isinstance(client, IdentifiedChannel)
        return client.as_caller((await signer.sign(grant)).text.reveal())

    async def answers() -> None:
        await offered(client, primitive)

    if clock is None:
        known = offer.capabilities | tokens
        return Target(server.channel, known, slack_s=offer.slack_s, answers=answers, attempt=attempt)
    hands = clock

    async def advance(s: float) -> None:
        hands.advance(s)

    known = offer.capabilities | tokens | {"CLOCK"}
    return Target(server.channel, known, advance, slack_s=offer.slack_s, answers=answers, attempt=attempt)


_Open: TypeAlias = Callable[[str, str, Harness], AbstractAsyncContextManager[Target]]

_OPEN_BY_PRIMITIVE: Mapping[str, _Open] = {
    "kv": _scratch,
    "queue": _scratch,
    "secret": _scratch,
    "volume": _scratch,
    "artifacts": _artifacts,
    "streams": _streams,
    "ledger": _ledger,
    "registry": _registry,
    "executor": _executor,
}

_BLOBS_URL_BY_SCHEME: Mapping[str, Callable[[Harness], str]] = {
    "memory": lambda harness: "memory:",
    "file": lambda harness: f"file://{harness.home}/blobs",
    "s3": lambda harness: harness.servers.s3().address(_fresh()),
}

_SETTING = {"kv": "kv_url", "queue": "queue_url", "secret": "secrets_url", "volume": "volumes_url"}


def _seeded_variables(harness: Harness, stack: ExitStack) -> str:
    variables = {f"CASE_{name}": value for name, value in SEEDED.items()}
    os.environ.update(variables)
    stack.callback(lambda: [os.environ.pop(name) for name in variables])
    return "env:CASE_"


def _seeded_file(harness: Harness, stack: ExitStack) -> str:
    file = harness.home / "secrets.env"
    file.touch(mode=0o600)
    file.write_text("".join(f"{name}='{value}'\n" for name, value in SEEDED.items()))
    return f"dotenv:{file}"


def _seeded_aws(harness: Harness, stack: ExitStack) -> str:
    endpoint, prefix = harness.servers.aws(), _fresh()
    client: Any = boto3.client("secretsmanager", region_name=AWS_REGION, endpoint_url=endpoint)
    for name, value in SEEDED.items():
        client.create_secret(Name=f"{prefix}/{name}", SecretString=value)
    client.close()
    return f"aws-secrets://{AWS_REGION}?endpoint={endpoint}&prefix={prefix}/"


def _modal(harness: Harness, stack: ExitStack) -> str:
    fake = stack.enter_context(FakeModal())
    fake.keep_secret("theory", SEEDED)
    os.environ.update(fake.variables)
    stack.callback(lambda: [os.environ.pop(name) for name in fake.variables])
    return f"modal://main?server={fake.url}"


def _fresh() -> str:
    """A name that no run before had: servers outlive their targets."""
    return f"case{SystemIds().token_hex(4)}"


_URL_BY_SCHEME: Mapping[str, Callable[[Harness, ExitStack], str]] = {
    "memory": lambda harness, _: "memory:",
    "sqlite": lambda harness, _: f"sqlite:///{harness.home}/store.db",
    "postgresql": lambda harness, _: harness.servers.postgres(),
    "redis": lambda harness, _: harness.servers.redis(),
    "redis-streams": lambda harness, _: harness.servers.redis().replace("redis+unix", "redis-streams+unix"),
    "sqs": lambda harness, _: f"sqs://{AWS_REGION}?endpoint={harness.servers.aws()}&name={_fresh()}&poll_s=0",
    "file": lambda harness, _: f"file://{harness.home}/volumes",
    "env": _seeded_variables,
    "dotenv": _seeded_file,
    "aws-secrets": _seeded_aws,
    "modal": _modal,
}
