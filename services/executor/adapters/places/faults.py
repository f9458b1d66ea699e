"""What the operating system refuses, in the words of this project."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from theory.core.errors import Exhausted, Unavailable

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def translated() -> Iterator[None]:
    """`OSError` as `Exhausted` (`DISK_FULL`) or `Unavailable` (`STORE_UNREACHABLE`); no path of the host in either."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise Exhausted("DISK_FULL", "the disk that holds the attempts is full") from error
        raise Unavailable(
            "STORE_UNREACHABLE", f"the directory of the attempts cannot be used: {error.strerror}"
        ) from error
