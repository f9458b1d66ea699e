"""A file of a world as far as a mount needs to know it, and many of them as a tree of folders."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from theory.core.cid import Cid
from theory.core.errors import Corrupt
from theory.core.world_path import WorldPath


@dataclass(frozen=True, slots=True, order=True)
class WorldFile:
    """A path of a world and its content."""

    path: WorldPath
    cid: Cid
    size_bytes: int


Tree: TypeAlias = dict[str, "Tree | Cid"]
"""A folder: its files by name, and its folders, which are trees."""


def tree_of(inputs: Iterable[tuple[WorldPath, Cid]]) -> Tree:
    """The folders that these files lie in. `Corrupt` (`STORE_CORRUPT`) where a path is both a file and a folder."""
    root: Tree = {}
    folders: dict[str, Tree] = {}
    for path, cid in inputs:
        above, _, name = path.text.rpartition("/")
        folder = folders.get(above)
        if folder is None:
            folder = folders[above] = _folder(root, path)
        if folder.setdefault(name, cid) is not cid and folder[name] != cid:
            raise _both(path)
    return root


def _folder(root: Tree, path: WorldPath) -> Tree:
    at = root
    for name in path.segments[:-1]:
        inner = at.setdefault(name, {})
        if not isinstance(inner, dict):
            raise _both(path)
        at = inner
    return at


def _both(path: WorldPath) -> Corrupt:
    return Corrupt("STORE_CORRUPT", f"a world has two things at {path}, or a file above it")
