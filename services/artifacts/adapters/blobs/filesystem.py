"""Bytes in a directory of this machine: durable once acknowledged, shared with nobody."""

import asyncio
import os
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import ParamSpec, TypeVar
from urllib.parse import unquote, urlsplit

from services.artifacts.adapters.blobs.directory import BlobDirectory, Draft, translated
from services.artifacts.ports import BlobAdapter, BlobReader, Presigner, StagedBlob, StoredBlob, Unread
from theory.core.cid import Cid
from theory.core.errors import Invalid, TheoryError, Unavailable, shown

_P = ParamSpec("_P")
_T = TypeVar("_T")

_THREADS = 4
"""Of each kind; reads have their own, so that no flush of a large upload holds them up."""
_GROUP = 128
"""The most drafts that are open at once for batches."""
_SYNC_EVERY_BYTES = 64 * 1024 * 1024
"""How much an upload leaves to the page cache: others sync the whole file system, and would wait for all of it."""


async def open(url: str) -> BlobAdapter:
    """`file:///absolute/directory` or `file:relative`; made where missing."""
    parts = urlsplit(url)
    if parts.netloc or parts.query or parts.fragment or not parts.path:
        raise Invalid("URL_INVALID", "a directory is written file:///path", url=shown(url))
    root = Path(unquote(parts.path))
    try:
        return FilesystemBlobs(await asyncio.to_thread(BlobDirectory, root))
    except OSError as error:
        raise translated(error) from error


class FilesystemBlobs:
    """A `BlobDirectory` behind the port; batches that wait for the disk at the same time share its next sync."""

    kind = "filesystem"
    durable = True
    exclusive = True

    def __init__(self, directory: BlobDirectory) -> None:
        self._directory = directory
        self._reads = ThreadPoolExecutor(_THREADS, thread_name_prefix="blob-reads")
        self._writes = ThreadPoolExecutor(_THREADS, thread_name_prefix="blob-writes")
        self._waiting: list[_Batch] = []
        self._putting: asyncio.Task[None] | None = None

    def sizes(self, cids: Collection[Cid]) -> Mapping[Cid, int]:
        try:
            return {cid: size for cid in cids if (size := self._directory.size_of(cid)) is not None}
        except OSError as error:
            raise translated(error) from error

    async def ready(self) -> None:
        await _run(self._reads, self._directory.look)

    async def presigner(self, public_url: str | None) -> Presigner | None:
        return None

    async def recall(self, cids: Collection[Cid]) -> None:
        """`sizes` always answers."""

    async def missing(self, cids: Sequence[Cid]) -> set[Cid]:
        stored = await _run(self._reads, self.sizes, cids)
        return {cid for cid in cids if cid not in stored}

    async def put_many(self, blobs: Sequence[tuple[Cid, bytes]]) -> list[TheoryError | None]:
        batch = _Batch(blobs, asyncio.get_running_loop().create_future())
        self._waiting.append(batch)
        if self._putting is None:
            self._putting = asyncio.create_task(self._put_waiting(), name="blob-puts")
        return await batch.outcomes

    async def read_many(
        self, cids: Sequence[Cid], *, max_each: int, max_total: int
    ) -> list[bytes | Unread | TheoryError | None]:
        return await _run(self._reads, self._read, cids, max_each, max_total)

    async def stage(self) -> StagedBlob:
        return _Staged(self._directory, self._writes)

    async def open(self, cid: Cid) -> BlobReader | None:
        reader = _Reader(self._directory, self._reads)
        try:
            found = await reader.begin(cid)
        except BaseException:
            await reader.close()
            raise
        return reader if found else None

    async def scan(self, after: Cid | None, limit: int) -> list[StoredBlob]:
        found = await _run(self._reads, self._directory.scan, after.hex if after else "", limit)
        return [
            StoredBlob(Cid.parse(f"b3:{digits}"), size, datetime.fromtimestamp(changed, UTC))
            for digits, size, changed in found
        ]

    async def delete(self, cids: Collection[Cid]) -> None:
        def delete() -> None:
            for cid in cids:
                self._directory.delete(cid)

        await _run(self._writes, delete)

    async def quarantine(self, cid: Cid) -> None:
        await _run(self._writes, self._directory.quarantine, cid)

    async def close(self) -> None:
        while self._putting is not None:
            await asyncio.wait([self._putting])
        for pool in (self._reads, self._writes):
            await asyncio.to_thread(pool.shutdown)
        self._directory.close()

    async def _put_waiting(self) -> None:
        try:
            while self._waiting:
                batches, self._waiting = self._waiting, []
                try:
                    outcomes = await _run(self._writes, self._put, [blob for each in batches for blob in each.blobs])
                except BaseException as error:
                    for batch in batches:
                        batch.fail(error)
                    if not isinstance(error, Exception):
                        raise
                else:
                    left = iter(outcomes)
                    for batch in batches:
                        batch.answer([next(left) for _ in batch.blobs])
        finally:
            self._putting = None

    def _put(self, blobs: Sequence[tuple[Cid, bytes]]) -> list[TheoryError | None]:
        outcome_by_cid: dict[Cid, TheoryError | None] = {}
        todo = {cid: data for cid, data in blobs if self._directory.size_of(cid) is None}
        fresh = list(todo.items())
        for start in range(0, len(fresh), _GROUP):
            outcome_by_cid.update(self._put_group(fresh[start : start + _GROUP]))
        return [outcome_by_cid.get(cid) for cid, _ in blobs]

    def _put_group(self, blobs: Sequence[tuple[Cid, bytes]]) -> dict[Cid, TheoryError | None]:
        outcome_by_cid: dict[Cid, TheoryError | None] = {}
        drafts: list[tuple[Cid, Draft]] = []
        try:
            for cid, data in blobs:
                try:
                    drafts.append((cid, self._draft_of(data)))
                except OSError as error:
                    outcome_by_cid[cid] = translated(error)
            outcomes = self._directory.publish(drafts)
            outcome_by_cid.update({cid: outcome for (cid, _), outcome in zip(drafts, outcomes, strict=True)})
        finally:
            for _, draft in drafts:
                self._directory.discard(draft)
        return outcome_by_cid

    def _draft_of(self, data: bytes) -> Draft:
        draft = self._directory.draft()
        try:
            draft.write(data)
        except BaseException:
            self._directory.discard(draft)
            raise
        return draft

    def _read(self, cids: Sequence[Cid], max_each: int, max_total: int) -> list[bytes | Unread | TheoryError | None]:
        answers: list[bytes | Unread | TheoryError | None] = []
        room = max_total
        for cid in cids:
            try:
                answer = self._read_one(cid, min(max_each, room))
            except OSError as error:
                answer = translated(error)
            if isinstance(answer, bytes):
                room -= len(answer)
            answers.append(answer)
        return answers

    def _read_one(self, cid: Cid, max_bytes: int) -> bytes | Unread | TheoryError | None:
        descriptor = self._directory.open(cid)
        if descriptor is None:
            return None
        try:
            size = os.fstat(descriptor).st_size
            return _pread(descriptor, 0, size) if size <= max_bytes else Unread(size)
        finally:
            os.close(descriptor)


class _Batch:
    """Blobs of one call, and who waits for them."""

    def __init__(self, blobs: Sequence[tuple[Cid, bytes]], outcomes: asyncio.Future[list[TheoryError | None]]) -> None:
        self.blobs = blobs
        self.outcomes = outcomes

    def answer(self, outcomes: list[TheoryError | None]) -> None:
        if not self.outcomes.done():  # whoever asked may have gone away
            self.outcomes.set_result(outcomes)

    def fail(self, error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError):  # the process ends
            self.outcomes.cancel()
        elif not self.outcomes.done():
            self.outcomes.set_exception(error)


class _Closable:
    """Work on one descriptor, a thread at a time.

    A call that is cancelled leaves its thread running. The lock keeps the descriptor from being closed, and its number
    from meaning another file, before that thread is done.
    """

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._closed = False

    async def _work(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return await _run(self._pool, self._locked, lambda: work(*args, **kwargs))

    def _locked(self, work: Callable[[], _T]) -> _T:
        with self._lock:
            if self._closed:
                raise Unavailable("STORE_UNREACHABLE", "the file is closed")
            return work()

    async def _end(self, release: Callable[[], None]) -> None:
        # A second cancellation must not keep the descriptor open.
        await asyncio.shield(_run(self._pool, self._ended, release))

    def _ended(self, release: Callable[[], None]) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                release()


class _Staged(_Closable):
    def __init__(self, directory: BlobDirectory, pool: ThreadPoolExecutor) -> None:
        super().__init__(pool)
        self._directory = directory
        self._draft: Draft | None = None
        self._unsynced_bytes = 0

    async def write(self, chunk: bytes) -> None:
        await self._work(self._write, chunk)

    async def commit(self, cid: Cid) -> None:
        (outcome,) = await self._work(lambda: self._directory.publish([(cid, self._begun())]))
        if outcome is not None:
            raise outcome

    async def discard(self) -> None:
        await self._end(self._discard)

    def _begun(self) -> Draft:
        if self._draft is None:
            self._draft = self._directory.draft()
        return self._draft

    def _write(self, chunk: bytes) -> None:
        draft = self._begun()
        draft.write(chunk)
        self._unsynced_bytes += len(chunk)
        if self._unsynced_bytes >= _SYNC_EVERY_BYTES:
            draft.sync()
            self._unsynced_bytes = 0

    def _discard(self) -> None:
        if self._draft is not None:
            self._directory.discard(self._draft)


class _Reader(_Closable):
    size_bytes = 0

    def __init__(self, directory: BlobDirectory, pool: ThreadPoolExecutor) -> None:
        super().__init__(pool)
        self._directory = directory
        self.descriptor: int | None = None

    async def begin(self, cid: Cid) -> bool:
        """Whether there is such a blob."""
        return await self._work(self._begin, cid)

    async def read(self, offset: int, length: int) -> bytes:
        return await self._work(self._pread, offset, length)

    async def close(self) -> None:
        await self._end(self._close)

    def _begin(self, cid: Cid) -> bool:
        self.descriptor = self._directory.open(cid)
        if self.descriptor is None:
            return False
        self.size_bytes = os.fstat(self.descriptor).st_size
        return True

    def _pread(self, offset: int, length: int) -> bytes:
        return b"" if self.descriptor is None else _pread(self.descriptor, offset, length)

    def _close(self) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)


async def _run(pool: ThreadPoolExecutor, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    try:
        return await asyncio.get_running_loop().run_in_executor(pool, lambda: work(*args, **kwargs))
    except OSError as error:
        raise translated(error) from error


def _pread(descriptor: int, offset: int, length: int) -> bytes:
    """As many bytes as there are, up to `length`: the kernel may hand them out in parts."""
    data = os.pread(descriptor, length, offset)
    while len(data) < length and (more := os.pread(descriptor, length - len(data), offset + len(data))):
        data += more
    return data
