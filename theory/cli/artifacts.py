"""`theory artifacts`: the files of a world."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from theory.cli.failures import OK, Usage
from theory.cli.output import Cell, Output
from theory.cli.session import Session, world_named
from theory.cli.text import counted, moment, size
from theory.cli.transfers import bar
from theory.core.artifact import Artifact
from theory.core.clock import rfc3339
from theory.core.content_type import content_type_by_name
from theory.core.jcs import JSON
from theory.core.world_path import PathPrefix, WorldName, WorldPath
from theory.sdk.artifacts import ArtifactPut
from theory.sdk.client import Theory
from theory.sdk.rpc import unwrapped
from theory.sdk.views import PlanView


async def ls(session: Session, options: argparse.Namespace) -> int:
    """List what is below a folder."""
    prefix = PathPrefix.parse(options.prefix) if options.prefix else None
    async with session.connect() as theory:
        world = WorldName.parse(await world_named(theory, options.world))
        found = [each async for each in theory.artifacts.list(world, prefix)]
    session.output.table([(size(each.size_bytes), each.content_type, each.path.text) for each in found], [">", "", ""])
    total = f"{counted(len(found), 'file')}, {size(sum(each.size_bytes for each in found))}"
    session.output.line(Cell(f"{total} in world {world}", "dim"))
    session.output.document({"artifacts": [document_of(each) for each in found]})
    return OK


async def get(session: Session, options: argparse.Namespace) -> int:
    """Copy files to this machine."""
    copied: list[tuple[Artifact, Path]] = []
    async with session.connect() as theory:
        world = WorldName.parse(await world_named(theory, options.world))
        for text in options.paths:
            if text.endswith("/"):
                prefix = PathPrefix.parse(text)
                found = [each async for each in theory.artifacts.list(world, prefix)]
                copied += await copy(theory, found, options.into, below=prefix, output=session.output)
            else:
                path = WorldPath.parse(text)
                found = [await theory.artifacts.stat(world, path)]
                copied += await copy(theory, found, options.into, below=path.parent, output=session.output)
    session.output.table([(size(each.size_bytes), str(target)) for each, target in copied], [">", ""])
    if not copied:
        session.output.line(f"nothing is there in world {world}")
    session.output.document({"copied": [{**document_of(each), "file": str(target)} for each, target in copied]})
    return OK


async def put(session: Session, options: argparse.Namespace) -> int:
    """Bind a path to the bytes of a local file."""
    if options.path.endswith("/") and options.file == "-":
        raise Usage("standard input has no name", "write the whole path")
    name = Path(options.file).name
    text = options.path + name if options.path.endswith("/") else options.path
    path = WorldPath.parse(text)
    content_type = options.content_type or content_type_by_name(path.name)
    async with session.connect() as theory:
        world = WorldName.parse(await world_named(theory, options.world))
        if options.file == "-":
            cid = await theory.artifacts.put_blob(sys.stdin.buffer.read())
        else:
            with bar(session.output, path.name) as progress:
                cid = await theory.artifacts.upload_file(Path(options.file), progress=progress)
        artifact = await theory.artifacts.put(world, ArtifactPut(path, cid, content_type))
    session.output.line(f"{artifact.path}  ", Cell(artifact.cid.text, "dim"), f"  {size(artifact.size_bytes)}")
    session.output.document(document_of(artifact))
    return OK


async def cat(session: Session, options: argparse.Namespace) -> int:
    """Print the bytes of one file."""
    path = WorldPath.parse(options.path)
    async with session.connect() as theory:
        world = WorldName.parse(await world_named(theory, options.world))
        artifact = await theory.artifacts.stat(world, path)
        session.output.stdout.flush()
        await theory.artifacts.download(artifact.cid, session.output.stdout.buffer, size_bytes=artifact.size_bytes)
        session.output.stdout.buffer.flush()
    return OK


async def stat(session: Session, options: argparse.Namespace) -> int:
    """Describe files."""
    paths = [WorldPath.parse(each) for each in options.paths]
    async with session.connect() as theory:
        world = WorldName.parse(await world_named(theory, options.world))
        found = unwrapped(await theory.artifacts.stat_many(world, paths))
    for at, each in enumerate(found):
        if at:
            session.output.line()
        facts = [
            ("path", each.path.text),
            ("world", each.world.text),
            ("cid", each.cid.text),
            ("size", f"{each.size_bytes} bytes"),
            ("type", each.content_type),
            ("bound", f"{moment(each.create_time)} UTC"),
        ]
        session.output.table([(Cell(name, "dim"), value) for name, value in facts])
    session.output.document({"artifacts": [document_of(each) for each in found]})
    return OK


async def copy(
    theory: Theory, artifacts: Sequence[Artifact], into: Path, *, below: PathPrefix, output: Output | None = None
) -> list[tuple[Artifact, Path]]:
    """Copy artifacts into a folder, called what they are called below `below`; each file appears when it is whole.

    How far a large one got is drawn on `output`.
    """
    copied = []
    for each in artifacts:
        target = into / each.path.text.removeprefix(below.text)
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{each.cid.hex[:16]}.part")
        try:
            with draft.open("wb") as file, bar(output, target.name) if output else nullcontext() as progress:
                await theory.artifacts.download(each.cid, file, size_bytes=each.size_bytes, progress=progress)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
        copied.append((each, target))
    return copied


async def copy_outputs(theory: Theory, plan: PlanView, into: Path) -> int:
    """Copy what a plan's executions wrote into a folder, and return how many files that were.

    They are called what they are called below `/artifacts/outputs/`, or below `/artifacts/` where some lie elsewhere.
    """
    paths = [each.path async for execution in theory.executor.executions(plan.plan_id) for each in execution.outputs]
    found = unwrapped(await theory.artifacts.stat_many(plan.world, paths))
    usual = PathPrefix("/artifacts/outputs/")
    below = usual if all(usual.contains(each) for each in paths) else PathPrefix("/artifacts/")
    return len(await copy(theory, found, into, below=below))


def document_of(artifact: Artifact) -> dict[str, JSON]:
    """An artifact in what `--json` prints."""
    return {
        "world": artifact.world.text,
        "path": artifact.path.text,
        "cid": artifact.cid.text,
        "size_bytes": artifact.size_bytes,
        "content_type": artifact.content_type,
        "create_time": rfc3339(artifact.create_time),
    }
