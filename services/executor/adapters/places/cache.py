"""Blobs on the disk of the executor, named by CID, from which worlds are made by hard links."""

import asyncio
import os
import stat
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Self, TypeAlias, cast

from services.drivers.removal import remove_tree
from services.executor.adapters.places.faults import translated
from services.executor.adapters.threads import Threads
from theory.core.cid import Cid, CidHasher
from theory.core.errors import Corrupt

Download: TypeAlias = Callable[[Cid, BinaryIO], Awaitable[None]]
"""Writes a blob of any size; `NotFound` (`BLOB_UNKNOWN`), `Corrupt` (`BLOB_CORRUPT`)."""

_DOWNLOADS = 8
_TRIM_BYTES = 64 * 1024 * 1024
_MODE = 0o444
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class BlobCache:
    """Holds verified blobs; each is downloaded by one task however many attempts wait for it.

    Nothing here is synced: it may be lost, and what a power cut has torn must not be taken for a blob. So the cache
    begins anew with every boot of the machine.
    """

    def __init__(self, root: Path, download: Download, threads: Threads, *, max_bytes: int) -> None:
        self._root = root
        self._download = download
        self._threads = threads
        self._max_bytes = max_bytes
        self._grown_bytes = 0
        self._slots = asyncio.Semaphore(_DOWNLOADS)
        self._running: dict[Cid, asyncio.Task[None]] = {}
        self.descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        """The cache's directory; `name_of` is relative to it."""

    @classmethod
    def open(cls, root: Path, download: Download, threads: Threads, *, max_bytes: int) -> Self:
        """The cache in the directory `root`, made where it is missing."""
        boot = _BOOT_ID.read_text() if _BOOT_ID.exists() else ""
        marker = root / "boot"
        if not marker.exists() or marker.read_text() != boot:
            remove_tree(root)
        remove_tree(root / "drafts")
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        (root / "drafts").mkdir()
        for first in range(256):
            (root / f"{first:02x}").mkdir(exist_ok=True)
        marker.write_text(boot)
        return cls(root, download, threads, max_bytes=max_bytes)

    async def ensure(self, cids: Iterable[Cid]) -> None:
        """Return once every blob is here; the first failure is raised."""
        for task in [self._fetching(cid) for cid in await self._threads.run(self._missing, set(cids))]:
            # Others may wait for the same download: it goes on without this caller.
            await asyncio.shield(task)
        if self._grown_bytes > max(self._max_bytes // 8, _TRIM_BYTES):
            self._grown_bytes = 0
            await self._threads.run(self.trim)

    def trim(self) -> None:
        """Delete what was not used for longest until the rest is within the limit; what a world holds stays."""
        held = sorted(self._unused(), reverse=True)
        total = 0
        for _, size_bytes, blob in held:
            total += size_bytes
            if total > self._max_bytes:
                blob.unlink(missing_ok=True)

    async def close(self) -> None:
        """End the downloads and let the directory go."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        os.close(self.descriptor)

    def _missing(self, cids: set[Cid]) -> list[Cid]:
        return [cid for cid in cids if not self._intact(cid)]

    def _intact(self, cid: Cid) -> bool:
        """Whether the blob is here as it was verified.

        A processor that runs as the executor's own user could change the file that its world shares with this cache,
        and could not without giving it another time.
        """
        try:
            status = os.stat(name_of(cid), dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return stat.S_IMODE(status.st_mode) == _MODE and status.st_mtime_ns == 0

    def _fetching(self, cid: Cid) -> asyncio.Task[None]:
        task = self._running.get(cid)
        if task is None:
            task = self._running[cid] = asyncio.create_task(self._fetch(cid))
            task.add_done_callback(lambda done: self._fetched(cid, done))
        return task

    def _fetched(self, cid: Cid, task: asyncio.Task[None]) -> None:
        del self._running[cid]
        if not task.cancelled():
            task.exception()  # taken note of: whoever waited may have gone

    async def _fetch(self, cid: Cid) -> None:
        async with self._slots:
            draft = await self._threads.run(_Draft.new, self._root / "drafts")
            try:
                await self._download(cid, cast("BinaryIO", draft))
                size_bytes = await self._threads.run(draft.keep_as, cid, self._root / name_of(cid))
                self._grown_bytes += size_bytes  # in a line of its own: other downloads end meanwhile
            finally:
                draft.discard()

    def _unused(self) -> Iterator[tuple[int, int, Path]]:
        """When each blob that no world holds was used last, its size and place: linking it touched its inode."""
        for first in range(256):
            for blob in (self._root / f"{first:02x}").iterdir():
                with suppress(FileNotFoundError):
                    status = blob.lstat()
                    if status.st_nlink == 1:
                        yield status.st_ctime_ns, status.st_size, blob


def name_of(cid: Cid) -> str:
    """Where a blob lies, relative to the cache."""
    return f"{cid.hex[:2]}/{cid.hex[2:]}"


class _Draft:
    """A file that becomes a blob if its bytes are those that were asked for."""

    def __init__(self, descriptor: int, path: str) -> None:
        self._descriptor = descriptor
        self._path: Path | None = Path(path)
        self._hasher = CidHasher()

    @classmethod
    def new(cls, folder: Path) -> Self:
        with translated():
            return cls(*tempfile.mkstemp(dir=folder))

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        """As a binary file's: all that a download needs."""
        view = memoryview(data).cast("B")
        self._hasher.update(view)
        rest = view
        with translated():
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        return len(view)

    def keep_as(self, cid: Cid, place: Path) -> int:
        """Give the file its name; returns its size."""
        if self._path is None or self._hasher.cid() != cid:
            raise Corrupt("BLOB_CORRUPT", "the bytes that came are not the blob's", cid=cid.text)
        with translated():
            os.fchmod(self._descriptor, _MODE)
            os.utime(self._descriptor, ns=(0, 0))  # the same in every world, and a sign that nobody wrote since
            self._path.replace(place)
        self._path = None
        return self._hasher.size_bytes

    def discard(self) -> None:
        os.close(self._descriptor)
        if self._path is not None:
            self._path.unlink()
