"""Mounts of the executor's own: memory-backed directories with limits, read-only views, and taking them down."""

import ctypes
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_READ_ONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT, _BIND = 1, 2, 4, 8, 32, 4096
_CLOSED = _NOSUID | _NODEV | _NOEXEC
_DETACH, _NOFOLLOW = 2, 8

_libc = ctypes.CDLL(None, use_errno=True)


def memory(target: Path, *, size_bytes: int, inodes: int, mode: int, owner: int, may_be_swapped: bool = True) -> None:
    """Mount an empty memory-backed file system that holds no more than this. `OSError` where it is refused."""
    options = f"size={size_bytes},nr_inodes={inodes},mode={mode:04o},uid={owner},gid={owner}"
    if not may_be_swapped:
        try:
            _mount("tmpfs", target, "tmpfs", _CLOSED, f"{options},noswap")
        except OSError:  # before Linux 6.4
            _mount("tmpfs", target, "tmpfs", _CLOSED, options)
    else:
        _mount("tmpfs", target, "tmpfs", _CLOSED, options)


def seal(target: Path) -> None:
    """Make a mount of ours read-only, for root too."""
    _mount(None, target, None, _REMOUNT | _READ_ONLY | _CLOSED, None)


@contextmanager
def unsealed(target: Path) -> Iterator[None]:
    """Open a mount that was sealed for as long as the block takes; one that is no mount is left as it is.

    What a container has of it stays closed: its view has a seal of its own.
    """
    if target not in mounted_below(target):
        yield
        return
    _mount(None, target, None, _REMOUNT | _CLOSED, None)
    try:
        yield
    finally:
        seal(target)


def bind_read_only(directory: Path) -> None:
    """Cover a directory with a read-only view of itself: whoever writes through it gets `EROFS`, root too."""
    _mount(str(directory), directory, None, _BIND, None)
    _mount(None, directory, None, _BIND | _REMOUNT | _READ_ONLY | _CLOSED, None)


def unmount_below(directory: Path) -> None:
    """Take down every mount at or below the directory, the innermost first; what still uses one keeps its view."""
    for target in reversed(mounted_below(directory)):
        if _libc.umount2(os.fsencode(target), _DETACH | _NOFOLLOW):
            raise _failure(target)


def mounted_below(directory: Path) -> list[Path]:
    """The mount points at or below the directory, in the order in which they were mounted. It must be canonical."""
    prefix = os.fsencode(directory)
    points = [os.fsencode(point) for point, _ in _table()]
    return [Path(os.fsdecode(point)) for point in points if point == prefix or point.startswith(prefix + b"/")]


def memory_backed(directory: Path) -> bool:
    """Whether the directory lies in a file system that keeps everything in memory."""
    canonical = directory.resolve()
    kinds = [(len(point.parts), kind) for point, kind in _table() if canonical.is_relative_to(point)]
    # Of mounts at one point, the last covers the others.
    return bool(kinds) and max(enumerate(kinds), key=lambda each: (each[1][0], each[0]))[1][1] in {"tmpfs", "ramfs"}


def _table() -> list[tuple[Path, str]]:
    """Mount point and kind of everything that is mounted, in order."""
    lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    return [(_point(line), line.split(b" - ", 1)[1].split(b" ", 1)[0].decode()) for line in lines]


def _point(line: bytes) -> Path:
    return Path(os.fsdecode(_unescaped(line.split(b" ", 5)[4])))


def permitted(directory: Path) -> bool:
    """Whether this process may mount below the directory: found out by doing it."""
    with tempfile.TemporaryDirectory(prefix=".mount-", dir=directory) as name:
        target = Path(name)
        try:
            memory(target, size_bytes=4096, inodes=8, mode=0o700, owner=os.getuid())
        except OSError:
            return False
        unmount_below(target)
    return True


def _mount(source: str | None, target: Path, kind: str | None, flags: int, options: str | None) -> None:
    source_bytes, kind_bytes, data = (None if each is None else os.fsencode(each) for each in (source, kind, options))
    if _libc.mount(source_bytes, os.fsencode(target), kind_bytes, ctypes.c_ulong(flags), data):
        raise _failure(target)


def _failure(target: Path) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code), str(target))


def _unescaped(point: bytes) -> bytes:
    r"""Undo the octal escapes of the table: space, tab, newline and backslash."""
    if b"\\" not in point:
        return point
    for code in (b"\\040", b"\\011", b"\\012", b"\\134"):
        point = point.replace(code, bytes((int(code[1:], 8),)))
    return point
