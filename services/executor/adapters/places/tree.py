"""The output tree of an attempt, read by someone who does not trust whoever filled it."""

import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

from services.executor.adapters.places.beneath import OpenBeneath
from services.executor.adapters.threads import Threads
from services.executor.ports.place import CollectedFile
from theory.core.errors import Invalid, shown
from theory.core.world_path import MAX_DEPTH, MAX_PATH_BYTES

_LOOK = os.O_PATH
_LIST = os.O_RDONLY | os.O_DIRECTORY
# Non-blocking: should a FIFO stand where a file was seen, the open must not wait for its writer.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY


@dataclass(frozen=True, slots=True)
class TreeLimits:
    """How much an attempt may leave."""

    max_bytes: int
    """Apparent size: a sparse file counts in full."""
    max_files: int
    """Of the World; `result.json` is not counted."""

    @property
    def max_entries(self) -> int:
        """Files and folders together: a folder and a file in it for each file that is allowed, and some."""
        return 2 * self.max_files + 64


class Tally:
    """Counts files against the limits; `Invalid` (`OUTPUT_REFUSED`) for the first that is too many or too much."""

    def __init__(self, limits: TreeLimits) -> None:
        self._limits = limits
        self._files = 0
        self._bytes = 0

    def add(self, relative: str, size_bytes: int) -> None:
        """Count one file."""
        self._files += 1
        self._bytes += size_bytes
        if self._bytes > self._limits.max_bytes:
            sentence = f"makes the outputs larger than {self._limits.max_bytes} bytes"
            raise _refused(relative, "too_large", sentence)
        if self._files > self._limits.max_files + 1:
            raise _refused(relative, "too_many_files", f"makes the outputs more than {self._limits.max_files} files")


class OutputTree:
    """The tree below one directory descriptor. The whole tree is judged before the first file is handed out."""

    def __init__(self, root: int, limits: TreeLimits, open_beneath: OpenBeneath, threads: Threads) -> None:
        self._root = root
        self._limits = limits
        self._open = open_beneath
        self._threads = threads

    async def files(self) -> AsyncIterator[CollectedFile]:
        seen = await self._threads.run(self._judged)
        for each in seen:
            descriptor = self._opened(each)
            try:
                # Whoever reads may close the file; the look afterwards needs the descriptor.
                with os.fdopen(descriptor, "rb", closefd=False) as file:
                    yield CollectedFile(each.relative, file, each.size_bytes)
                if _Seen.of(each.relative, os.fstat(descriptor)) != each:
                    raise _refused(each.relative, "changed", "changed while it was read")
            finally:
                os.close(descriptor)

    def _judged(self) -> list["_Seen"]:
        tally = Tally(self._limits)
        found: list[_Seen] = []
        for each in self._walk():
            tally.add(each.relative, each.size_bytes)
            found.append(each)
        return sorted(found, key=lambda each: each.relative)

    def _walk(self) -> Iterator["_Seen"]:
        """Every file, in no order. Folders are opened by path from the root: descriptors stay few at any depth."""
        entries = 0
        folders = [b"."]
        while folders:
            folder = folders.pop()
            for name in self._names(folder):
                entries += 1
                relative = name if folder == b"." else folder + b"/" + name
                text = _text(relative)
                if entries > self._limits.max_entries:
                    raise _refused(text, "too_many_files", f"is more than {self._limits.max_entries} files and folders")
                seen = self._looked(relative, text)
                if seen is None:
                    folders.append(relative)
                else:
                    yield seen

    def _names(self, folder: bytes) -> Iterator[bytes]:
        try:
            descriptor = self._open(self._root, folder, _LIST)
        except OSError as error:
            raise _refused(_text(folder), "unreadable", "cannot be opened") from error
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    yield os.fsencode(entry.name)
        finally:
            os.close(descriptor)

    def _looked(self, relative: bytes, text: str) -> "_Seen | None":
        """What stands there, without opening it; None for a folder."""
        try:
            descriptor = self._open(self._root, relative, _LOOK)
        except OSError as error:
            raise _refused(text, "unreadable", "cannot be opened") from error
        try:
            status = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if stat.S_ISDIR(status.st_mode):
            return None
        if not stat.S_ISREG(status.st_mode):
            rule, sentence = next((words for test, words in _STRANGE if test(status.st_mode)), _UNKNOWN)
            raise _refused(text, rule, sentence)
        if status.st_nlink != 1:
            raise _refused(text, "hard_link", "has a second name")
        return _Seen.of(text, status)

    def _opened(self, seen: "_Seen") -> int:
        try:
            descriptor = self._open(self._root, seen.relative.encode(), _READ)
        except OSError as error:
            raise _refused(seen.relative, "unreadable", "cannot be opened") from error
        if _Seen.of(seen.relative, os.fstat(descriptor)) != seen:
            os.close(descriptor)
            raise _refused(seen.relative, "changed", "changed while it was collected")
        return descriptor


@dataclass(frozen=True, slots=True)
class _Seen:
    """What identifies a file and its content, as far as its inode tells."""

    relative: str
    size_bytes: int
    device: int
    inode: int
    mode: int
    names: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, relative: str, status: os.stat_result) -> "_Seen":
        return cls(
            relative,
            status.st_size,
            status.st_dev,
            status.st_ino,
            status.st_mode,
            status.st_nlink,
            status.st_mtime_ns,
            status.st_ctime_ns,
        )


_STRANGE: tuple[tuple[Callable[[int], bool], tuple[str, str]], ...] = (
    (stat.S_ISLNK, ("symbolic_link", "is a symbolic link")),
    (stat.S_ISFIFO, ("fifo", "is a FIFO")),
    (stat.S_ISSOCK, ("socket", "is a socket")),
    (stat.S_ISCHR, ("device", "is a device")),
    (stat.S_ISBLK, ("device", "is a device")),
)
_UNKNOWN = ("not_a_file", "is no regular file")


def _text(relative: bytes) -> str:
    """The path as text, if it can be one of the World's at all; its grammar is the collector's business."""
    try:
        text = relative.decode("utf-8")
    except UnicodeDecodeError:
        raise _refused(os.fsdecode(relative), "not_utf8", "has a name that is not UTF-8") from None
    if text.count("/") >= MAX_DEPTH:
        raise _refused(text, "too_deep", f"lies more than {MAX_DEPTH} folders deep")
    if len(relative) >= MAX_PATH_BYTES:
        raise _refused(text, "path_bytes", f"has a path of more than {MAX_PATH_BYTES} bytes")
    return text


def _refused(relative: str, rule: str, sentence: str) -> Invalid:
    path = shown(relative)
    return Invalid("OUTPUT_REFUSED", f"the output {path!r} {sentence}", path=path, rule=rule)
