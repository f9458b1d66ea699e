"""`theory artifacts gc`, `drop` and `scrub`: what leaves the artifact store."""

import argparse

from theory.cli.failures import OK, UNVERIFIED, Usage
from theory.cli.output import Cell
from theory.cli.session import Session, world_named
from theory.cli.text import counted, duration, moment, size
from theory.core.clock import rfc3339
from theory.core.world_path import WorldName


async def gc(session: Session, options: argparse.Namespace) -> int:
    """Collect blobs that nothing refers to."""
    async with session.connect() as theory:
        kept = await theory.retention.capabilities()
        found = await theory.retention.collect(dry_run=options.dry_run)
    would = "would be " if options.dry_run else ""
    lease = duration(kept.lease.total_seconds())
    session.output.table(
        [
            (counted(found.seen_count, "blob"), size(found.seen_bytes), "looked at"),
            (counted(found.marked_count, "blob"), size(found.marked_bytes), f"{would}marked, to go in {lease}"),
            (counted(found.deleted_count, "blob"), size(found.deleted_bytes), f"{would}deleted"),
        ],
        [">", ">", ""],
    )
    session.output.document(
        {
            "dry_run": options.dry_run,
            "seen_count": found.seen_count,
            "seen_bytes": found.seen_bytes,
            "marked_count": found.marked_count,
            "marked_bytes": found.marked_bytes,
            "deleted_count": found.deleted_count,
            "deleted_bytes": found.deleted_bytes,
        }
    )
    return OK


async def drop(session: Session, options: argparse.Namespace) -> int:
    """Drop a world, for ever."""
    async with session.connect() as theory:
        world = WorldName.parse(await world_named(theory, options.world))
        if not options.yes:
            raise Usage(f"world {world} would be gone for ever, with all its files and streams", "say so with --yes")
        found = await theory.retention.drop_world(world)
    session.output.line(
        f"{world} is gone  ", Cell(f"{counted(found.path_count, 'file')}, {moment(found.drop_time)} UTC", "dim")
    )
    session.output.document(
        {"world": world.text, "path_count": found.path_count, "drop_time": rfc3339(found.drop_time)}
    )
    return OK


async def scrub(session: Session, options: argparse.Namespace) -> int:  # noqa: ARG001 - every verb takes them
    """Read every stored blob, and put into quarantine what is damaged."""
    async with session.connect() as theory:
        found = await theory.retention.scrub()
    for each in found.damaged:
        session.output.line(Cell(each.cid.text, "red"), f"  {size(each.size_bytes)}, in quarantine now")
    verdict = Cell(f"{len(found.damaged)} damaged", "red bold") if found.damaged else Cell("sound", "green bold")
    session.output.line(verdict, f": {counted(found.count, 'blob')}, {size(found.size_bytes)} hashed")
    session.output.document(
        {
            "sound": not found.damaged,
            "count": found.count,
            "size_bytes": found.size_bytes,
            "damaged": [{"cid": each.cid.text, "size_bytes": each.size_bytes} for each in found.damaged],
        }
    )
    return UNVERIFIED if found.damaged else OK
