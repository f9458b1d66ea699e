"""Opening files below a directory that somebody hostile has filled: no link is followed, no mount is crossed."""

import ctypes
import errno
import os
import struct
from collections.abc import Callable
from functools import cache
from typing import TypeAlias

OpenBeneath: TypeAlias = Callable[[int, bytes, int], int]
"""Opens a relative path below a directory with these flags; `OSError` (`ELOOP`, `ENOTDIR`, `EXDEV`) where it leads out.

With `O_PATH` a symbolic link at the very end is opened itself, so that the caller can say what it found.
"""

_OPENAT2 = 437  # the same number on every architecture
_NO_XDEV, _NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x01, 0x02, 0x04, 0x08
_RESOLVE = _NO_XDEV | _NO_MAGICLINKS | _NO_SYMLINKS | _BENEATH
_ALWAYS = os.O_CLOEXEC | os.O_NOFOLLOW

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.syscall.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]


def by_kernel(directory: int, relative: bytes, flags: int) -> int:
    """One `openat2`: the kernel itself refuses every step that leaves the directory. Linux 5.6."""
    how = struct.pack("QQQ", flags | _ALWAYS, 0, _RESOLVE)
    descriptor: int = _libc.syscall(_OPENAT2, directory, relative, how, len(how))
    if descriptor < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return descriptor


def by_steps(directory: int, relative: bytes, flags: int) -> int:
    """The same, one component at a time, for kernels and filters without `openat2`."""
    *folders, name = relative.split(b"/")
    if b".." in folders or name == b".." or b"" in (*folders, name):
        raise OSError(errno.EXDEV, "the path leads out of the directory")
    device = os.fstat(directory).st_dev
    at = os.dup(directory)
    for each in (*folders, name):
        try:
            opened = os.open(each, _ALWAYS | (flags if each is name else os.O_PATH | os.O_DIRECTORY), dir_fd=at)
        finally:
            os.close(at)
        at = opened
        if os.fstat(at).st_dev != device:
            os.close(at)
            raise OSError(errno.EXDEV, "the path leads to another file system")
    return at


@cache
def best() -> OpenBeneath:
    """`by_kernel` where this kernel and its filters let it, else `by_steps`."""
    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    try:
        os.close(by_kernel(root, b"proc", os.O_PATH))
    except OSError as error:
        # /proc is a mount: refused for that reason, openat2 works.
        return by_kernel if error.errno == errno.EXDEV else by_steps
    finally:
        os.close(root)
    return by_kernel
