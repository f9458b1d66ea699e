"""Threads that run functions on a connection, in groups: one transaction and one wake-up each."""

import asyncio
import queue
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection

from services.drivers.sql.ports import Product, Session
from theory.core.errors import Unavailable

_MAX_BATCH = 1_000
_TRIES = 5


class Job:
    """A function, and who waits for it."""

    __slots__ = ("error", "fn", "future", "locks", "result")

    def __init__(self, fn: Callable[[Connection], object], locks: Collection[str], future: asyncio.Future[Any]) -> None:
        self.fn = fn
        self.locks = locks
        self.future = future
        self.result: object = None
        self.error: BaseException | None = None

    def run(self, connection: Connection) -> bool:
        """Whether it went well."""
        try:
            self.error = None
            self.result = self.fn(connection)
        except BaseException as error:  # noqa: BLE001 - it is the caller's; the thread has to go on
            self.error = error
        return self.error is None

    def answer(self) -> None:
        """Tell who waits. On their event loop."""
        if self.future.done():  # its caller went away
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class Worker:
    """A thread that takes whatever has queued, runs it as one batch, and wakes each event loop once per batch."""

    def __init__(self, name: str, run: Callable[[Sequence[Job]], None], product: Product) -> None:
        self._run = run
        self._product = product
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._closed = False
        # A process that ends without closing loses nothing that was answered: the thread need not hold it up.
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[[Connection], object], locks: Collection[str] = ()) -> asyncio.Future[Any]:
        """What `fn` will have returned."""
        if self._closed:
            raise _closed()
        job = Job(fn, locks, asyncio.get_running_loop().create_future())
        self._queue.put(job)
        return job.future

    def close(self) -> None:
        """Finish what is queued."""
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
                for job in jobs:
                    if job.error is not None:
                        job.error = _speakable(self._product.translated(job.error))
                _answer(jobs)

    def _next_batch(self) -> tuple[list[Job], bool]:
        job = self._queue.get()
        batch: list[Job] = []
        while job is not None:
            batch.append(job)
            if len(batch) == _MAX_BATCH:
                return batch, False
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True


class Writes:
    """Runs a batch as one transaction, each function inside a savepoint of its own.

    A transaction that lost against another one, or whose connection was lost before the commit was asked for, is run
    again: nothing of it was kept. Where the connection is lost over the commit, nobody knows, and nothing is repeated.
    """

    def __init__(self, session: Session, product: Product) -> None:
        self._session = session
        self._product = product

    def __call__(self, jobs: Sequence[Job]) -> None:
        """Run them all; each has its result or its error afterwards."""
        session = self._session
        locks = frozenset().union(*(job.locks for job in jobs))
        renewed = False
        for left in reversed(range(_TRIES)):
            committing = False
            try:
                if session.lost:
                    renewed = True
                    session.renew()
                session.begin_write(locks)
                if not self._run(jobs):
                    session.roll_back()
                    return
                committing = True
                session.commit()
                return
            except BaseException as error:  # noqa: BLE001 - each caller gets it; the thread has to go on
                session.roll_back()
                undone = not committing and not renewed if session.lost else self._product.passing(error)
                if not undone or not left:
                    _fail(jobs, error)
                    return

    def _run(self, jobs: Sequence[Job]) -> bool:
        """Whether there is anything to commit."""
        if len(jobs) > 1:
            self._run_each(jobs)
            return True
        [job] = jobs
        if not job.run(self._session.connection):
            self._require_standing(job)
        return job.error is None

    def _run_each(self, jobs: Iterable[Job]) -> None:
        session = self._session
        for job in jobs:
            session.save()
            if not job.run(session.connection):
                self._require_standing(job)
                session.undo()
            session.release()

    def _require_standing(self, job: Job) -> None:
        if job.error is not None and (not self._session.open or self._product.passing(job.error)):
            # A full disk and its like undo the whole transaction: the others have lost their work, too.
            raise job.error


class Reads:
    """Runs a batch on one state of the database."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(self, jobs: Sequence[Job]) -> None:
        """Run them all; each has its result or its error afterwards."""
        session = self._session
        done = 0
        try:
            for job in jobs:
                self._begin()
                if not job.run(session.connection):
                    session.roll_back()  # a product may take nothing more behind an error
                    if session.lost:
                        self._begin()
                        job.run(session.connection)
                done += 1
            if session.open:
                session.commit()
        except BaseException as error:  # noqa: BLE001 - each caller gets it; the thread has to go on
            session.roll_back()
            _fail(jobs[done:], error)

    def _begin(self) -> None:
        session = self._session
        if session.open:
            return
        if not session.lost:
            try:
                session.begin_read()
            except BaseException:
                if not session.lost:
                    raise
            else:
                return
        session.renew()
        session.begin_read()


def _fail(jobs: Iterable[Job], error: BaseException) -> None:
    for job in jobs:
        if job.error is None:
            job.result = None
            job.error = error


def _speakable(error: BaseException) -> BaseException:
    if isinstance(error, StopIteration):  # a future refuses it
        return RuntimeError("a function for the database raised StopIteration")
    return error


def _answer(jobs: Sequence[Job]) -> None:
    jobs_by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        jobs_by_loop.setdefault(job.future.get_loop(), []).append(job)
    for loop, answered in jobs_by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_answer_each, answered)


def _answer_each(jobs: Sequence[Job]) -> None:
    for job in jobs:
        job.answer()


def _closed() -> Unavailable:
    return Unavailable("STORE_UNREACHABLE", "the store is closed")
