"""The chunks that the rings of a world keep, read and hashed here."""

from dataclasses import dataclass, field

from theory.core.chunk import chunk_path
from theory.core.errors import Corrupt, NotFound
from theory.core.stream import FACET
from theory.core.world_path import PathPrefix, WorldName, WorldPath
from theory.sdk.streams import StreamsClient


@dataclass(slots=True)
class Rings:
    """What was read."""

    chunks: int = 0
    bytes_hashed: int = 0
    corrupt: list[tuple[str, str]] = field(default_factory=list)
    """Path and CID of each chunk whose bytes changed."""


async def verify_rings(streams: StreamsClient, world: WorldName, prefix: PathPrefix | None = None) -> Rings:
    """Read every chunk that is kept of the world's streams, or of those below a folder.

    A chunk that is dropped meanwhile is passed over.
    """
    found = Rings()
    if prefix is None or prefix.facet == FACET:
        async for stream in streams.list(world.text):
            if prefix is None or f"{stream.series}/".startswith(prefix.text):
                await _read(streams, world, stream.series, stream.chunk_count, found)
    return found


async def _read(streams: StreamsClient, world: WorldName, series: WorldPath, end: int, found: Rings) -> None:
    """Read up to the chunk that was the newest when this began: a stream that goes on would never end."""
    idx = 0
    while idx < end:
        try:
            page = await streams.read(world.text, series.text, from_idx=idx)
        except NotFound:
            return
        except Corrupt as error:
            idx = int(error.metadata["idx"])
            found.chunks += 1
            found.corrupt.append((chunk_path(series, idx).text, error.metadata["cid"]))
            idx += 1
        else:
            found.chunks += len(page.chunks)
            found.bytes_hashed += sum(len(each.data) for each in page.chunks)
            idx = page.next_idx
