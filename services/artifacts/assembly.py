"""The one place that chooses the adapters of the artifact store and puts its rules around them."""

import asyncio
import platform
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import NamedTuple

import grpc

from services.artifacts.access import ACCESS
from services.artifacts.adapters.bindings import open_bindings
from services.artifacts.adapters.bindings.sql import METADATA as PATHS
from services.artifacts.adapters.blobs import open_blobs
from services.artifacts.adapters.peers import LedgerPeer
from services.artifacts.config import ArtifactsConfig
from services.artifacts.domain.artifacts import Artifacts
from services.artifacts.domain.attempts import Attempts
from services.artifacts.domain.grants import GrantKey
from services.artifacts.domain.leases import Leases
from services.artifacts.domain.limits import Capabilities
from services.artifacts.domain.presigning import Presigning
from services.artifacts.domain.store import BlobStore
from services.artifacts.domain.sweep import Sweep
from services.artifacts.domain.uploads import Uploads
from services.artifacts.plane.address import STORE, PlaneAddress, store_endpoint
from services.artifacts.plane.arrivals import Arrivals
from services.artifacts.plane.downloads import Downloads
from services.artifacts.plane.presigner import LocalPresigner
from services.artifacts.plane.server import DataPlane
from services.artifacts.ports import BindingAdapter, BlobAdapter, Presigner, WorldStreams
from services.artifacts.retention.domain.collector import Collector, Times
from services.artifacts.retention.domain.counts import HELP_BY_NAME
from services.artifacts.retention.domain.dropping import Dropping
from services.artifacts.retention.domain.scrubber import Scrubber
from services.artifacts.retention.servicer import RetentionServicer
from services.artifacts.servicer import ArtifactsServicer
from services.artifacts.streams.adapters import open_streams
from services.artifacts.streams.adapters.sql.schema import METADATA as STREAMS
from services.artifacts.streams.domain.fixing import Fixing
from services.artifacts.streams.domain.promotion import Promotion
from services.artifacts.streams.domain.streams import Streams
from services.artifacts.streams.servicer import StreamsServicer
from services.drivers import key_file
from services.drivers.background import Background
from services.drivers.sql.owner import Located
from theory.api.artifacts.v1 import artifacts_pb2_grpc, retention_pb2_grpc, streams_pb2_grpc
from theory.core.cid import Cid
from theory.core.clock import Clock, SystemClock
from theory.core.errors import Invalid
from theory.core.ids import IdSource, SystemIds
from theory.core.secret import Secret
from theory.wire.attempts import AttemptTokens
from theory.wire.channel import connect
from theory.wire.identity import Role, ServiceKeys
from theory.wire.server import ServiceUnit
from theory.wire.telemetry import COUNTERS


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

        leases = Leases(blobs, table, clock, lease=timedelta(seconds=config.lease_s))
        store = BlobStore(blobs, leases, max_blob_bytes=config.max_blob_bytes)
        artifacts = Artifacts(store, blobs, leases, table, clock)
        key = GrantKey(await asyncio.to_thread(key_file.load_or_create, config.home / "artifacts" / "urls.key"))
        uploads = Uploads(store, clock)
        opening.push_async_callback(uploads.close)
        plane = _plane(config, store, uploads, key, clock)
        if plane is not None:
            opening.push_async_callback(plane.server.close)
        presigner = plane.presigner if plane is not None else await _store_presigner(config, blobs)
        opened = opening.pop_all()

    ledger = LedgerPeer(channel)
    servicer = ArtifactsServicer(
        store,
        artifacts,
        Attempts(store, artifacts, blobs, table, clock),
        Capabilities(
            blobs.kind,
            blobs.durable and table.durable,
            config.max_blob_bytes,
            presigner,
        ),
        None
        if presigner is None
        else Presigning(store, blobs, leases, artifacts, presigner, key=key, clock=clock, ids=ids or SystemIds()),
    )
    streams = Streams(series, clock)
    streams_servicer = StreamsServicer(streams, Fixing(series, store, artifacts), Promotion(series, artifacts), series)
    retention = _retention(config, blobs, table, streams, clock)
    sweep = Sweep(table, ledger, clock, doubt=timedelta(seconds=config.doubt_s))

    def register(server: grpc.aio.Server) -> None:
        artifacts_pb2_grpc.add_ArtifactsServiceServicer_to_server(servicer, server)
        streams_pb2_grpc.add_StreamsServiceServicer_to_server(streams_servicer, server)
        retention_pb2_grpc.add_RetentionServiceServicer_to_server(retention.servicer, server)

    async def start() -> None:
        table.start(ledger)
        series.start(ledger)
        opened.push_async_callback(retention.collector.close)
        opened.push_async_callback(retention.dropping.close)
        running = {
            "artifact-sweep": sweep.run,
            "artifact-collection": retention.collector.run,
            "artifact-drops": retention.dropping.run,
            "artifact-scrub": retention.scrubber.run,
        }
        if plane is not None:
            running["artifact-uploads"] = uploads.run
        for name, run in running.items():
            _begin(opened, name, run)
        if plane is not None:
            await plane.server.start()

    async def ready() -> None:
        await blobs.ready()
        await _look(table, clock)
        await series.ready()

    attempts = AttemptTokens(config.attempt_keys, audience="artifacts", clock=clock)
    return ServiceUnit("artifacts", ACCESS, register, start=start, close=opened.aclose, ready=ready, attempts=attempts)


def _begin(opened: AsyncExitStack, name: str, run: Callable[[], Coroutine[object, object, None]]) -> None:
    background = Background(name, run)
    background.start()
    opened.push_async_callback(background.close)


def databases(config: ArtifactsConfig) -> Sequence[Located]:
    """Where its tables are."""
    return [
        Located(config.database_url, PATHS),
        Located(config.streams_url, STREAMS, _streams_secret(config)),
    ]


def _streams_secret(config: ArtifactsConfig) -> Secret | None:
    secret = config.streams_secret
    return None if secret is None else Secret("THEORY_ARTIFACTS_STREAMS_SECRET", secret.get_secret_value())


class _Retention(NamedTuple):
    servicer: RetentionServicer
    collector: Collector
    dropping: Dropping
    scrubber: Scrubber


def _retention(
    config: ArtifactsConfig, blobs: BlobAdapter, table: BindingAdapter, streams: WorldStreams, clock: Clock
) -> _Retention:
    removing = asyncio.Lock()
    collector = Collector(
        blobs,
        table,
        clock,
        # The same after a restart, which then goes on at once where the process before it was killed.
        name=Cid.of(f"{platform.node()}:{config.home.absolute()}".encode()).hex,
        times=Times(*(timedelta(seconds=each) for each in (config.gc_age_s, config.lease_s, config.gc_period_s))),
        removing=removing,
        count=_count,
    )
    scrubber = Scrubber(
        blobs,
        table,
        clock,
        bytes_per_s=config.scrub_bytes_per_s,
        period=timedelta(seconds=config.scrub_period_s),
        removing=removing,
        count=_count,
    )
    dropping = Dropping(table, streams, clock)
    return _Retention(RetentionServicer(collector, dropping, scrubber), collector, dropping, scrubber)


def _count(name: str, by: int) -> None:
    COUNTERS.add(name, HELP_BY_NAME[name], by)


class _Plane(NamedTuple):
    server: DataPlane
    presigner: LocalPresigner


def _plane(config: ArtifactsConfig, store: BlobStore, uploads: Uploads, key: GrantKey, clock: Clock) -> _Plane | None:
    """The data plane, bound to its address and not yet answering; None where the settings want none."""
    address = PlaneAddress.parse(config.data_url, config.data_public_url)
    if address is None:
        return None
    bound, base_url = address.bind()
    presigner = LocalPresigner(key, base_url)
    downloads = Downloads(store, presigner, clock, idle_s=config.data_idle_s)
    arrivals = Arrivals(uploads, presigner, clock, idle_s=config.data_idle_s)
    return _Plane(DataPlane(bound, downloads, arrivals, idle_s=config.data_idle_s), presigner)


async def _store_presigner(config: ArtifactsConfig, blobs: BlobAdapter) -> Presigner | None:
    """What signs for the store of the blobs itself, if the settings want that."""
    if config.data_url != STORE:
        return None
    presigner = await blobs.presigner(store_endpoint(config.data_public_url))
    if presigner is None:
        raise Invalid("CONFIG_INVALID", "THEORY_ARTIFACTS_DATA_URL=store is for blobs in a bucket: s3://...")
    return presigner


async def _look(table: BindingAdapter, clock: Clock) -> None:
    now = clock.now()
    await table.read(lambda reader: reader.open_fences(now, 1))
