"""Rings that go on while they are read; damage is found by the tests of verification."""

import asyncio

from tests.unit.theory.sdk.conftest import Installation
from theory.core.stream import AskedLimits
from theory.core.world_path import WorldName
from theory.sdk.rings import verify_rings


async def test_every_chunk_that_is_kept_is_read(installation: Installation) -> None:
    streams = installation.theory.streams
    await asyncio.gather(
        streams.append_many("w", "/streams/a", [b"x" * 100] * 3, limits=AskedLimits(max_chunks=2)),
        streams.append_many("w", "/streams/b/c", [b"y"] * 100),
        streams.append_many("other", "/streams/a", [b"z"]),
    )
    await streams.append_many("w", "/streams/b/c", [b"y"] * 100)
    found = await verify_rings(streams, WorldName("w"))
    assert (found.chunks, found.bytes_hashed, found.corrupt) == (202, 400, [])
