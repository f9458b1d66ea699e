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
from services.artifacts.streams.adapters import open_streams
from services.artifacts.streams.domain.streams import Streams
from services.artifacts.streams.servicer import StreamsServicer
from services.drivers.background import Background
from theory.api.artifacts.v1 import artifacts_pb2_grpc, streams_pb2_grpc
from theory.core.clock import Clock, SystemClock
from theory.core.ids import IdSource
from theory.core.secret import Secret
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
        series = await open_streams(config.streams_url, clock, _streams_secret(config))
        opening.push_async_callback(series.close)
        opened = opening.pop_all()

    ledger = LedgerPeer(channel)
    store = BlobStore(blobs, max_blob_bytes=config.max_blob_bytes)
    servicer = ArtifactsServicer(
        store,
        Artifacts(store, blobs, table, clock),
        Capabilities(blobs.kind, blobs.durable and table.durable, config.max_blob_bytes),
    )
    streams = StreamsServicer(Streams(series, clock), series)
    sweep = Sweep(table, ledger, clock, doubt=timedelta(seconds=config.doubt_s))

    def register(server: grpc.aio.Server) -> None:
        artifacts_pb2_grpc.add_ArtifactsServiceServicer_to_server(servicer, server)
        streams_pb2_grpc.add_StreamsServiceServicer_to_server(streams, server)

    async def start() -> None:
        table.start(ledger)
        series.start(ledger)
        sweeping = Background("artifact-sweep", sweep.run)
        sweeping.start()
        opened.push_async_callback(sweeping.close)

    async def ready() -> None:
        await _look(table, clock)
        await series.ready()

    return ServiceUnit("artifacts", ACCESS, register, start=start, close=opened.aclose, ready=ready)


def _streams_secret(config: ArtifactsConfig) -> Secret | None:
    secret = config.streams_secret
    return None if secret is None else Secret("THEORY_ARTIFACTS_STREAMS_SECRET", secret.get_secret_value())


async def _look(table: BindingAdapter, clock: Clock) -> None:
    now = clock.now()
    await table.read(lambda reader: reader.open_fences(now, 1))
