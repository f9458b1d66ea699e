"""Worlds made of hard links."""

import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.executor.adapters.threads import Threads
from tests.unit.services.executor.adapters.places.conftest import Blobs
from theory.core.cid import Cid
from theory.core.world_path import WorldPath
from theory.world.cache import BlobCache, name_of
from theory.world.farm import BlobGone, plant


@pytest.fixture
async def cache(tmp_path: Path, blobs: Blobs) -> AsyncIterator[BlobCache]:
    threads = Threads("test", 2)
    opened = BlobCache.open(tmp_path / "cache", blobs.download, threads, max_bytes=2500)
    yield opened
    await opened.close()
    threads.close()


def _plant(root: Path, inputs: dict[str, Cid], cache: BlobCache) -> None:
    root.mkdir()
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        plant(descriptor, [(WorldPath.parse(path), cid) for path, cid in inputs.items()], cache)
    finally:
        os.close(descriptor)


def _shown(root: Path) -> dict[str, bytes]:
    return {f"/{each.relative_to(root)}": each.read_bytes() for each in root.rglob("*") if each.is_file()}


async def test_a_world_holds_exactly_its_inputs(cache: BlobCache, blobs: Blobs, tmp_path: Path) -> None:
    one, two = blobs.add(b"one"), blobs.add(b"two")
    await cache.ensure([one, two])
    inputs = {"/artifacts/a": one, "/artifacts/b/c/d": two, "/artifacts/b/c/e é": one, "/streams/camera/0": two}
    _plant(tmp_path / "world", inputs, cache)
    assert _shown(tmp_path / "world") == {
        "/artifacts/a": b"one",
        "/artifacts/b/c/d": b"two",
        "/artifacts/b/c/e é": b"one",
        "/streams/camera/0": b"two",
    }


async def test_a_world_takes_no_room_of_its_own_and_is_closed_to_writing(
    cache: BlobCache, blobs: Blobs, tmp_path: Path
) -> None:
    cid = blobs.add(b"one")
    await cache.ensure([cid])
    _plant(tmp_path / "world", {"/artifacts/a/b": cid}, cache)
    linked = (tmp_path / "world" / "artifacts" / "a" / "b").stat()
    assert linked.st_ino == (tmp_path / "cache" / name_of(cid)).stat().st_ino
    folders = [tmp_path / "world", tmp_path / "world" / "artifacts", tmp_path / "world" / "artifacts" / "a"]
    assert [each.stat().st_mode & 0o777 for each in folders] == [0o555] * 3


async def test_a_blob_that_was_trimmed_meanwhile_is_gone(cache: BlobCache, tmp_path: Path) -> None:
    with pytest.raises(BlobGone):
        _plant(tmp_path / "world", {"/artifacts/a": Cid.of(b"never")}, cache)


@pytest.mark.parametrize("code", [errno.EMLINK, errno.EXDEV])
async def test_where_no_link_can_be_made_the_world_gets_a_copy(
    cache: BlobCache, blobs: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    cid = blobs.add(b"one")
    await cache.ensure([cid])

    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refuse)
    _plant(tmp_path / "world", {"/artifacts/a": cid}, cache)
    copy = (tmp_path / "world" / "artifacts" / "a").stat()
    assert (copy.st_nlink, copy.st_mode & 0o777, copy.st_mtime_ns) == (1, 0o444, 0)
    assert _shown(tmp_path / "world") == {"/artifacts/a": b"one"}
