"""Deleting a tree that somebody hostile has filled: any depth, any names, no recursion, two descriptors at a time."""

import errno
import os
from itertools import count, islice
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_AT_ONCE = 4096


def remove_tree(directory: Path | str, dir_fd: int | None = None) -> None:
    """Delete the directory with all that is in it; one that is not there is fine. `dir_fd` as in `os.open`.

    Folders are moved up beside each other before they are emptied, so neither a path nor a stack grows with the depth.
    No link is followed, and nothing on another file system is touched: `OSError` (`EXDEV`) where something is mounted.
    """
    try:
        root = os.open(directory, _FOLDER, dir_fd=dir_fd)
    except FileNotFoundError:
        return
    try:
        if dir_fd is not None:
            _require_same_device(root, dir_fd)
        _empty(root)
    finally:
        os.close(root)
    os.rmdir(directory, dir_fd=dir_fd)


def _empty(root: int) -> None:
    # Numbered names cannot meet names that are there already: whatever is there moves to the next free number.
    numbers = count()
    waiting = _strip(root, root, numbers)
    while waiting:
        name = waiting.pop()
        folder = _open_folder(root, name)
        try:
            waiting += _strip(folder, root, numbers)
        finally:
            os.close(folder)
        os.rmdir(name, dir_fd=root)


def _strip(folder: int, root: int, numbers: "count[int]") -> list[bytes]:
    """Delete the files of a folder and move its folders into the root; returns the names they have there."""
    os.fchmod(folder, 0o700)  # our own folders may be read-only, a processor's may be closed
    moved: list[bytes] = []
    own: set[bytes] = set()  # what was moved into the root while the root itself is stripped
    while found := _some_entries(folder, own):
        for name, is_folder in found:
            if is_folder:
                target = _free_name(root, numbers)
                _movable(folder, name)
                os.rename(name, target, src_dir_fd=folder, dst_dir_fd=root)
                moved.append(target)
            else:
                os.unlink(name, dir_fd=folder)
        if folder == root:
            own.update(moved)
    return moved


def _some_entries(folder: int, known: set[bytes]) -> list[tuple[bytes, bool]]:
    """A part of what is in the folder: nobody needs a list of a million names."""
    with os.scandir(folder) as entries:
        new = ((os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in entries)
        return list(islice((each for each in new if each[0] not in known), _AT_ONCE))


def _free_name(root: int, numbers: "count[int]") -> bytes:
    while True:
        name = b".moved-%d" % next(numbers)
        try:
            os.stat(name, dir_fd=root, follow_symlinks=False)
        except FileNotFoundError:
            return name


def _movable(folder: int, name: bytes) -> None:
    # Moving a folder writes its `..`, so whoever is not root needs the right to write in it.
    handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        Path(f"/proc/self/fd/{handle}").chmod(0o700)
    finally:
        os.close(handle)


def _open_folder(root: int, name: bytes) -> int:
    folder = os.open(name, _FOLDER, dir_fd=root)
    try:
        _require_same_device(folder, root)
    except OSError:
        os.close(folder)
        raise
    return folder


def _require_same_device(folder: int, above: int) -> None:
    if os.fstat(folder).st_dev != os.fstat(above).st_dev:
        raise OSError(errno.EXDEV, "a file system is mounted in the tree")
