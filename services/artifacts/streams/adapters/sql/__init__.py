"""Streams in SQL: SQLite, or Postgres where replicas share them. Chunks lie in the table, beside their counters."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from services.artifacts.ports import EventSink
from services.artifacts.streams.adapters.sql.rows import StreamRows, UnlockedWorld
from services.artifacts.streams.adapters.sql.schema import METADATA
from services.artifacts.streams.ports import StreamKey, StreamReader, StreamStore, StreamTransaction
from services.drivers import outbox
from services.drivers.sql import Database
from theory.core.clock import Clock
from theory.core.secret import Secret

_T = TypeVar("_T")


async def open(url: str, clock: Clock, secret: Secret | None = None) -> StreamStore:
    """`sqlite:///path` or `postgresql://user@host/database`. What is answered is on the disk."""
    return SqlStreams(await Database.open(url, METADATA, durable=True, secret=secret), clock)


class SqlStreams:
    """The tables behind the port; writes of one moment share a transaction."""

    kind = "sql"

    def __init__(self, database: Database, clock: Clock) -> None:
        self.durable = database.stable
        self._database = database
        self._clock = clock
        self._pump: outbox.Pump | None = None

    async def write(self, key: StreamKey, step: Callable[[StreamTransaction], _T]) -> _T:
        lock = f"stream {key.world} {key.series}"
        try:
            result, recorded = await self._database.write(lambda each: _run(step, each), locks=[lock])
        except UnlockedWorld:
            # Streams are made seldom: the appends to all others need not wait for each other.
            locks = [lock, f"streams {key.world}"]
            work = self._database.write(lambda each: _run(step, each, world_locked=True), locks=locks)
            result, recorded = await work
        if recorded and self._pump is not None:
            self._pump.poke()
        return result

    async def drop_world(self, world: str) -> None:
        # With the lock of those who make streams: one is made before this is said, and found, or not at all.
        await self._database.write(lambda each: StreamRows(each).drop_world(world), locks=[f"streams {world}"])

    async def read(self, step: Callable[[StreamReader], _T]) -> _T:
        return await self._database.read(lambda connection: step(StreamRows(connection)))

    def start(self, sink: EventSink) -> None:
        self._pump = outbox.Pump(self._database, sink.append, self._clock)
        self._pump.start()

    async def ready(self) -> None:
        await self._database.read(lambda _: None)

    async def close(self) -> None:
        if self._pump is not None:
            await self._pump.close()
        await self._database.close()


def _run(
    step: Callable[[StreamTransaction], _T], connection: Connection, *, world_locked: bool = False
) -> tuple[_T, bool]:
    rows = StreamRows(connection, world_locked=world_locked)
    return step(rows), rows.recorded
