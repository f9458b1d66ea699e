"""A directory of blobs, one read-only file each, and what it takes to give a file its name only when it is whole.

The name is made by `linkat` from a file that had none: the kernel lets one of many racing writers make it, and a crash
before it leaves nothing behind. Bytes reach the disk before their name exists, so whatever has a name is whole, also
after a power cut; the name itself is on the disk before anyone is told of it.
"""

import ctypes
import errno
import fcntl
import os
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path

from theory.core.cid import Cid
from theory.core.errors import Exhausted, NotReady, TheoryError, Unavailable

_FEW = 4
"""Up to so many files are synced one by one; for more, syncing the whole file system is cheaper (measured)."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_STAGING = "staging"
QUARANTINE = "quarantine"
"""The folder of damaged blobs, called by their digits."""
_DIGITS = re.compile(r"[0-9a-f]{64}").fullmatch
_LOOK = bytes(4096)
"""One block: on a disk that is almost full nobody else shall miss it."""
_LIBC = ctypes.CDLL(None, use_errno=True)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_UNNAMED_FILES = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL})


def translated(error: OSError) -> TheoryError:
    """`error` in our words, without a path of the machine."""
    if error.errno in _FULL:
        return Exhausted("DISK_FULL", "the disk of the blob store is full")
    return Unavailable("STORE_UNREACHABLE", f"the blob store failed: {os.strerror(error.errno or errno.EIO)}")


class Draft:
    """A file without a place yet. After any error it may only be closed: what the kernel kept of it is unknown."""

    def __init__(self, descriptor: int, name: str | None) -> None:
        self.descriptor = descriptor
        self.name = name
        """Its temporary name, where the file system has no unnamed files."""

    def write(self, data: bytes) -> None:
        """Write all of `data` behind what is there."""
        view = memoryview(data)
        while view:
            view = view[os.write(self.descriptor, view) :]

    def sync(self) -> None:
        """Bring what was written to the disk."""
        os.fdatasync(self.descriptor)


class BlobDirectory:
    """Files `ab/cdef...` by CID. Safe to use from several threads; one process at a time may have it open.

    Errors are `OSError`, but `publish` answers in our words, per blob.
    """

    def __init__(self, root: Path) -> None:
        """Open `root`, made where missing; `NotReady` (`HOME_LOCKED`) where another process has it open."""
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = root
        self._root = os.open(root, _DIRECTORY)
        self._proc = -1
        try:
            self._lock(root)
            self._proc = os.open("/proc/self/fd", _DIRECTORY)
            for name in (_STAGING, *(f"{first:02x}" for first in range(256))):
                with suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=self._root)
            self._sweep(root)
            self._numbers = count()
            self._unnamed = self._has_unnamed_files()
            # A name that an earlier process gave and did not live to sync counts from now on.
            self._sync_everything()
        except BaseException:
            self.close()
            raise
        # Names that are there and may not be on the disk: nobody may rely on them.
        self._unsynced: set[str] = set()

    def look(self) -> None:
        """Return where the directory still stands at its path, and takes bytes.

        `NotReady` (`STORE_MISSING`) where it was removed, or another one lies there, such as an empty mount point.
        """
        try:
            stands = os.path.samestat(self._path.stat(), os.fstat(self._root))
        except FileNotFoundError:
            stands = False
        if not stands:
            raise NotReady("STORE_MISSING", "the directory of the blobs is gone from its path")
        draft = self.draft()
        try:
            draft.write(_LOOK)  # what a full disk, a quota or a read-only mount refuses; gone before it is synced
        finally:
            self.discard(draft)

    def size_of(self, cid: Cid) -> int | None:
        """The length of a blob that is there for good; None for any other."""
        name = _name_of(cid)
        try:
            size = os.stat(name, dir_fd=self._root).st_size
        except FileNotFoundError:
            return None
        # In this order: a name is noted as not synced before it appears.
        return None if name in self._unsynced else size

    def open(self, cid: Cid) -> int | None:
        """A descriptor for reading; None where there is no such blob."""
        try:
            return os.open(_name_of(cid), os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._root)
        except FileNotFoundError:
            return None

    def scan(self, after: str, limit: int) -> list[tuple[str, int, float]]:
        """Digits, length and time of change of the first `limit` blobs behind the digits `after`, in order."""
        found: list[tuple[str, int, float]] = []
        for first in range(int(after[:2] or "0", 16), 256):
            behind = sorted(digits for digits in self._digits_in(f"{first:02x}") if digits > after)
            for digits in behind:
                if (seen := self._seen(digits)) is not None:
                    found.append((digits, *seen))
                if len(found) == limit:
                    return found
        return found

    def delete(self, cid: Cid) -> None:
        """Remove a blob. After a power cut it may be there again, as one that nobody needs."""
        name = _name_of(cid)
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._root)
        self._unsynced.discard(name)

    def quarantine(self, cid: Cid) -> None:
        """Move a blob out of the way; in place of what lay there under its name."""
        with suppress(FileExistsError):
            os.mkdir(QUARANTINE, 0o700, dir_fd=self._root)
        name = _name_of(cid)
        with suppress(FileNotFoundError):
            os.rename(name, f"{QUARANTINE}/{cid.hex}", src_dir_fd=self._root, dst_dir_fd=self._root)
        self._sync_names([name])

    def draft(self) -> Draft:
        """A new file to write."""
        if self._unnamed:
            flags = os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC
            return Draft(os.open(".", flags, 0o444, dir_fd=self._root), None)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        name = f"{_STAGING}/{next(self._numbers)}"
        return Draft(os.open(name, flags, 0o444, dir_fd=self._root), name)

    def discard(self, draft: Draft) -> None:
        """Close a draft and leave nothing of it, but for the name that `publish` gave it."""
        if draft.descriptor < 0:
            return
        descriptor, draft.descriptor = draft.descriptor, -1
        with suppress(OSError):  # closed all the same; what has a name was synced before, and the rest is not wanted
            os.close(descriptor)
        if draft.name is not None:
            with suppress(FileNotFoundError):
                os.unlink(draft.name, dir_fd=self._root)

    def publish(self, drafts: Sequence[tuple[Cid, Draft]]) -> list[TheoryError | None]:
        """Give each draft the name of its CID, durably; one outcome each, in order. A name that is there is as good."""
        outcomes: list[TheoryError | None] = [None] * len(drafts)
        self._sync_bytes([draft for _, draft in drafts], outcomes)
        names: list[str] = []
        for at, (cid, draft) in enumerate(drafts):
            if outcomes[at] is None:
                names.append(name := _name_of(cid))
                self._unsynced.add(name)
                try:
                    self._link(draft, name)
                except OSError as error:
                    outcomes[at] = translated(error)
        try:
            self._sync_names(names)
        except OSError as error:
            # What has a name now stays noted as not synced: the next who puts it syncs it, or fails as well.
            return [translated(error)] * len(drafts)
        self._unsynced.difference_update(names)
        return outcomes

    def close(self) -> None:
        """Let the directory go, to be opened by someone else."""
        for descriptor in (self._proc, self._root):
            if descriptor >= 0:
                os.close(descriptor)
        self._proc = self._root = -1

    def _digits_in(self, directory: str) -> list[str]:
        descriptor = os.open(directory, _DIRECTORY, dir_fd=self._root)
        try:
            with os.scandir(descriptor) as entries:
                return [digits for each in entries if _DIGITS(digits := directory + each.name)]
        finally:
            os.close(descriptor)

    def _seen(self, digits: str) -> tuple[int, float] | None:
        try:
            found = os.stat(f"{digits[:2]}/{digits[2:]}", dir_fd=self._root)
        except FileNotFoundError:
            return None
        return found.st_size, found.st_mtime

    def _link(self, draft: Draft, name: str) -> None:
        with suppress(FileExistsError):
            if draft.name is not None:
                os.link(draft.name, name, src_dir_fd=self._root, dst_dir_fd=self._root)
            else:
                # Only with a directory's descriptor does CPython call linkat with AT_SYMLINK_FOLLOW, as this needs.
                source = str(draft.descriptor)
                os.link(source, name, src_dir_fd=self._proc, dst_dir_fd=self._root, follow_symlinks=True)

    def _sync_bytes(self, drafts: Sequence[Draft], outcomes: list[TheoryError | None]) -> None:
        if len(drafts) > _FEW:
            try:
                self._sync_everything()
            except OSError as error:
                outcomes[:] = [translated(error)] * len(drafts)
            return
        for at, draft in enumerate(drafts):
            try:
                draft.sync()
            except OSError as error:
                outcomes[at] = translated(error)

    def _sync_names(self, names: Iterable[str]) -> None:
        directories = {name[:2] for name in names}
        if len(directories) > _FEW:
            self._sync_everything()
            return
        for directory in directories:
            descriptor = os.open(directory, _DIRECTORY, dir_fd=self._root)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _sync_everything(self) -> None:
        if _LIBC.syncfs(self._root):
            raise OSError(ctypes.get_errno(), "syncfs")

    def _has_unnamed_files(self) -> bool:
        self._unnamed = True
        try:
            probe = self.draft()
        except OSError as error:
            if error.errno in _NO_UNNAMED_FILES:
                return False
            raise
        os.close(probe.descriptor)
        return True

    def _sweep(self, root: Path) -> None:
        """Remove the temporary names that an earlier process left."""
        for left in (root / _STAGING).iterdir():
            left.unlink()

    def _lock(self, root: Path) -> None:
        try:
            fcntl.flock(self._root, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotReady("HOME_LOCKED", f"another process keeps its blobs in {root}", path=str(root)) from None


def _name_of(cid: Cid) -> str:
    digits = cid.hex
    return f"{digits[:2]}/{digits[2:]}"
