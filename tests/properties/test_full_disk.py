"""A disk that is full at any system call of a put: nothing half is there, and the next try succeeds (I-153).

The N-th call fails, for N = 1, 2, ... until a whole put needs fewer: each call has then been the one that failed.
"""

import ctypes
import errno
import fcntl
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from services.artifacts.adapters.blobs import directory, filesystem
from services.artifacts.ports import BlobAdapter
from theory.core.cid import Cid
from theory.core.errors import Exhausted, TheoryError

Outcomes = list[TheoryError | None]
Put = Callable[[BlobAdapter, Sequence[bytes]], Awaitable[Outcomes]]

MANY = 9
"""More than are synced one by one."""


class FailingDisk:
    """Stands where the directory of blobs looks for `os` and `syncfs`. One call fails, and a write fails half done."""

    WRITING = frozenset({"open", "mkdir", "write", "fdatasync", "fsync", "link", "close", "syncfs"})

    def __init__(self) -> None:
        self.failed: list[str] = []
        """The calls that failed, in order."""
        self._left = 0

    def fail_at(self, number: int) -> None:
        """Let the call of that number fail, from now on; 0 for none."""
        self._left = number

    def __getattr__(self, name: str) -> Any:
        real: Callable[..., Any] = _nothing if name in _SYNCS else getattr(os, name)
        if name not in self.WRITING:
            return real

        def call(*args: Any, **kwargs: Any) -> Any:
            if (name == "close" and not _is_written(args[0])) or not self._is_next():
                return real(*args, **kwargs)
            self.failed.append(name)
            if name == "close":
                real(*args)  # the kernel closes what it could not flush, as on NFS
            elif name == "write":
                real(args[0], args[1][: len(args[1]) // 2])
            elif name == "syncfs":
                ctypes.set_errno(errno.ENOSPC)
                return -1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/secret/place")

        return call

    def _is_next(self) -> bool:
        self._left -= 1
        return self._left == 0


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> FailingDisk:
    disk = FailingDisk()
    monkeypatch.setattr(directory, "os", disk)
    monkeypatch.setattr(directory, "_LIBC", disk)
    monkeypatch.setattr(filesystem, "_SYNC_EVERY_BYTES", 2000)
    return disk


async def put_batch(blobs: BlobAdapter, bodies: Sequence[bytes]) -> Outcomes:
    return await blobs.put_many([(Cid.of(body), body) for body in bodies])


async def upload_each(blobs: BlobAdapter, bodies: Sequence[bytes]) -> Outcomes:
    return [await _upload(blobs, body) for body in bodies]


async def _upload(blobs: BlobAdapter, body: bytes) -> TheoryError | None:
    staged = await blobs.stage()
    try:
        for start in range(0, len(body), 1000):
            await staged.write(body[start : start + 1000])
        await staged.commit(Cid.of(body))
    except TheoryError as error:
        return error
    finally:
        await staged.discard()
    return None


PUTS: dict[str, tuple[Put, int, frozenset[str]]] = {
    "a few": (put_batch, 2, frozenset({"open", "write", "fdatasync", "link", "fsync", "close"})),
    "many": (put_batch, MANY, frozenset({"open", "write", "syncfs", "link", "close"})),
    "large": (upload_each, 1, frozenset({"open", "write", "fdatasync", "link", "fsync", "close"})),
}


@pytest.mark.parametrize("has_unnamed_files", [True, False], ids=["unnamed", "named"])
@pytest.mark.parametrize("name", PUTS)
async def test_a_put_on_a_full_disk_is_whole_or_nothing_and_succeeds_later(
    name: str, has_unnamed_files: bool, disk: FailingDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_unnamed_files:
        monkeypatch.setattr(directory.BlobDirectory, "_has_unnamed_files", lambda _: False)
    put, how_many, calls = PUTS[name]
    blobs = await filesystem.open(f"file://{tmp_path}")
    open_before = _open_below(tmp_path)
    for number in count(1):
        bodies = [(f"{number} {at} " * 1000).encode() for at in range(how_many)]
        before, failed_before = len(_names(tmp_path)), len(disk.failed)
        disk.fail_at(number)
        outcomes = await put(blobs, bodies)
        disk.fail_at(0)
        if len(disk.failed) == failed_before:
            assert outcomes == [None] * how_many
            break
        told = [each for each in outcomes if each is not None]
        assert told or disk.failed[-1] == "close"
        for each in told:
            assert (type(each), each.reason) == (Exhausted, "DISK_FULL")
            assert "secret" not in f"{each.message}{each.metadata}"
        good = {Cid.of(body) for body, outcome in zip(bodies, outcomes, strict=True) if outcome is None}
        assert good <= blobs.sizes([Cid.of(body) for body in bodies]).keys()
        _check_whole(tmp_path)
        assert _open_below(tmp_path) == open_before

        assert await put(blobs, bodies) == [None] * how_many
        cids = [Cid.of(body) for body in bodies]
        assert await blobs.missing(cids) == set()
        assert await blobs.read_many(cids, max_each=1 << 20, max_total=1 << 20) == bodies
        assert len(_names(tmp_path)) == before + how_many
    assert set(disk.failed) == calls
    await blobs.close()


async def test_a_store_that_finds_no_room_to_begin_says_so_and_begins_later(disk: FailingDisk, tmp_path: Path) -> None:
    for number in count(1):
        if len(disk.failed) > 3 and disk.failed[-3:] == ["mkdir"] * 3 and number < 256:
            continue  # the folders that blobs are spread over: the first and the last few stand for all
        place, failed_before = tmp_path / str(number), len(disk.failed)
        disk.fail_at(number)
        told, blobs = await _begun(place)
        disk.fail_at(0)
        if blobs is not None:
            assert len(disk.failed) == failed_before
            await blobs.close()
            break
        assert told == "DISK_FULL"
        assert _open_below(place) == 0
        blobs = await filesystem.open(f"file://{place}")
        assert await put_batch(blobs, [b"one"]) == [None]
        await blobs.close()
    assert set(disk.failed) == {"open", "mkdir", "close", "syncfs"}


_SYNCS = frozenset({"fdatasync", "fsync", "syncfs"})
"""What they reach is not looked at, and they take long."""


def _nothing(_descriptor: int) -> int:
    return 0


def _is_written(descriptor: int) -> bool:
    return bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_WRONLY)


def _names(root: Path) -> list[Path]:
    folders = (each for each in os.scandir(root) if each.is_dir())
    return [Path(each.path) for folder in folders for each in os.scandir(folder.path)]


def _check_whole(root: Path) -> None:
    """Whatever has a name is what the name says; nothing lies where uploads are staged."""
    for each in _names(root):
        assert Cid.of(each.read_bytes()).hex == each.parent.name + each.name


async def _begun(place: Path) -> tuple[str, BlobAdapter | None]:
    """A store in a new folder, or the reason why not."""
    try:
        return "", await filesystem.open(f"file://{place}")
    except Exhausted as error:
        return error.reason, None


def _open_below(root: Path) -> int:
    """How many files of the store are open."""
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # others of this process come and go
            found += each.readlink().is_relative_to(root)
    return found
