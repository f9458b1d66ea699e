"""`theory artifacts tree`, `diff` and `fsck`: worlds as a whole."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TypeAlias

from theory.cli.failures import FAILED, OK, UNVERIFIED, USAGE, report
from theory.cli.mounts import positions_named
from theory.cli.output import Cell
from theory.cli.session import Session, world_named
from theory.cli.text import counted, size
from theory.cli.verify import sentence
from theory.core.artifact import Artifact
from theory.core.errors import TheoryError
from theory.core.jcs import JSON
from theory.core.ledger import Position
from theory.core.world_path import PathPrefix, WorldName, WorldPath
from theory.sdk.client import Theory
from theory.sdk.verify import ArtifactFault, verify_world
from theory.world.file import WorldFile


@dataclass(slots=True)
class _Folder:
    """A folder, and what all below it amounts to."""

    folders: dict[str, "_Folder"] = field(default_factory=dict)
    files: list[Artifact] = field(default_factory=list)
    count: int = 0
    size_bytes: int = 0

    def add(self, artifact: Artifact, below: Sequence[str]) -> None:
        """Put a file at `below`, the names of the folders that lead to it from here."""
        self.count += 1
        self.size_bytes += artifact.size_bytes
        if below:
            self.folders.setdefault(below[0], _Folder()).add(artifact, below[1:])
        else:
            self.files.append(artifact)

    @property
    def amount(self) -> str:
        """What it holds, in words."""
        return f"{counted(self.count, 'file')}, {size(self.size_bytes)}"


async def tree(session: Session, options: argparse.Namespace) -> int:
    """Draw what is below a folder."""
    prefix = _prefix(options.prefix)
    async with session.connect() as theory:
        world = WorldName.parse(await world_named(theory, options.world))
        found = [each async for each in theory.artifacts.list(world, prefix)]
    root = _Folder()
    above = len(prefix.segments) if prefix else 0
    for each in found:
        root.add(each, each.path.segments[above:-1])
    session.output.line(Cell(prefix.text if prefix else "/", "bold"))
    for guide, name, amount in _drawn(root, options.depth):
        session.output.line(Cell(guide, "dim"), name, "  ", Cell(amount, "dim"))
    session.output.line(Cell(f"{root.amount} in world {world}", "dim"))
    place: dict[str, JSON] = {"world": world.text, "prefix": prefix.text if prefix else None}
    session.output.document(place | _folder_document(root, options.depth))
    return OK


async def diff(session: Session, options: argparse.Namespace) -> int:
    """Tell what two worlds have below a folder and do not share, by its exit code as `diff` does."""
    try:
        return await _compare(session, options)
    except TheoryError as error:
        # 1 says that they differ, and nothing else.
        return report(error, session.output, least=USAGE)


async def _compare(session: Session, options: argparse.Namespace) -> int:
    prefix = _prefix(options.prefix)
    async with session.connect() as theory:
        named = [await _world_of_then(theory, name) for name in (options.world_a, options.world_b)]
        before, after = [await _by_path(theory, world, positions, prefix) for world, positions in named]
    worlds = ["@".join((world.text, *map(str, positions))) for world, positions in named]
    rows = list(_differences(before, after))
    session.output.table(
        [
            (Cell(mark, _STYLE_BY_MARK[mark]), path.text, Cell(_sizes(one, other), "dim"))
            for mark, path, one, other in rows
        ]
    )
    for world, there in zip(worlds, (before, after), strict=True):
        if not there:
            session.output.note(f"world {world} has nothing{f' below {prefix}' if prefix else ''}")
    by_mark: dict[str, list[JSON]] = {"+": [], "-": [], "~": []}
    for mark, path, one, other in rows:
        by_mark[mark].append({"path": path.text, "a": _content(one), "b": _content(other)})
    verdict = (
        f"{len(by_mark['+'])} added, {len(by_mark['-'])} removed, {len(by_mark['~'])} changed"
        if rows
        else f"the same: {counted(len(before), 'file')}"
    )
    session.output.line(Cell(f"{verdict}, from world {worlds[0]} to {worlds[1]}", "dim"))
    session.output.document(
        {
            "world_a": worlds[0],
            "world_b": worlds[1],
            "prefix": prefix.text if prefix else None,
            "same": not rows,
            "added": by_mark["+"],
            "removed": by_mark["-"],
            "changed": by_mark["~"],
        }
    )
    return FAILED if rows else OK


async def fsck(session: Session, options: argparse.Namespace) -> int:
    """Read everything that is below a folder, and tell what is not what it is said to be."""
    prefix = _prefix(options.prefix)
    async with session.connect() as theory:
        world = WorldName.parse(await world_named(theory, options.world))
        found = await verify_world(theory, world, prefix)
    for fault in found.faults:
        session.output.line(
            Cell(fault.path, "red"), f": {fault.what}, {sentence(fault)} ", Cell(f"({fault.cid})", "dim")
        )
    looked_at = f"{counted(found.artifacts, 'file')} in world {world}, {counted(found.contents, 'content')}, "
    if found.chunks:
        looked_at += f"{counted(found.chunks, 'chunk')} of streams, "
    looked_at += f"{size(found.bytes_hashed)} hashed"
    faults = len(found.faults)
    verdict = Cell(counted(faults, "fault"), "red bold") if faults else Cell("sound", "green bold")
    session.output.line(
        *((verdict, f": {looked_at}") if found.artifacts or found.chunks else (f"nothing is there in world {world}",))
    )
    session.output.document(
        {
            "world": world.text,
            "prefix": prefix.text if prefix else None,
            "sound": not faults,
            "artifacts": found.artifacts,
            "contents": found.contents,
            "chunks": found.chunks,
            "bytes_hashed": found.bytes_hashed,
            "faults": [_fault_document(each) for each in found.faults],
        }
    )
    return UNVERIFIED if faults else OK


def _prefix(text: str | None) -> PathPrefix | None:
    return PathPrefix.parse(text) if text else None


def _drawn(folder: _Folder, depth: int | None, guide: str = "") -> Iterator[tuple[str, str, str]]:
    """The lines of what is in a folder: guides, a name, how much it is."""
    names = sorted((*folder.folders, *(each.path.name for each in folder.files)))
    files = {each.path.name: each for each in folder.files}
    for name in names:
        branch, onward = ("└── ", "    ") if name == names[-1] else ("├── ", "│   ")
        if name in files:
            yield guide + branch, name, size(files[name].size_bytes)
            continue
        inner = folder.folders[name]
        yield guide + branch, f"{name}/", inner.amount
        if depth is None or depth > 1:
            yield from _drawn(inner, depth and depth - 1, guide + onward)


def _folder_document(folder: _Folder, depth: int | None) -> dict[str, JSON]:
    """A folder with all that is in it; without, where it is folded."""
    amount: dict[str, JSON] = {"file_count": folder.count, "size_bytes": folder.size_bytes}
    if depth == 0:
        return amount
    folders = {name: _folder_document(inner, depth and depth - 1) for name, inner in sorted(folder.folders.items())}
    return amount | {"folders": folders, "files": {each.path.name: _content(each) for each in folder.files}}


_STYLE_BY_MARK = {"+": "green", "-": "red", "~": "yellow"}


_File: TypeAlias = Artifact | WorldFile


async def _world_of_then(theory: Theory, text: str) -> tuple[WorldName, list[Position]]:
    """A world, and where it was: WORLD, PLAN@SEQ, or WORLD@CHAIN@SEQ with as many chains as count."""
    name, *rest = text.split("@")
    if len(rest) == 1:
        rest = [name, *rest]
    texts = [f"{chain}@{seq}" for chain, seq in zip_longest(rest[::2], rest[1::2], fillvalue="")]
    positions = await positions_named(theory, texts)
    return WorldName.parse(await world_named(theory, name)), positions


async def _by_path(
    theory: Theory, world: WorldName, positions: Sequence[Position], prefix: PathPrefix | None
) -> Mapping[WorldPath, _File]:
    if positions:
        return {each.path: each for each in await theory.worlds.at(world, positions, prefix)}
    return {each.path: each async for each in theory.artifacts.list(world, prefix)}


def _differences(
    before: Mapping[WorldPath, _File], after: Mapping[WorldPath, _File]
) -> Iterator[tuple[str, WorldPath, _File | None, _File | None]]:
    for path in sorted({*before, *after}):
        one, other = before.get(path), after.get(path)
        if one is None or other is None:
            yield "+" if one is None else "-", path, one, other
        elif one.cid != other.cid:
            yield "~", path, one, other


def _sizes(one: _File | None, other: _File | None) -> str:
    return " -> ".join(size(each.size_bytes) for each in (one, other) if each is not None)


def _content(file: _File | None) -> JSON:
    if file is None:
        return None
    # The events of the ledger name no type.
    content_type = file.content_type if isinstance(file, Artifact) else None
    return {"cid": file.cid.text, "size_bytes": file.size_bytes, "content_type": content_type}


def _fault_document(fault: ArtifactFault) -> JSON:
    return {"path": fault.path, "cid": fault.cid, "what": fault.what, "message": sentence(fault)}
