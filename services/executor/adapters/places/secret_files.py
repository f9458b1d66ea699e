"""Secrets as files that live in memory and that only the processor can read."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from blake3 import blake3

from services.executor.adapters.places import mount
from services.executor.adapters.places.layout import PROCESSOR_UID, SECRETS
from theory.core.errors import Unsupported
from theory.core.secret import Secret
from theory.world.removal import remove_tree

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - checked below: a directory of our own, closed to everyone else
_PAGE = 4096
LOG_BYTES = 3 * 1024 * 1024
"""How much room a log has in memory."""
_FILE_MODE, _FOLDER_MODE = 0o400, 0o500


class MountedSecrets:
    """A small read-only file system in memory, mounted at `run/` of each place that has secrets. Needs root."""

    def write(self, run: Path, secrets: Mapping[str, Secret]) -> None:
        """Mount the values at the empty directory `run`."""
        size_bytes = sum(len(each.reveal().encode()) + _PAGE for each in secrets.values()) + 4 * _PAGE
        inodes = len(secrets) + 8
        mount.memory(
            run, size_bytes=size_bytes, inodes=inodes, mode=_FOLDER_MODE, owner=PROCESSOR_UID, may_be_swapped=False
        )
        _write_all(run / SECRETS, secrets, owner=PROCESSOR_UID)
        mount.seal(run)

    def keep(self, log: Path) -> None:
        """Make a directory in memory, for what may hold a value and is not the processor's to read."""
        log.mkdir(mode=0o700)
        mount.memory(log, size_bytes=LOG_BYTES, inodes=8, mode=0o700, owner=os.getuid(), may_be_swapped=False)

    def remove(self, name: str) -> None:
        """Nothing is left to do: the values go with the mount."""

    def names(self) -> tuple[str, ...]:
        """None: see `remove`."""
        return ()


class SharedMemorySecrets:
    """Directories below `/dev/shm`, to which `run` of a place is a symbolic link: for executors that cannot mount."""

    def __init__(self, home: Path, shared: Path = _SHARED_MEMORY) -> None:
        # One directory per user and installation.
        self._root = shared / f"theory-{os.getuid()}-{blake3(os.fsencode(home)).hexdigest()[:16]}"

    def write(self, run: Path, secrets: Mapping[str, Secret]) -> None:
        """Replace the empty directory `run` by a link to the values.

        `Unsupported` (`CAPABILITY_MISSING`) where no memory-backed directory is to be had: a disk is no place for them.
        """
        self._check_root()
        place = self._root / run.parent.name
        remove_tree(place)
        place.mkdir(mode=0o700)
        _write_all(place / SECRETS, secrets, owner=None)
        run.rmdir()
        run.symlink_to(place)

    def keep(self, log: Path) -> None:
        """Link to a directory beside the values, for what may hold one; they were written before."""
        place = self._root / log.parent.name / log.name
        place.mkdir(mode=0o700)
        log.symlink_to(place)

    def remove(self, name: str) -> None:
        """Delete the values of one place."""
        remove_tree(self._root / name)

    def names(self) -> tuple[str, ...]:
        """The places that have values here."""
        try:
            return tuple(each.name for each in self._root.iterdir())
        except FileNotFoundError:
            return ()

    def _check_root(self) -> None:
        try:
            self._root.mkdir(mode=0o700, exist_ok=True)
            status = self._root.lstat()
        except OSError as error:
            raise _no_memory() from error
        # Anyone may make names in there: it must be the directory that this user made.
        private = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077
        if not private or not mount.memory_backed(self._root):
            raise _no_memory()


def _no_memory() -> Unsupported:
    message = (
        "this machine has no private directory in memory for secrets: run the executor as root, or without secrets"
    )
    return Unsupported("CAPABILITY_MISSING", message, capability="memory_backed_secrets")


def _write_all(folder: Path, secrets: Mapping[str, Secret], *, owner: int | None) -> None:
    folder.mkdir(mode=0o700)
    for name, secret in secrets.items():
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secret.reveal().encode())
            if owner is not None:
                os.fchown(descriptor, owner, owner)
    if owner is not None:
        os.chown(folder, owner, owner)
    folder.chmod(_FOLDER_MODE)
