"""The one place that knows every primitive: opens their adapters and registers their servicers."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

import grpc
from pydantic import SecretStr

from services.drivers import key_file, outbox
from services.drivers.events import BestEffort
from services.drivers.opening import Opening
from services.drivers.sql.owner import Located
from services.resources.access import ACCESS
from services.resources.adapters.peers import LedgerPeer
from services.resources.config import ResourcesConfig
from services.resources.kv.adapters import open_store as open_kv
from services.resources.kv.adapters.sql.schema import METADATA as KV_TABLES
from services.resources.kv.domain import KV
from services.resources.kv.ports import KVQuotas
from services.resources.kv.servicer import KVServicer
from services.resources.queue.adapters import open_store as open_queue
from services.resources.queue.adapters.sql.schema import METADATA as QUEUE_TABLES
from services.resources.queue.domain.queue import Queue
from services.resources.queue.ports import QueueQuotas
from services.resources.queue.servicer import QueueServicer
from services.resources.secrets.adapters import open_source
from services.resources.secrets.domain import Secrets
from services.resources.secrets.servicer import SecretServicer
from services.resources.volumes.adapters import open_store as open_volumes
from services.resources.volumes.domain import Volumes
from services.resources.volumes.servicer import VolumeServicer
from theory.api.resources.v1 import kv_pb2_grpc, queue_pb2_grpc, secret_pb2_grpc, volume_pb2_grpc
from theory.core.clock import Clock, SystemClock
from theory.core.ids import IdSource, SystemIds
from theory.core.secret import Secret
from theory.wire.attempts import AttemptTokens
from theory.wire.channel import connect
from theory.wire.identity import Role, ServiceKeys
from theory.wire.server import ServiceUnit

_KEY_FILE = "resources.key"


async def assemble(config: ResourcesConfig, *, clock: Clock | None = None, ids: IdSource | None = None) -> ServiceUnit:
    """The whole service, ready to be served; raises what opening an adapter raises."""
    clock = clock or SystemClock()
    kv_quotas = KVQuotas(config.max_plan_keys, config.max_plan_key_bytes)
    queue_quotas = QueueQuotas(config.max_plan_topics, config.max_plan_messages, config.max_plan_message_bytes)
    async with AsyncExitStack() as stack:
        key = await asyncio.to_thread(key_file.load_or_create, config.home / _KEY_FILE)
        keys = await asyncio.to_thread(ServiceKeys.load_or_create, config.home)
        channel = connect(config.ledger_url, token=keys.token_of(Role.RESOURCES), ids=ids)
        stack.push_async_callback(channel.close)
        ledger = LedgerPeer(channel)
        events = BestEffort(ledger.append, clock)
        stack.push_async_callback(events.close)
        opening = Opening(clock, ids or SystemIds(clock), ledger.append, events.emit)
        stack.push_async_callback(opening.close)

        kv_store = await open_kv(config.kv_url, _with(opening, config.kv_secret), kv_quotas)
        queue_store = await open_queue(config.queue_url, _with(opening, config.queue_secret), queue_quotas)
        volume_store = await open_volumes(config.volumes_url, _with(opening, config.volumes_secret))
        source = await open_source(config.secrets_url, _with(opening, config.secrets_secret))
        opened = stack.pop_all()

    kv = KVServicer(KV(kv_store), kv_store, kv_quotas)
    queue = QueueServicer(Queue(queue_store, key=key, clock=clock), queue_store, queue_quotas)
    volumes = VolumeServicer(Volumes(volume_store), volume_store)
    secrets = SecretServicer(Secrets(source, key=key), source)

    def register(server: grpc.aio.Server) -> None:
        kv_pb2_grpc.add_KVServiceServicer_to_server(kv, server)
        queue_pb2_grpc.add_QueueServiceServicer_to_server(queue, server)
        volume_pb2_grpc.add_VolumeServiceServicer_to_server(volumes, server)
        secret_pb2_grpc.add_SecretServiceServicer_to_server(secrets, server)

    async def start() -> None:
        events.start()
        opening.start()

    attempts = AttemptTokens(config.attempt_keys, audience="resources", clock=clock)
    return ServiceUnit(
        "resources", ACCESS, register, start=start, close=opened.aclose, ready=opening.ready, attempts=attempts
    )


def databases(config: ResourcesConfig) -> Sequence[Located]:
    """Where its tables are; other products have none."""
    return [
        Located(config.kv_url, outbox.beside(KV_TABLES), _secret(config.kv_secret)),
        Located(config.queue_url, outbox.beside(QUEUE_TABLES), _secret(config.queue_secret)),
    ]


def _with(opening: Opening, secret: SecretStr | None) -> Opening:
    return opening.with_secret(_secret(secret))


def _secret(secret: SecretStr | None) -> Secret | None:
    return Secret("THEORY_RESOURCES_SECRET", secret.get_secret_value()) if secret else None
