"""Every artifact store keeps every promise, over a socket, beside a ledger."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.artifacts.adapters.bindings import MODULE_BY_SCHEME as BINDINGS
from services.artifacts.adapters.blobs import MODULE_BY_SCHEME as BLOBS
from services.artifacts.assembly import assemble
from services.artifacts.config import ArtifactsConfig
from tests import backends
from tests.conformance.harness import Harness, adapters_of
from tests.conformance.held import Held
from theory.core.cid import Cid
from theory.core.errors import Exhausted
from theory.core.world_path import WorldName, WorldPath
from theory.sdk.artifacts import ArtifactPut, ArtifactsClient
from theory.testing.case import Case
from theory.wire.server import running

PRIMITIVE = "artifacts"


def test_every_adapter_is_in_a_pair() -> None:
    blobs, bindings = zip(*(each.split("-") for each in adapters_of(PRIMITIVE)), strict=True)
    assert set(blobs) == set(BLOBS)
    assert set(bindings) == set(BINDINGS)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of four mebibytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    backends.require("tmpfs", None if mounted.returncode == 0 else f"it cannot be mounted: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_promise(adapter: str, case: Case, held: Held, harness: Harness) -> None:
    held.require(PRIMITIVE, adapter, case, harness)


async def test_a_full_disk_refuses_whole_items_and_goes_on_once_there_is_room(small_disk: Path, tmp_path: Path) -> None:
    config = ArtifactsConfig.load(
        {
            "home": tmp_path,
            "blobs_url": f"file://{small_disk}/blobs",
            "database_url": f"sqlite:///{small_disk}/artifacts.db",
        }
    )
    world, path = WorldName("w"), WorldPath("/artifacts/a")
    small, large = b"small" * 1000, bytes(range(256)) * 8192
    async with running([await assemble(config)]) as server:
        client = ArtifactsClient(server.channel())
        stored = await client.put_blob(b"there before")
        filler = small_disk / "filler"
        _fill(filler)

        for data in (small, large):
            with pytest.raises(Exhausted) as refused:
                await client.put_blob(data)
            assert refused.value.reason == "DISK_FULL"
        with pytest.raises(Exhausted) as refused:
            await client.put(world, ArtifactPut(path, stored))
        assert refused.value.reason == "DISK_FULL"
        assert await client.find_missing([Cid.of(small), Cid.of(large)]) == [Cid.of(small), Cid.of(large)]
        assert [each async for each in client.list(world)] == []
        assert await client.get_blob(stored) == b"there before"

        filler.unlink()
        for data in (small, large):
            assert await client.get_blob(await client.put_blob(data)) == data
        await client.put(world, ArtifactPut(path, stored))
        assert await client.get_bytes(world, path) == b"there before"


def _fill(place: Path) -> None:
    """Take every byte that is left."""
    with place.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
