"""`theory artifacts mount` and `unmount`: worlds as directories of this machine."""

import argparse
from collections.abc import Sequence

from theory.cli.failures import OK
from theory.cli.output import Cell
from theory.cli.session import LATEST, Session, plan_named, world_named
from theory.cli.text import counted, line, size
from theory.cli.transfers import bar
from theory.core.ledger import Position
from theory.core.world_path import PathPrefix, WorldName
from theory.sdk.client import Theory
from theory.sdk.mounting import unmount as taken_away


async def mount(session: Session, options: argparse.Namespace) -> int:
    """Lay out a world below a directory, or bring the mount that is there up to date."""
    prefix = PathPrefix.parse(options.prefix) if options.prefix else None
    async with session.connect() as theory:
        positions = await positions_named(theory, options.at)
        world = WorldName.parse(await world_named(theory, options.world))
        with bar(session.output, options.dir.name) as progress:
            mounted = await theory.worlds.mount(
                world,
                options.dir,
                cache=options.cache or session.cache,
                positions=positions,
                prefix=prefix,
                verify=options.verify,
                progress=progress,
            )
    amount = f"{counted(mounted.files, 'file')}, {size(mounted.size_bytes)}"
    when = f" at {' '.join(map(str, positions))}" if positions else ""
    session.output.line(
        f"{options.dir}  ", Cell(f"{amount} of world {world}{when}, {counted(mounted.reused, 'file')} reused", "dim")
    )
    if not mounted.files:
        session.output.note(f"nothing is there in world {world}{when}")
    session.output.document(
        {
            "world": world.text,
            "prefix": prefix.text if prefix else None,
            "positions": [str(each) for each in positions],
            "directory": str(options.dir),
            "files": mounted.files,
            "size_bytes": mounted.size_bytes,
            "reused": mounted.reused,
        }
    )
    return OK


async def unmount(session: Session, options: argparse.Namespace) -> int:
    """Delete a mount. No service is asked."""
    origin = await taken_away(options.dir)
    world = origin.get("world")
    of_what = f" of world {line(world)}" if isinstance(world, str) else ""
    session.output.line(f"{options.dir}  ", Cell(f"the mount{of_what} is gone", "dim"))
    session.output.document({"directory": str(options.dir), "world": world})
    return OK


async def positions_named(theory: Theory, texts: Sequence[str]) -> list[Position]:
    """The positions that were named on the command line: CHAIN@SEQ, where CHAIN may be `latest`."""
    found = [Position.parse(each) for each in texts]
    if not any(each.chain == LATEST for each in found):
        return found
    newest = (await plan_named(theory, LATEST)).text
    return [Position(newest, each.seq) if each.chain == LATEST else each for each in found]
