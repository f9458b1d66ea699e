"""The cache of blobs: verified, fetched once, within its limit."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

import pytest

from services.executor.adapters.threads import Threads
from tests.unit.services.executor.adapters.places.conftest import Blobs
from theory.core.cid import Cid
from theory.core.errors import Corrupt, NotFound
from theory.world import cache as module
from theory.world.cache import BlobCache, name_of


@pytest.fixture
async def threads() -> AsyncIterator[Threads]:
    pool = Threads("test", 2)
    yield pool
    pool.close()


@pytest.fixture
async def cache(tmp_path: Path, blobs: Blobs, threads: Threads) -> AsyncIterator[BlobCache]:
    opened = BlobCache.open(tmp_path / "cache", blobs.download, threads, max_bytes=2500)
    yield opened
    await opened.close()


def _path(tmp_path: Path, cid: Cid) -> Path:
    return tmp_path / "cache" / name_of(cid)


async def test_a_blob_is_kept_under_its_name_read_only(cache: BlobCache, blobs: Blobs, tmp_path: Path) -> None:
    cid = blobs.add(b"x" * 3000)
    await cache.ensure([cid])
    assert _path(tmp_path, cid).read_bytes() == b"x" * 3000
    assert _path(tmp_path, cid).stat().st_mode & 0o777 == 0o444


async def test_a_blob_that_is_here_is_not_fetched_again(cache: BlobCache, blobs: Blobs) -> None:
    cid = blobs.add(b"1")
    await cache.ensure([cid])
    await cache.ensure([cid, cid])
    assert blobs.downloads == [cid]


async def test_many_who_want_a_blob_share_one_download(tmp_path: Path, threads: Threads) -> None:
    may_end = asyncio.Event()
    begun = asyncio.Event()
    calls: list[Cid] = []

    async def download(cid: Cid, into: BinaryIO) -> None:
        calls.append(cid)
        begun.set()
        await may_end.wait()
        into.write(b"1")

    cache = BlobCache.open(tmp_path / "cache", download, threads, max_bytes=1000)
    wanting = [asyncio.create_task(cache.ensure([Cid.of(b"1")])) for _ in range(5)]
    await begun.wait()
    wanting[0].cancel()
    may_end.set()
    ended = await asyncio.gather(*wanting, return_exceptions=True)
    assert [type(each) for each in ended] == [asyncio.CancelledError, *[type(None)] * 4]
    assert calls == [Cid.of(b"1")]
    await cache.close()


async def test_bytes_that_are_not_the_blobs_are_refused_and_not_kept(
    cache: BlobCache, blobs: Blobs, tmp_path: Path
) -> None:
    cid = blobs.add(b"good")
    blobs.spoil(cid, b"evil")
    with pytest.raises(Corrupt) as caught:
        await cache.ensure([cid])
    assert caught.value.reason == "BLOB_CORRUPT"
    assert not _path(tmp_path, cid).exists()
    assert list((tmp_path / "cache" / "drafts").iterdir()) == []


async def test_a_blob_that_nobody_has_is_not_found(cache: BlobCache) -> None:
    with pytest.raises(NotFound) as caught:
        await cache.ensure([Cid.of(b"never stored")])
    assert caught.value.reason == "BLOB_UNKNOWN"


async def test_a_failure_is_not_remembered(cache: BlobCache, blobs: Blobs) -> None:
    cid = Cid.of(b"late")
    with pytest.raises(NotFound):
        await cache.ensure([cid])
    blobs.add(b"late")
    await cache.ensure([cid])


@pytest.mark.parametrize("spoil", ["content", "mode"])
async def test_a_blob_that_somebody_changed_is_fetched_again(
    cache: BlobCache, blobs: Blobs, tmp_path: Path, spoil: str
) -> None:
    cid = blobs.add(b"good")
    await cache.ensure([cid])
    blob = _path(tmp_path, cid)
    blob.chmod(0o644)
    if spoil == "content":
        blob.write_bytes(b"evil")
        blob.chmod(0o444)
    await cache.ensure([cid])
    assert blob.read_bytes() == b"good"
    assert blobs.downloads == [cid, cid]


async def test_trimming_deletes_what_was_used_longest_ago(cache: BlobCache, blobs: Blobs, tmp_path: Path) -> None:
    cids = [blobs.add(bytes([number]) * 1000) for number in range(4)]
    for cid in cids:
        await cache.ensure([cid])
    # A world holds the first; the second is used once more.
    os.link(_path(tmp_path, cids[0]), tmp_path / "held")
    os.link(_path(tmp_path, cids[1]), tmp_path / "used")
    (tmp_path / "used").unlink()
    cache.trim()
    assert [_path(tmp_path, cid).exists() for cid in cids] == [True, True, False, True]


async def test_a_cache_that_grows_is_trimmed_on_the_way(
    cache: BlobCache, blobs: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TRIM_BYTES", 3000)
    cids = [blobs.add(bytes([number]) * 1000) for number in range(5)]
    for cid in cids:
        await cache.ensure([cid])
    assert sum(_path(tmp_path, cid).exists() for cid in cids) < 5
    assert _path(tmp_path, cids[-1]).exists()


async def test_what_is_wanted_stays_however_little_the_cache_may_hold(
    cache: BlobCache, blobs: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TRIM_BYTES", 1)
    wanted = [blobs.add(bytes([number]) * 4000) for number in range(3)]
    for cids in (wanted[:2], wanted[1:]):
        await cache.ensure(cids)
        assert all(_path(tmp_path, cid).exists() for cid in cids)
    assert not _path(tmp_path, wanted[0]).exists()


async def test_after_a_reboot_the_cache_begins_anew(tmp_path: Path, blobs: Blobs, threads: Threads) -> None:
    cid = blobs.add(b"1")
    for boot, found in (("first", False), ("first", True), ("second", False)):
        (tmp_path / "boot_id").write_text(boot)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "_BOOT_ID", tmp_path / "boot_id")
            cache = BlobCache.open(tmp_path / "cache", blobs.download, threads, max_bytes=1000)
        assert _path(tmp_path, cid).exists() is found
        await cache.ensure([cid])
        await cache.close()


async def test_two_caches_of_one_directory_are_in_nobodys_way(
    cache: BlobCache, tmp_path: Path, blobs: Blobs, threads: Threads
) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def slowly(cid: Cid, into: BinaryIO) -> None:
        into.write(b"slo")
        begun.set()
        await may_end.wait()
        into.write(b"w")

    other = BlobCache.open(tmp_path / "cache", slowly, threads, max_bytes=2500)
    fetching = asyncio.create_task(other.ensure([Cid.of(b"slow")]))
    await begun.wait()
    third = BlobCache.open(tmp_path / "cache", blobs.download, threads, max_bytes=1)
    third.trim()
    blobs.add(b"slow")
    await cache.ensure([Cid.of(b"slow"), blobs.add(b"fast")])
    may_end.set()
    await fetching
    assert _path(tmp_path, Cid.of(b"slow")).read_bytes() == b"slow"
    blobs.downloads.clear()
    await other.ensure([Cid.of(b"fast")])
    await third.ensure([Cid.of(b"slow"), Cid.of(b"fast")])
    assert blobs.downloads == []
    await other.close()
    await third.close()


@pytest.mark.parametrize("spoil", ["content", "gone"])
async def test_a_blob_with_good_marks_is_read_where_that_is_asked(
    cache: BlobCache, blobs: Blobs, tmp_path: Path, spoil: str
) -> None:
    cid = blobs.add(b"good")
    await cache.ensure([cid])
    blob = _path(tmp_path, cid)
    blob.unlink()
    if spoil == "content":
        blob.write_bytes(b"evil")
        blob.chmod(0o444)
        os.utime(blob, ns=(0, 0))
        await cache.ensure([cid])
        assert blob.read_bytes() == b"evil"
    await cache.ensure([cid], verify=True)
    assert blob.read_bytes() == b"good"


async def test_drafts_of_a_killed_executor_are_removed(tmp_path: Path, blobs: Blobs, threads: Threads) -> None:
    for _ in range(2):
        cache = BlobCache.open(tmp_path / "cache", blobs.download, threads, max_bytes=1000)
        assert list((tmp_path / "cache" / "drafts").iterdir()) == []
        (tmp_path / "cache" / "drafts" / "left").touch()
        await cache.close()


async def test_downloads_that_end_together_all_count_for_its_growth(tmp_path: Path, blobs: Blobs) -> None:
    threads = Threads("test", 8)
    cache = BlobCache.open(tmp_path / "cache", blobs.download, threads, max_bytes=1_000_000)
    await cache.ensure([blobs.add(bytes([number]) * 1000) for number in range(5)])
    assert cache._grown_bytes == 5000
    await cache.close()
    threads.close()
