"""One SQL database of a service: a writer thread that commits in groups, and a reader thread beside it."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from typing import Self, TypeVar, cast

from sqlalchemy import Connection, MetaData

from services.drivers.choice import module_for
from services.drivers.sql import schema
from services.drivers.sql.ports import Listener, Product, Session
from services.drivers.sql.work import Reads, Worker, Writes
from theory.core.clock import Clock
from theory.core.secret import Secret

__all__ = ["Database"]

_T = TypeVar("_T")

# Named, not imported: a service without such a database need not have its driver.
_MODULE_BY_SCHEME: Mapping[str, str] = {
    "memory": "services.drivers.sqlite",
    "sqlite": "services.drivers.sqlite",
    "postgresql": "services.drivers.postgres",
}


class Database:
    """What the adapters of a service keep: in one file, in memory, or on a server that replicas share.

    A function given to `write` or `read` runs on a thread of this database with a connection, and returns plain values:
    no result, row iterator or connection may leave it. It does SQL and computation, never waits for anything else, and
    holds up everyone behind it while it runs. On a server it may run more than once before it is answered; nothing of
    the earlier runs is kept. It lets through what the connection raises.

    What a function raises reaches its caller as it was raised, an `IntegrityError` of SQLAlchemy included; only a
    failing store speaks in our words: `Exhausted` (`DISK_FULL`), `Unavailable` (`STORE_UNREACHABLE`), `Corrupt`
    (`STORE_CORRUPT`), `NotReady` (`STORE_DENIED`). After `Unavailable` nobody knows whether a write was kept.
    """

    def __init__(self, product: Product, writer: Session, reader: Session | None, opened: ExitStack) -> None:
        self.stable = product.stable
        """Whether an answered write survives a power cut."""
        self.replicated = product.replicated
        """Whether other processes are meant to write to it, too."""
        self._product = product
        self._writing = writer
        self._writer = Worker("sql-writer", Writes(writer, product), product)
        self._reader = self._writer if reader is None else Worker("sql-reader", Reads(reader), product)
        self._opened = opened

    @classmethod
    async def open(cls, url: str, metadata: MetaData, *, durable: bool, secret: Secret | None = None) -> Self:
        """The database at `url` with every table of `metadata`, made where missing.

        `sqlite:///path`, `memory:`, `postgresql://user@host:port/database` or
        `postgresql:///database?host=/directory/of/a/socket`; `secret` is the password of the latter two.

        `durable`: an answered write survives a power cut; otherwise the last few may not, though they survive a kill.
        A server is durable as far as it is set up to be. Parts that `metadata` declares are migrated (see `schema`):
        `NotReady` (`SCHEMA_NEWER`) where a newer program was here, `SCHEMA_OLDER` where the role of the address may not
        change what is old. `Invalid` (`ADAPTER_UNKNOWN`, `URL_INVALID`) for any other address.
        """
        return await asyncio.to_thread(cls._open, url, metadata, durable=durable, secret=secret)

    @classmethod
    def _open(cls, url: str, metadata: MetaData, *, durable: bool, secret: Secret | None) -> Self:
        module = module_for(url, _MODULE_BY_SCHEME)
        product = cast("Product", module.product(url, durable=durable, secret=secret))
        with ExitStack() as opening:
            try:
                writer = product.session(readonly=False)
                opening.callback(writer.close)
                writer.begin_write([schema.LOCK])  # two processes may start at once
                schema.make(writer.connection, metadata)
                writer.commit()
                reader = None if product.single else product.session(readonly=True)
            except Exception as error:
                if (found := product.translated(error)) is not error:
                    raise found from error
                raise
            if reader is not None:
                opening.callback(reader.close)
            return cls(product, writer, reader, opening.pop_all())

    async def add(self, metadata: MetaData) -> None:
        """Bring the tables of another part of the service up to date, too; errors as `open`."""
        await self.write(lambda connection: schema.make(connection, metadata), locks=[schema.LOCK])

    async def write(self, fn: Callable[[Connection], _T], *, locks: Collection[str] = ()) -> _T:
        """What `fn` returned, once everything it wrote is committed; where it raises, nothing of it is kept.

        Functions that queued while an earlier commit ran share the next one, in order; each sees what those before it
        wrote, and undoing one leaves the others alone. A caller that is cancelled does not learn whether it was kept.

        `locks` are names. From before `fn` begins until its commit no other function runs with one of them, in this
        process or in another one: what it reads does not change before it writes.
        """
        return cast("_T", await self._writer.submit(fn, locks))

    async def read(self, fn: Callable[[Connection], _T]) -> _T:
        """What `fn` returned; it sees one state, with every write that was answered before this call."""
        return cast("_T", await self._reader.submit(fn))

    def listener(self, hear: Callable[[str], None], clock: Clock) -> Listener | None:
        """What will call `hear` with what other replicas noted (`words.note`); None where there are none."""
        return self._product.listener(self._writing, hear, clock)

    async def close(self) -> None:
        """Finish what is queued and let the file go. Whatever comes later is `Unavailable` (`STORE_UNREACHABLE`)."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        for worker in (self._reader, self._writer):
            worker.close()
        self._opened.close()
