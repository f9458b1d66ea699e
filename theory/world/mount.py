"""Mounts of worlds in directories that people name: laid out once, then brought from one list of files to another."""

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from theory.core.cid import Cid
from theory.core.errors import Conflict, NotReady, shown
from theory.core.jcs import JSON
from theory.world.cache import BlobCache, boot_id, cid_of, untouched
from theory.world.farm import FOLDER, FOLDER_MODE, grow
from theory.world.file import Tree, WorldFile, tree_of
from theory.world.manifest import DRAFT, NAME, Entry, Manifest
from theory.world.removal import remove_tree

_OPEN_MODE = 0o700
_PERMISSIONS = 0o7777
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(slots=True)
class Difference:
    """What of a wanted list is there, what is not, and what has to go."""

    kept: dict[str, Entry] = field(default_factory=dict)
    """By path."""
    missing: list[WorldFile] = field(default_factory=list)
    stale: dict[str, list[str]] = field(default_factory=dict)
    """By folder, relative to the root: the names in it that are not wanted, or not as they were laid out."""
    loose: list[str] = field(default_factory=list)
    """Folders that may be written to."""

    @property
    def none(self) -> bool:
        """Whether everything is as it is wanted."""
        return not (self.missing or self.stale or self.loose)


class MountedWorld:
    """A directory that holds a world, read-only, and nothing else. One process at a time changes it.

    What is below it belongs to the mount: whatever is not on the list of files is removed when it is laid out again.
    No symbolic link below it is followed. Its methods block, and raise `OSError` beside what they say.
    """

    def __init__(self, root: int, directory: Path, known: Manifest) -> None:
        self._root = root
        self._directory = directory
        self._known = known

    @classmethod
    def open(cls, directory: Path, *, make: bool = True) -> Self:
        """The mount in a directory. Where it is empty or not there, it becomes one, unless `make` is false.

        `NotReady` (`MOUNT_FOREIGN`) where it holds something that is no mount of ours; `Conflict` (`MOUNT_BUSY`) where
        another process is at it.
        """
        canonical = directory.resolve()
        if make:
            canonical.mkdir(parents=True, exist_ok=True)
        root = os.open(canonical, FOLDER)
        try:
            try:
                fcntl.flock(root, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Conflict(
                    "MOUNT_BUSY", "another process is mounting or unmounting there", path=shown(str(directory))
                ) from error
            known = Manifest.read(root)
            if known is None:
                if not make or not _names(root) <= {DRAFT}:
                    message = "the directory is no mount of a world: nothing in it was touched"
                    raise NotReady("MOUNT_FOREIGN", message, path=shown(str(directory)))
                known = Manifest("", {}, complete=False)
        except BaseException:
            os.close(root)
            raise
        return cls(root, canonical, known)

    @property
    def origin(self) -> Mapping[str, JSON]:
        """What was mounted here last, as whoever mounted it said."""
        return self._known.origin

    def compare(self, wanted: Iterable[WorldFile], *, verify: bool = False) -> Difference:
        """Look at everything that is there. A file stays if it is the one that was laid out, and nobody wrote to it.

        The mode and the time of a file tell so; with `verify`, or after a boot of the machine, its bytes do.
        """
        files = list(wanted)
        by_path = {each.path.text: each for each in files}
        tree = tree_of((each.path, each.cid) for each in files)
        looking = _Looking(self._known.entries, verify=verify or self._known.boot != boot_id())
        looking.look(self._root, "", tree)
        found = looking.found
        found.missing = [each for path, each in by_path.items() if path not in found.kept]
        return found

    def begin(self, difference: Difference, origin: Mapping[str, JSON]) -> None:
        """Remove what has to go, once the manifest says that only the rest is sure to be there."""
        self._write(Manifest(boot_id(), origin, complete=False, entries=difference.kept))
        for folder in dict.fromkeys((*difference.stale, *difference.loose)):
            _remove(self._root, folder, difference.stale.get(folder, []))

    def add(self, files: Sequence[WorldFile], cache: BlobCache) -> dict[str, Entry]:
        """Lay out files, and return them as they are there now. `BlobGone` where the cache has lost one: add again."""
        tree = tree_of((each.path, each.cid) for each in files)
        grow(self._root, tree, cache)
        return dict(_laid(self._root, "", tree))

    def finish(self, entries: Mapping[str, Entry], origin: Mapping[str, JSON]) -> None:
        """Say that exactly these files are there."""
        self._write(Manifest(boot_id(), origin, complete=True, entries=entries))

    def settled(self, origin: Mapping[str, JSON]) -> bool:
        """Whether the manifest says already that all of this is there."""
        known = self._known
        return known.complete and known.boot == boot_id() and dict(known.origin) == dict(origin)

    def remove(self) -> None:
        """Delete the mount, the directory and all that is below it."""
        _remove(self._root, "", _names(self._root) - {NAME})
        os.fchmod(self._root, _OPEN_MODE)
        os.unlink(NAME, dir_fd=self._root)  # last: killed before, it can be unmounted again
        self._directory.rmdir()

    def close(self) -> None:
        """Let others at it."""
        os.close(self._root)

    def _write(self, manifest: Manifest) -> None:
        os.fchmod(self._root, _OPEN_MODE)
        manifest.write(self._root)
        os.fchmod(self._root, FOLDER_MODE)
        self._known = manifest


class _Looking:
    def __init__(self, known: Mapping[str, Entry], *, verify: bool) -> None:
        self._known = known
        self._verify = verify
        self.found = Difference()

    def look(self, folder: int, above: str, tree: Tree) -> None:
        """Compare a folder, whose path is `above`, with what is wanted in it."""
        if os.fstat(folder).st_mode & _PERMISSIONS != FOLDER_MODE:
            self.found.loose.append(above)
        inner: list[tuple[str, Tree]] = []
        with os.scandir(folder) as entries:
            for entry in entries:
                wanted = tree.get(entry.name)
                if isinstance(wanted, dict) and entry.is_dir(follow_symlinks=False):
                    inner.append((entry.name, wanted))
                elif isinstance(wanted, Cid) and self._keeps(folder, above, entry, wanted):
                    continue
                elif above or entry.name != NAME:
                    self.found.stale.setdefault(above, []).append(entry.name)
        for name, below in inner:
            opened = os.open(name, FOLDER, dir_fd=folder)
            try:
                self.look(opened, f"{above}/{name}", below)
            finally:
                os.close(opened)

    def _keeps(self, folder: int, above: str, entry: "os.DirEntry[str]", cid: Cid) -> bool:
        path = f"{above}/{entry.name}"
        known = self._known.get(path)
        if known is None or known.cid_hex != cid.hex:
            return False
        status = entry.stat(follow_symlinks=False)
        if not untouched(status) or (status.st_ino, status.st_size) != (known.inode, known.size_bytes):
            return False
        if self._verify and cid_of(os.open(entry.name, _READ, dir_fd=folder)) != cid:
            return False
        self.found.kept[path] = known
        return True


def _remove(root: int, folder: str, names: Iterable[str]) -> None:
    """Delete entries of a folder, which is read-only then."""
    at = _opened(root, folder)
    try:
        os.fchmod(at, _OPEN_MODE)
        for name in names:
            try:
                os.unlink(name, dir_fd=at)
            except IsADirectoryError:
                remove_tree(name, dir_fd=at)
            except FileNotFoundError:
                continue
        os.fchmod(at, FOLDER_MODE)
    finally:
        os.close(at)


def _names(folder: int) -> set[str]:
    with os.scandir(folder) as entries:
        return {entry.name for entry in entries}


def _opened(root: int, folder: str) -> int:
    """A folder below the root, opened step by step, so that no symbolic link is followed on the way."""
    at = os.dup(root)
    for name in folder.split("/")[1:]:
        try:
            inner = os.open(name, FOLDER, dir_fd=at)
        finally:
            os.close(at)
        at = inner
    return at


def _laid(folder: int, above: str, tree: Tree) -> Iterator[tuple[str, Entry]]:
    """The files of a tree as they lie in a folder."""
    for name, what in tree.items():
        if isinstance(what, dict):
            inner = os.open(name, FOLDER, dir_fd=folder)
            try:
                yield from _laid(inner, f"{above}/{name}", what)
            finally:
                os.close(inner)
        else:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            yield f"{above}/{name}", Entry(status.st_ino, status.st_size, what.hex)
