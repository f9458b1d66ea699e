"""A store of blobs in memory, and places above it, with mounts and without."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

import pytest

from services.executor.adapters.places import DirectoryPlaces, mount
from theory.core.cid import Cid
from theory.core.errors import NotFound


def descriptors() -> set[str]:
    """The open files of this process."""
    return {each.name for each in Path("/proc/self/fd").iterdir()}


class Blobs:
    """What the artifacts service would hold; `spoil` makes it lie about a blob."""

    def __init__(self) -> None:
        self._held: dict[Cid, bytes] = {}
        self.downloads: list[Cid] = []

    def add(self, data: bytes) -> Cid:
        cid = Cid.of(data)
        self._held[cid] = data
        return cid

    def spoil(self, cid: Cid, data: bytes) -> None:
        self._held[cid] = data

    async def download(self, cid: Cid, into: BinaryIO) -> None:
        self.downloads.append(cid)
        if cid not in self._held:
            raise NotFound("BLOB_UNKNOWN", "there is no such blob", cid=cid.text)
        data = self._held[cid]
        half = len(data) // 2
        into.write(data[:half])
        into.write(data[half:])


@pytest.fixture
def blobs() -> Blobs:
    return Blobs()


@pytest.fixture(params=[True, False], ids=["mounts", "modes"])
def mounts(request: pytest.FixtureRequest, tmp_path: Path) -> bool:
    wanted: bool = request.param
    if wanted and not mount.permitted(tmp_path):
        pytest.skip("this user may not mount")
    return wanted


@pytest.fixture
async def places(tmp_path: Path, blobs: Blobs, mounts: bool) -> AsyncIterator[DirectoryPlaces]:
    opened = await DirectoryPlaces.open(tmp_path / "home", blobs.download, mounts=mounts)
    yield opened
    await opened.sweep(frozenset())
    await opened.close()
    assert mount.mounted_below(tmp_path) == []
