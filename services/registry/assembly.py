"""The one place that chooses where the registry keeps its documents and puts its rules around them."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

import grpc

from services.drivers.sql.owner import Located
from services.registry.access import ACCESS
from services.registry.adapters import open_store
from services.registry.adapters.catalog import BUNDLED, read_catalog
from services.registry.adapters.forms import read_forms
from services.registry.adapters.peers import LedgerPeer
from services.registry.adapters.sql import METADATA
from services.registry.config import RegistryConfig
from services.registry.domain.catalog import publish_catalog
from services.registry.domain.forms import Forms
from services.registry.domain.registry import Registry
from services.registry.servicer import RegistryServicer
from theory.api.registry.v1 import registry_pb2_grpc as rpc
from theory.core.clock import Clock, SystemClock
from theory.core.ids import IdSource
from theory.wire.channel import connect
from theory.wire.identity import Role, ServiceKeys
from theory.wire.server import ServiceUnit


async def assemble(config: RegistryConfig, *, clock: Clock | None = None, ids: IdSource | None = None) -> ServiceUnit:
    """The whole service, its catalog published, ready to be served.

    Raises what opening the store raises, what is wrong with the catalog, and `AlreadyExists` (`REF_TAKEN`) where one of
    its documents changed under a ref that was published before.
    """
    clock = clock or SystemClock()
    keys = await asyncio.to_thread(ServiceKeys.load_or_create, config.home)
    async with AsyncExitStack() as opening:
        channel = connect(config.ledger_url, token=keys.token_of(Role.REGISTRY), ids=ids)
        opening.push_async_callback(channel.close)
        store = await open_store(config.database_url, clock)
        opening.push_async_callback(store.close)
        registry = Registry(store, await asyncio.to_thread(_forms), clock)
        await publish_catalog(registry, await asyncio.to_thread(read_catalog, config.catalog or BUNDLED))
        opened = opening.pop_all()

    servicer = RegistryServicer(registry)

    def register(server: grpc.aio.Server) -> None:
        rpc.add_RegistryServiceServicer_to_server(servicer, server)

    async def start() -> None:
        store.start(LedgerPeer(channel))

    return ServiceUnit("registry", ACCESS, register, start=start, close=opened.aclose, ready=registry.ready)


def databases(config: RegistryConfig) -> Sequence[Located]:
    """Where its tables are."""
    return [Located(config.database_url, METADATA)]


def _forms() -> Forms:
    return Forms(read_forms())
