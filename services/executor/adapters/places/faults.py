"""What the operating system refuses, in the words of this project."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from theory.core.errors import Corrupt, Exhausted, Unavailable

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_PASSING = frozenset({errno.EAGAIN, errno.EBUSY, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE})


@contextmanager
def translated() -> Iterator[None]:
    """`OSError` as an error of ours; none holds a path of the host.

    `Exhausted` (`DISK_FULL`), `Unavailable` (`STORE_UNREACHABLE`) where it may pass, else `Corrupt` (`STORE_CORRUPT`):
    nobody should wait for a permission or a directory that is not there.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise Exhausted("DISK_FULL", "the disk that holds the attempts is full") from error
        message = f"the directory of the attempts cannot be used: {error.strerror}"
        if error.errno in _PASSING:
            raise Unavailable("STORE_UNREACHABLE", message) from error
        raise Corrupt("STORE_CORRUPT", message) from error


def place_gone() -> Corrupt:
    """The error of a place that was there before and should be still."""
    return Corrupt("STORE_CORRUPT", "the place of this attempt is gone")
