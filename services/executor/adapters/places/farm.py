"""Worlds: directories of hard links to the blobs of the cache."""

import errno
import os
import shutil
from collections.abc import Iterable
from contextlib import closing, suppress

from services.executor.adapters.places.cache import BlobCache, name_of
from theory.core.cid import Cid
from theory.core.world_path import WorldPath

_NO_LINK = frozenset({errno.EMLINK, errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP})
_FOLDER_MODE = 0o555


class BlobGone(Exception):
    """A blob has left the cache since it was last seen there: fetch it and begin again."""


def plant(root: int, inputs: Iterable[tuple[WorldPath, Cid]], cache: BlobCache) -> None:
    """Lay out the inputs below the directory `root`; what is there already stays. `BlobGone`, `OSError`.

    Links are made relative to two descriptors, so no path is walked from the root of the file system.
    """
    by_folder: dict[str, dict[str, Cid]] = {}
    for path, cid in inputs:
        folder, _, name = path.text[1:].rpartition("/")
        by_folder.setdefault(folder, {})[name] = cid
    folders = {parent for folder in by_folder for parent in _with_parents(folder)}
    for folder in sorted(folders):
        with suppress(FileExistsError):
            os.mkdir(folder, 0o700, dir_fd=root)
    for folder, entries in by_folder.items():
        with closing(_Folder(root, folder)) as into:
            for name, cid in entries.items():
                _link(cache, cid, into.descriptor, name)
    for folder in folders:
        os.chmod(folder, _FOLDER_MODE, dir_fd=root)
    os.fchmod(root, _FOLDER_MODE)


class _Folder:
    def __init__(self, root: int, name: str) -> None:
        self.descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root)

    def close(self) -> None:
        os.close(self.descriptor)


def _with_parents(folder: str) -> Iterable[str]:
    at = len(folder)
    while at > 0:
        yield folder[:at]
        at = folder.rfind("/", 0, at)


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
    source = os.open(name_of(cid), os.O_RDONLY | os.O_CLOEXEC, dir_fd=cache.descriptor)
    with os.fdopen(source, "rb") as blob, os.fdopen(os.open(name, flags, 0o444, dir_fd=folder), "wb") as copy:
        shutil.copyfileobj(blob, copy)
        copy.flush()
        os.utime(copy.fileno(), ns=(0, 0))
