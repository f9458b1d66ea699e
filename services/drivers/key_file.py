"""Keys that never leave an installation: 32 random bytes in a file that only its owner can read."""

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from theory.core.errors import Corrupt, Denied

KEY_BYTES = 32

_OTHERS = 0o077


def load_or_create(path: Path) -> bytes:
    """The key at `path`, made on first use; processes that start at once all get the same.

    `Denied` (`FILE_NOT_PRIVATE`) where others can read the file, `Corrupt` (`STORE_CORRUPT`) where it is no key.
    """
    if not path.exists():
        _create(path)
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        if status.st_mode & _OTHERS or status.st_uid not in (os.geteuid(), 0):
            raise Denied("FILE_NOT_PRIVATE", f"others can read a key: chmod 600 {path}", path=str(path))
        key = file.read(KEY_BYTES + 1)
    if len(key) != KEY_BYTES:
        raise Corrupt("STORE_CORRUPT", f"{path.name} is not a key of {KEY_BYTES} bytes")
    return key


def replace(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Put `data` at `path`, whole: a reader sees the file of before, or this one."""
    with _draft_of(path, data) as draft:
        draft.chmod(mode)
        draft.rename(path)


def _create(path: Path) -> None:
    with _draft_of(path, secrets.token_bytes(KEY_BYTES)) as draft, suppress(FileExistsError):
        os.link(draft, path)  # fails where the name exists: this is the commit point


@contextmanager
def _draft_of(path: Path, data: bytes) -> Iterator[Path]:
    """A file beside `path` that holds `data`, whatever happens; gone after the block unless it was renamed."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # 0600, and a name of its own
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)
