"""Blobs on a disk of this machine, named by CID, from which worlds are made by hard links."""

import asyncio
import fcntl
import os
import stat
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO, ParamSpec, Protocol, Self, TypeAlias, TypeVar, cast

from theory.core.cid import Cid, CidHasher
from theory.world.draft import BLOB_MODE, Draft, Faults, sweep
from theory.world.removal import remove_tree

Download: TypeAlias = Callable[[Cid, BinaryIO], Awaitable[None]]
"""Writes a blob of any size; `NotFound` (`BLOB_UNKNOWN`), `Corrupt` (`BLOB_CORRUPT`)."""

DEFAULT_CACHE_BYTES = 10 * 1024**3
_DOWNLOADS = 8
_TRIM_BYTES = 64 * 1024 * 1024
_PIECE_BYTES = 1024 * 1024
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Threads(Protocol):
    """Runs blocking functions beside the event loop."""

    async def run(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """What `fn` returns or raises. A caller that is cancelled leaves once it has ended."""
        ...


class BlobCache:
    """Holds verified blobs; each is downloaded by one task however many of this process wait for it.

    Several processes may use one directory at once: a blob appears whole or not at all, nobody touches a draft whose
    writer lives, and what one trims away while another is about to use it is `BlobGone` there, which fetches it again.

    Nothing here is synced: it may be lost, and what a power cut has torn must not be taken for a blob. So the cache
    begins anew with every boot of the machine.
    """

    def __init__(
        self,
        root: Path,
        download: Download,
        threads: Threads,
        *,
        max_bytes: int,
        faults: Faults,
        downloads: int,
    ) -> None:
        self._root = root
        self._download = download
        self._threads = threads
        self._max_bytes = max_bytes
        self._faults = faults
        self._grown_bytes = 0
        self._slots = asyncio.Semaphore(downloads)
        self._running: dict[Cid, asyncio.Task[None]] = {}
        self.descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        """The cache's directory; `name_of` is relative to it."""

    @classmethod
    def open(
        cls,
        root: Path,
        download: Download,
        threads: Threads,
        *,
        max_bytes: int = DEFAULT_CACHE_BYTES,
        faults: Faults = nullcontext,
        downloads: int = _DOWNLOADS,
    ) -> Self:
        """The cache in the directory `root`, made where it is missing. Of blobs, so many are downloaded at once."""
        with faults():
            _make(root)
            return cls(root, download, threads, max_bytes=max_bytes, faults=faults, downloads=downloads)

    async def ensure(self, cids: Iterable[Cid], *, verify: bool = False) -> None:
        """Return once every blob is here; the first failure is raised.

        A blob that was changed since it came is fetched again: where its mode or its time tells so, and with `verify`
        where its bytes do. All of them stay until they are linked, however little the cache may hold: it is trimmed
        before they come.
        """
        wanted = set(cids)
        if self._grown_bytes > max(self._max_bytes // 8, _TRIM_BYTES):
            self._grown_bytes = 0
            await self._threads.run(self.trim, wanted)
        for task in [self._fetching(cid) for cid in await self._threads.run(self._missing, wanted, verify=verify)]:
            # Others may wait for the same download: it goes on without this caller.
            await asyncio.shield(task)

    def trim(self, keep: Collection[Cid] = ()) -> None:
        """Delete what was not used for longest until the rest is within the limit; what a world holds stays."""
        kept = {name_of(cid) for cid in keep}
        total = 0
        for _, size_bytes, blob in sorted(self._unused(), reverse=True):
            total += size_bytes
            if total > self._max_bytes and f"{blob.parent.name}/{blob.name}" not in kept:
                blob.unlink(missing_ok=True)

    async def close(self) -> None:
        """End the downloads and let the directory go."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        os.close(self.descriptor)

    def _missing(self, cids: set[Cid], *, verify: bool) -> list[Cid]:
        with self._faults():
            return [cid for cid in cids if not self._intact(cid) or (verify and not self._sound(cid))]

    def _intact(self, cid: Cid) -> bool:
        """Whether the blob is here as it was verified.

        A processor that runs as the executor's own user could change the file that its world shares with this cache,
        and could not without giving it another time.
        """
        try:
            status = os.stat(name_of(cid), dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return untouched(status)

    def _sound(self, cid: Cid) -> bool:
        try:
            descriptor = os.open(name_of(cid), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.descriptor)
        except FileNotFoundError:
            return False
        return cid_of(descriptor) == cid

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
            draft = await self._threads.run(Draft.new, self._root / _DRAFTS, self._faults)
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


def untouched(status: os.stat_result) -> bool:
    """Whether this is a file as the cache made it: nobody changed its mode, or wrote to it and left its time alone."""
    return status.st_mtime_ns == 0 and status.st_mode == _UNTOUCHED


def cid_of(descriptor: int) -> Cid:
    """The CID of what a descriptor holds, which is closed."""
    hasher = CidHasher()
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        while piece := file.read(_PIECE_BYTES):
            hasher.update(piece)
    return hasher.cid()


def boot_id() -> str:
    """What tells this boot of the machine from others; empty where nothing does."""
    return _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""


_DRAFTS = "drafts"
_UNTOUCHED = stat.S_IFREG | BLOB_MODE


def _make(root: Path) -> None:
    """Make what is missing of a cache's directory, and empty it where it is of an earlier boot."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(root):
        boot, marker = boot_id(), root / "boot"
        fresh = marker.exists() and marker.read_text().strip() == boot
        for name in (_DRAFTS, *(f"{first:02x}" for first in range(256))):
            if not fresh and name != _DRAFTS:
                remove_tree(root / name)
            with suppress(FileExistsError):
                (root / name).mkdir(mode=0o700)
        sweep(root / _DRAFTS)
        if not fresh:
            draft = root / "boot.draft"
            draft.write_text(boot)
            draft.replace(marker)


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """While other processes that open the same cache wait."""
    descriptor = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
