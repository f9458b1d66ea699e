"""What every runtime that runs something promises of its logs, held to real processors."""

import asyncio
import tracemalloc

from tests.integration.workbench import Workbench
from theory.core.adapters import LogPiece, LogSource

_MIB = 1024 * 1024
_LOOK_EVERY_S = 0.1


async def read_on(bench: Workbench, name: str, after: str = "", *, until: bytes | None = None) -> list[LogPiece]:
    """The pieces behind a position, to the end of the log, or until this was told."""
    found: list[LogPiece] = []
    async with asyncio.timeout(60):
        while True:
            page = await bench.runtime.logs(name, after=after)
            if page is not None:
                found += page.pieces
                after = page.pieces[-1].position if page.pieces else after
                if page.ended or (until is not None and until in text(found)):
                    return found
            if page is None or not page.pieces:
                await asyncio.sleep(_LOOK_EVERY_S)


def text(pieces: list[LogPiece], source: LogSource | None = None) -> bytes:
    """What the pieces hold of one output, or of both."""
    return b"".join(each.data for each in pieces if source in {None, each.source})


async def flooded(bench: Workbench, name: str) -> tuple[int, int]:
    """How many bytes of a flood were told, and how many bytes of memory that took at most."""
    told, after = 0, ""
    tracemalloc.start()
    try:
        while True:
            page = await bench.runtime.logs(name, after=after)
            assert page is not None
            told += sum(len(each.data) for each in page.pieces)
            if page.ended:
                return told, tracemalloc.get_traced_memory()[1]
            after = page.pieces[-1].position if page.pieces else after
    finally:
        tracemalloc.stop()
