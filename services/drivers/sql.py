"""One SQL database of a service: a writer thread that commits in groups, and a reader thread beside it."""

import asyncio
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Any, Self, TypeVar, cast

from sqlalchemy import Column, Connection, Integer, MetaData, Table, insert, select, update

from services.drivers import sqlite
from theory.core.errors import NotReady, Unavailable

_T = TypeVar("_T")

_MAX_BATCH = 1_000
_SCHEMA_VERSION = Table("schema_version", MetaData(), Column("version", Integer, nullable=False))


class Database:
    """What the adapters of a service keep, in one file or in memory.

    A function given to `write` or `read` runs on a thread of this database with a connection, and returns plain values:
    no result, row iterator or connection may leave it. It does SQL and computation, never waits for anything else, and
    holds up everyone behind it while it runs.

    What a function raises reaches its caller as it was raised, an `IntegrityError` of SQLAlchemy included; only a
    failing store speaks in our words: `Exhausted` (`DISK_FULL`), `Unavailable` (`STORE_UNREACHABLE`), `Corrupt`
    (`STORE_CORRUPT`).
    """

    def __init__(self, writer: Connection, reader: Connection | None, opened: ExitStack) -> None:
        self._writer = _Worker("sql-writer", _Writes(writer))
        # Two connections to a database in memory would be two databases: there reads queue with the writes.
        self._reader = self._writer if reader is None else _Worker("sql-reader", _Reads(reader))
        self._opened = opened

    @classmethod
    async def open(cls, url: str, metadata: MetaData, *, durable: bool) -> Self:
        """The database at `url` (`sqlite:///path` or `memory:`) with every table of `metadata`, made where missing.

        `durable`: an answered write survives a power cut; otherwise the last few may not, though they survive a kill.
        `metadata.info["version"]` (default 1) numbers the schema: `NotReady` (`SCHEMA_NEWER`) where the store was made
        by a newer one. `Invalid` (`URL_INVALID`) for any other address.
        """
        return await asyncio.to_thread(cls._open, url, metadata, durable=durable)

    @classmethod
    def _open(cls, url: str, metadata: MetaData, *, durable: bool) -> Self:
        path = sqlite.path_of(url)
        with ExitStack() as opening:
            try:
                writer = sqlite.connect(path, durable=durable, readonly=False)
                opening.callback(sqlite.disconnect, writer)
                _make_schema(writer, metadata)
                reader = None if path is None else sqlite.connect(path, durable=durable, readonly=True)
            except Exception as error:
                if (found := sqlite.translated(error)) is not error:
                    raise found from error
                raise
            if reader is not None:
                opening.callback(sqlite.disconnect, reader)
            return cls(writer, reader, opening.pop_all())

    async def write(self, fn: Callable[[Connection], _T]) -> _T:
        """What `fn` returned, once everything it wrote is committed; where it raises, nothing of it is kept.

        Functions that queued while an earlier commit ran share the next one, in order; each sees what those before it
        wrote, and undoing one leaves the others alone. A caller that is cancelled does not learn whether it was kept.
        """
        return cast("_T", await self._writer.submit(fn))

    async def read(self, fn: Callable[[Connection], _T]) -> _T:
        """What `fn` returned; it sees one state, with every write that was answered before this call."""
        return cast("_T", await self._reader.submit(fn))

    async def close(self) -> None:
        """Finish what is queued and let the file go. Whatever comes later is `Unavailable` (`STORE_UNREACHABLE`)."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        for worker in (self._reader, self._writer):
            worker.close()
        self._opened.close()


class _Job:
    """A function, and who waits for it."""

    __slots__ = ("error", "fn", "future", "result")

    def __init__(self, fn: Callable[[Connection], object], future: asyncio.Future[Any]) -> None:
        self.fn = fn
        self.future = future
        self.result: object = None
        self.error: BaseException | None = None

    def run(self, connection: Connection) -> bool:
        """Whether it went well."""
        try:
            self.result = self.fn(connection)
        except BaseException as error:  # noqa: BLE001 - it is the caller's; the thread has to go on
            self.fail(error)
        return self.error is None

    def fail(self, error: BaseException) -> None:
        self.result = None
        self.error = sqlite.translated(error)
        if isinstance(self.error, StopIteration):
            self.error = RuntimeError("a function for the database raised StopIteration")

    def answer(self) -> None:
        if self.future.done():  # its caller went away
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class _Worker:
    """A thread that takes whatever has queued, runs it as one batch, and wakes each event loop once per batch."""

    def __init__(self, name: str, run: Callable[[Sequence[_Job]], None]) -> None:
        self._run = run
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        # A process that ends without closing loses nothing that was answered: the thread need not hold it up.
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[[Connection], object]) -> asyncio.Future[Any]:
        if self._closed:
            raise _closed()
        job = _Job(fn, asyncio.get_running_loop().create_future())
        self._queue.put(job)
        return job.future

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        last = False
        while not last:
            batch, last = self._next_batch()
            # Who left before the work began asked for nothing.
            jobs = [job for job in batch if not job.future.cancelled()]
            if jobs:
                self._run(jobs)
                _answer(jobs)

    def _next_batch(self) -> tuple[list[_Job], bool]:
        job = self._queue.get()
        batch: list[_Job] = []
        while job is not None:
            batch.append(job)
            if len(batch) == _MAX_BATCH:
                return batch, False
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True


class _Writes:
    """Runs a batch as one transaction, each function inside a savepoint of its own."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._transaction = sqlite.Transaction(connection)

    def __call__(self, jobs: Sequence[_Job]) -> None:
        try:
            self._transaction.begin_write()
            if len(jobs) > 1:
                self._run_each(jobs)
            elif not jobs[0].run(self._connection):
                self._transaction.roll_back()
                return
            self._transaction.commit()
        except BaseException as error:  # noqa: BLE001 - each caller gets it; the thread has to go on
            self._transaction.roll_back()
            _fail(jobs, error)

    def _run_each(self, jobs: Iterable[_Job]) -> None:
        transaction = self._transaction
        for job in jobs:
            transaction.save()
            if not job.run(self._connection):
                if job.error is not None and not transaction.open:
                    # A full disk and its like undo the whole transaction: the others have lost their work, too.
                    raise job.error
                transaction.undo()
            transaction.release()


class _Reads:
    """Runs a batch on one state of the database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._transaction = sqlite.Transaction(connection)

    def __call__(self, jobs: Sequence[_Job]) -> None:
        try:
            self._transaction.begin_read()
            for job in jobs:
                job.run(self._connection)
            self._transaction.commit()
        except BaseException as error:  # noqa: BLE001 - each caller gets it; the thread has to go on
            self._transaction.roll_back()
            _fail(jobs, error)


def _fail(jobs: Iterable[_Job], error: BaseException) -> None:
    for job in jobs:
        if job.error is None:
            job.fail(error)


def _answer(jobs: Sequence[_Job]) -> None:
    jobs_by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in jobs:
        jobs_by_loop.setdefault(job.future.get_loop(), []).append(job)
    for loop, answered in jobs_by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_answer_each, answered)


def _answer_each(jobs: Sequence[_Job]) -> None:
    for job in jobs:
        job.answer()


def _closed() -> Unavailable:
    return Unavailable("STORE_UNREACHABLE", "the store is closed")


def _make_schema(connection: Connection, metadata: MetaData) -> None:
    known = int(metadata.info.get("version", 1))
    transaction = sqlite.Transaction(connection)
    transaction.begin_write()  # two processes may start at once
    try:
        _SCHEMA_VERSION.create(connection, checkfirst=True)
        found = connection.scalar(select(_SCHEMA_VERSION.c.version))
        if found is None:
            connection.execute(insert(_SCHEMA_VERSION).values(version=known))
        elif found > known:
            message = f"the store has schema {found}, this program knows {known}: run a newer one"
            raise NotReady("SCHEMA_NEWER", message, found=str(found), known=str(known))
        metadata.create_all(connection)
        connection.execute(update(_SCHEMA_VERSION).values(version=known))
        transaction.commit()
    except BaseException:
        transaction.roll_back()
        raise
