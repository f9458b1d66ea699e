"""Small file systems for tests, and how they get full."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from services.executor.adapters.places import mount
from tests import backends

MIB = 1024 * 1024


@contextmanager
def small_disk(place: Path, *, size_bytes: int) -> Iterator[Path]:
    """An empty file system at `place` that holds no more than this; the test is skipped where none may be mounted."""
    place.mkdir()
    backends.require("a small disk", None if mount.permitted(place.parent) else "this user may not mount")
    mount.memory(place, size_bytes=size_bytes, inodes=10_000, mode=0o700, owner=os.getuid())
    try:
        yield place
    finally:
        mount.unmount_below(place.resolve())


@contextmanager
def ballast(disk: Path, *, free: int = 0) -> Iterator[None]:
    """Inside this block the disk is full, but for so many bytes."""
    place = disk / "ballast"
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        there = os.statvfs(disk)
        with suppress(OSError):  # others write, too
            os.posix_fallocate(descriptor, 0, max(1, there.f_bavail * there.f_frsize))
        for size in (4096, 1):
            with suppress(OSError):
                while True:
                    os.write(descriptor, b"x" * size)
        os.ftruncate(descriptor, os.fstat(descriptor).st_size - free)
        yield
    finally:
        os.close(descriptor)
        place.unlink()
