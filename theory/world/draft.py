"""Files on their way into a cache that several processes share: whose writer lives, nobody touches."""

import fcntl
import os
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Self, TypeAlias

from theory.core.cid import Cid, CidHasher
from theory.core.errors import Corrupt

Faults: TypeAlias = Callable[[], AbstractContextManager[None]]
"""Puts what the operating system refuses into the words of whoever uses the cache."""

BLOB_MODE = 0o444


class Draft:
    """A file that becomes a blob if its bytes are those that were asked for. It is locked as long as it is written."""

    def __init__(self, descriptor: int, path: Path, faults: Faults) -> None:
        self._descriptor = descriptor
        self._path: Path | None = path
        self._faults = faults
        self._hasher = CidHasher()

    @classmethod
    def new(cls, folder: Path, faults: Faults = nullcontext) -> Self:
        """An empty draft. `OSError`, unless `faults` says it otherwise, here and below."""
        with faults():
            while True:
                descriptor, name = tempfile.mkstemp(dir=folder)
                fcntl.flock(descriptor, fcntl.LOCK_EX)  # who sweeps holds it for a moment
                if os.fstat(descriptor).st_nlink:
                    return cls(descriptor, Path(name), faults)
                os.close(descriptor)  # swept between these lines

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        """As a binary file's: all that a download needs."""
        view = memoryview(data).cast("B")
        self._hasher.update(view)
        rest = view
        with self._faults():
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        return len(view)

    def keep_as(self, cid: Cid, place: Path) -> int:
        """Give the file its name; returns its size. `Corrupt` (`BLOB_CORRUPT`) where it holds other bytes."""
        if self._path is None or self._hasher.cid() != cid:
            raise Corrupt("BLOB_CORRUPT", "the bytes that came are not the blob's", cid=cid.text)
        with self._faults():
            os.fchmod(self._descriptor, BLOB_MODE)
            os.utime(self._descriptor, ns=(0, 0))  # the same in every world, and a sign that nobody wrote since
            self._path.replace(place)
        self._path = None
        return self._hasher.size_bytes

    def discard(self) -> None:
        """Let the file go; where it became no blob, delete it."""
        os.close(self._descriptor)
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Delete the drafts whose writers are gone. `OSError`."""
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            except BlockingIOError:
                continue
            finally:
                os.close(descriptor)
