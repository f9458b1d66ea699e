"""The one place that knows every primitive: opens their adapters and registers their servicers."""

import asyncio

import grpc
from sqlalchemy import Connection, MetaData, select

from services.drivers import key_file
from services.drivers.sql import Database
from services.resources.access import ACCESS
from services.resources.config import ResourcesConfig
from services.resources.kv.adapters import open_store as open_kv
from services.resources.kv.domain import KV
from services.resources.kv.servicer import KVServicer
from services.resources.queue.adapters import open_store as open_queue
from services.resources.queue.domain import Queue
from services.resources.queue.servicer import QueueServicer
from services.resources.secrets.adapters import open_source
from services.resources.secrets.domain import Secrets
from services.resources.secrets.servicer import SecretServicer
from theory.api.resources.v1 import kv_pb2_grpc, queue_pb2_grpc, secret_pb2_grpc
from theory.core.clock import Clock, SystemClock
from theory.core.ids import IdSource, SystemIds
from theory.wire.server import ServiceUnit

_KEY_FILE = "resources.key"


async def assemble(config: ResourcesConfig, *, clock: Clock | None = None, ids: IdSource | None = None) -> ServiceUnit:
    """The whole service, ready to be served; raises what opening an adapter raises."""
    clock = clock or SystemClock()
    databases = _Databases()
    try:
        key = await asyncio.to_thread(key_file.load_or_create, config.home / _KEY_FILE)
        kv = await open_kv(config.kv_url, clock=clock, database=databases.open)
        queue = await open_queue(config.queue_url, clock=clock, ids=ids or SystemIds(clock), database=databases.open)
        source = await open_source(config.secrets_url)
    except BaseException:
        await databases.close()
        raise

    def register(server: grpc.aio.Server) -> None:
        kv_pb2_grpc.add_KVServiceServicer_to_server(KVServicer(KV(kv), kind=kv.kind, durable=kv.durable), server)
        queue_pb2_grpc.add_QueueServiceServicer_to_server(
            QueueServicer(Queue(queue, key=key), kind=queue.kind, durable=queue.durable), server
        )
        secret_pb2_grpc.add_SecretServiceServicer_to_server(
            SecretServicer(Secrets(source, key=key), kind=source.kind), server
        )

    return ServiceUnit("resources", ACCESS, register, close=databases.close, ready=databases.ready)


class _Databases:
    """One database per address, however many primitives keep their tables in it."""

    def __init__(self) -> None:
        self._opened: dict[str, Database] = {}

    async def open(self, url: str, metadata: MetaData) -> Database:
        if url in self._opened:
            await self._opened[url].write(metadata.create_all)
        else:
            # Scratch survives a crash of the service; for a power cut it does not wait.
            self._opened[url] = await Database.open(url, metadata, durable=False)
        return self._opened[url]

    async def ready(self) -> None:
        for database in self._opened.values():
            await database.read(_look)

    async def close(self) -> None:
        while self._opened:
            _, database = self._opened.popitem()
            await database.close()


def _look(connection: Connection) -> None:
    connection.execute(select(1))
