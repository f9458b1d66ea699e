"""Worlds: directories of hard links to the blobs of the cache."""

import errno
import os
import shutil
from collections.abc import Iterable

from theory.core.cid import Cid
from theory.core.world_path import WorldPath
from theory.world.cache import BlobCache, name_of
from theory.world.file import Tree, tree_of

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FOLDER_MODE = 0o555
_OPEN_MODE = 0o700
_NO_LINK = frozenset({errno.EMLINK, errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP})


class BlobGone(Exception):
    """A blob has left the cache since it was last seen there: fetch it and begin again."""


def plant(root: int, inputs: Iterable[tuple[WorldPath, Cid]], cache: BlobCache) -> None:
    """Lay out the inputs below the directory `root`; what is there already stays. `BlobGone`, `OSError`."""
    grow(root, tree_of(inputs), cache)
    os.fchmod(root, FOLDER_MODE)


def grow(folder: int, tree: Tree, cache: BlobCache) -> None:
    """Lay out a tree in a folder; whichever folder gets something is read-only then. `BlobGone`, `OSError`.

    Each folder is opened in the one above it and links are made relative to two descriptors: no path is walked, and
    nothing leads out by a symbolic link.
    """
    opened = False
    for name, what in tree.items():
        inner = _inner(folder, name) if isinstance(what, dict) else None
        if inner is None and not opened:
            os.fchmod(folder, _OPEN_MODE)
            opened = True
        if not isinstance(what, dict):
            _link(cache, what, folder, name)
            continue
        if inner is None:
            os.mkdir(name, _OPEN_MODE, dir_fd=folder)
            inner = os.open(name, FOLDER, dir_fd=folder)
        try:
            grow(inner, what, cache)
        finally:
            os.close(inner)
    if opened:
        os.fchmod(folder, FOLDER_MODE)


def _inner(folder: int, name: str) -> int | None:
    try:
        return os.open(name, FOLDER, dir_fd=folder)
    except FileNotFoundError:
        return None


def _link(cache: BlobCache, cid: Cid, folder: int, name: str) -> None:
    try:
        os.link(name_of(cid), name, src_dir_fd=cache.descriptor, dst_dir_fd=folder)
    except FileExistsError:
        return
    except FileNotFoundError as error:
        raise BlobGone(cid.text) from error
    except OSError as error:
        # A file has at most 65,000 names on ext4; some file systems have no second names at all.
        if error.errno not in _NO_LINK:
            raise
        _copy(cache, cid, folder, name)


def _copy(cache: BlobCache, cid: Cid, folder: int, name: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        source = os.open(name_of(cid), os.O_RDONLY | os.O_CLOEXEC, dir_fd=cache.descriptor)
    except FileNotFoundError as error:
        raise BlobGone(cid.text) from error
    with os.fdopen(source, "rb") as blob, os.fdopen(os.open(name, flags, 0o444, dir_fd=folder), "wb") as copy:
        shutil.copyfileobj(blob, copy)
        copy.flush()
        os.utime(copy.fileno(), ns=(0, 0))
