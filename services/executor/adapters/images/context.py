"""Build contexts: the files of a processor's folder, read without following links, and named by their content."""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import theory
from services.executor.adapters.images.fault import unavailable
from services.executor.adapters.places.beneath import best
from theory.core.cid import Cid
from theory.core.spec import ProcessorSpec

SITE = "site"
"""The folder beside the context's own files that holds packages and SDK."""

REQUIREMENTS = "requirements.txt"
MAX_FILES = 10_000
MAX_BYTES = 256 * 1024 * 1024

# What programs leave beside sources, and what version control does: no part of what the author wrote.
_PASSED_OVER = frozenset({"__pycache__", ".git", ".mypy_cache", ".ruff_cache", ".pytest_cache"})
_SDK = ("__init__.py", "sdk/__init__.py", "sdk/processor.py")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a context, with the bytes that it had when it was read."""

    relative: str
    executable: bool
    data: bytes

    @property
    def cid(self) -> Cid:
        """The name of its content."""
        return Cid.of(self.data)


@dataclass(frozen=True, slots=True)
class BuildContext:
    """Everything of a processor's folder, held in memory: what is hashed is what is built."""

    files: Sequence[SourceFile]

    def entries(self) -> list[list[str]]:
        """Each file as the image digest sees it: name, `x` where it is executable, CID; in order of name."""
        return [[each.relative, "x" if each.executable else "", each.cid.text] for each in self.files]

    def data(self, relative: str) -> bytes | None:
        """The content of one file; None where there is none."""
        return next((each.data for each in self.files if each.relative == relative), None)


def read_context(build_root: Path | None, processor: ProcessorSpec) -> BuildContext:
    """The build context of a processor, with the SDK that will lie in its site folder; files in order of name.

    `NotReady` (`IMAGE_UNAVAILABLE`) where builds are off, the folder is missing or outside the build root, or anything
    in it is neither folder nor regular file.
    """
    ref, context = processor.ref.text, processor.image.build_context
    if context is None:
        raise unavailable(ref, "it has no build context, only an image for container engines")
    if build_root is None:
        raise unavailable(ref, "builds are off: THEORY_EXECUTOR_BUILD_ROOT names the folder that holds build contexts")
    try:
        root = os.open(build_root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise unavailable(ref, "the build root is no folder") from error
    try:
        files = list(_Reader(root, ref).files(context))
    finally:
        os.close(root)
    return BuildContext(sorted([*files, *_sdk()], key=lambda each: each.relative))


class _Reader:
    """Reads below one descriptor: a link leads nowhere, whoever makes it and whenever."""

    def __init__(self, root: int, ref: str) -> None:
        self._root = root
        self._ref = ref
        self._open = best()
        self._files = 0
        self._bytes = 0

    def files(self, context: str) -> Iterator[SourceFile]:
        folders = [""]
        while folders:
            folder = folders.pop()
            for name in self._names(f"{context}/{folder}".rstrip("/"), folder):
                relative = f"{folder}/{name}" if folder else name
                source = self._read(f"{context}/{relative}", relative)
                if source is None:
                    folders.append(relative)
                else:
                    yield source

    def _names(self, path: str, folder: str) -> list[str]:
        try:
            descriptor = self._open(self._root, os.fsencode(path), os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise unavailable(self._ref, f"there is no folder {path} below the build root") from error
        try:
            with os.scandir(descriptor) as entries:
                names = sorted(entry.name for entry in entries if entry.name not in _PASSED_OVER)
        finally:
            os.close(descriptor)
        if not folder and SITE in names:
            raise unavailable(self._ref, f"its build context has a {SITE}/ of its own, and that name is taken")
        return [name for name in names if not name.endswith(".pyc")]

    def _read(self, path: str, relative: str) -> SourceFile | None:
        """The file; None for a folder."""
        try:
            # A FIFO must not be waited for.
            descriptor = self._open(self._root, os.fsencode(path), os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise unavailable(self._ref, f"{relative!r} of its build context is a link or cannot be read") from error
        try:
            status = os.fstat(descriptor)
            if stat.S_ISDIR(status.st_mode):
                return None
            self._count(relative, status)
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                data = file.read(status.st_size + 1)
        finally:
            os.close(descriptor)
        if len(data) != status.st_size:
            raise unavailable(self._ref, f"{relative!r} of its build context changed while it was read")
        return SourceFile(relative, bool(status.st_mode & stat.S_IXUSR), data)

    def _count(self, relative: str, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise unavailable(self._ref, f"{relative!r} of its build context is no regular file")
        self._files += 1
        self._bytes += status.st_size
        if self._files > MAX_FILES or self._bytes > MAX_BYTES:
            limits = f"{MAX_FILES} files and {MAX_BYTES // 1024**2} MiB"
            raise unavailable(self._ref, f"its build context is larger than {limits}")


def _sdk() -> Iterator[SourceFile]:
    """The files of the processor SDK, as they will lie in the site folder."""
    package = Path(theory.__file__).parent
    for relative in _SDK:
        yield SourceFile(f"{SITE}/theory/{relative}", executable=False, data=(package / relative).read_bytes())
