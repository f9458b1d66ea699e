"""The one place that chooses the adapters of the artifact store and puts its rules around them."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import grpc

from services.artifacts.access import ACCESS
from services.artifacts.adapters.bindings import open_bindings
from services.artifacts.adapters.blobs import open_blobs
from services.artifacts.adapters.peers import LedgerPeer
from services.artifacts.config import ArtifactsConfig
from services.artifacts.domain.artifacts import Artifacts
from services.artifacts.domain.limits import Capabilities
from services.artifacts.domain.store import BlobStore
from services.artifacts.domain.sweep import Sweep
from services.artifacts.ports import BindingAdapter
from services.artifacts.servicer import ArtifactsServicer
from services.drivers.background import Background
from theory.api.artifacts.v1 import artifacts_pb2_grpc as rpc
from theory.core.clock import Clock, SystemClock
from theory.core.ids import IdSource
from theory.wire.channel import connect
from theory.wire.identity import Role, ServiceKeys
from theory.wire.server import ServiceUnit


async def assemble(config: ArtifactsConfig, *, clock: Clock | None = None, ids: IdSource | None = None) -> ServiceUnit:
    """The whole service, ready to be served; raises what opening an adapter raises."""
    clock = clock or SystemClock()
    keys = await asyncio.to_thread(ServiceKeys.load_or_create, config.home)
    async with AsyncExitStack() as opening:
        channel = connect(config.ledger_url, token=keys.token_of(Role.ARTIFACTS), ids=ids)
        opening.push_async_callback(channel.close)
        blobs = await open_blobs(config.blobs_url)
        opening.push_async_callback(blobs.close)
        table = await open_bindings(config.database_url, clock)
        opening.push_async_callback(table.close)
        opened = opening.pop_all()

    ledger = LedgerPeer(channel)
    store = BlobStore(blobs, max_blob_bytes=config.max_blob_bytes)
    servicer = ArtifactsServicer(
        store,
        Artifacts(store, blobs, table, clock),
        Capabilities(blobs.kind, blobs.durable and table.durable, config.max_blob_bytes),
    )
    sweep = Sweep(table, ledger, clock, doubt=timedelta(seconds=config.doubt_s))

    def register(server: grpc.aio.Server) -> None:
        rpc.add_ArtifactsServiceServicer_to_server(servicer, server)

    async def start() -> None:
        table.start(ledger)
        sweeping = Background("artifact-sweep", sweep.run)
        sweeping.start()
        opened.push_async_callback(sweeping.close)

    async def ready() -> None:
        await _look(table, clock)

    return ServiceUnit("artifacts", ACCESS, register, start=start, close=opened.aclose, ready=ready)


async def _look(table: BindingAdapter, clock: Clock) -> None:
    now = clock.now()
    await table.read(lambda reader: reader.open_fences(now, 1))
