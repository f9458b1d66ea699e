"""The directory behind the port: groups of batches, descriptors, cancelled calls."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.artifacts.adapters.blobs import filesystem as module
from services.artifacts.adapters.blobs.directory import BlobDirectory
from services.artifacts.adapters.blobs.filesystem import FilesystemBlobs
from services.artifacts.ports import Unread
from theory.core.cid import Cid
from theory.core.errors import Invalid, Unavailable

ONE = Cid.of(b"one")


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[FilesystemBlobs]:
    opened = await module.open(f"file://{tmp_path}/blobs")
    assert isinstance(opened, FilesystemBlobs)
    yield opened
    await opened.close()


@pytest.fixture
def descriptors(tmp_path: Path) -> Callable[[], int]:
    """How many files of the store are open: others of this process come and go."""

    def count() -> int:
        found = 0
        for each in Path("/proc/self/fd").iterdir():
            with suppress(FileNotFoundError):
                found += str(each.readlink()).startswith(str(tmp_path))
        return found

    return count


@pytest.mark.parametrize("url", ["file:", "file://host/x", "file:///x?y=1", "file:///x#y"])
async def test_an_address_that_names_no_directory_is_refused(url: str) -> None:
    with pytest.raises(Invalid):
        await module.open(url)


async def test_an_escaped_address_names_the_directory_it_spells(tmp_path: Path) -> None:
    opened = await module.open((tmp_path / "a b#c").as_uri())
    await opened.close()
    assert (tmp_path / "a b#c" / "staging").is_dir()


async def test_a_directory_that_cannot_be_made_is_told_in_our_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable):
        await module.open(f"file://{tmp_path}/file/below")


async def test_batches_that_wait_share_a_sync(blobs: FilesystemBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    publish = BlobDirectory.publish

    def counted(self: BlobDirectory, drafts: list[object]) -> object:
        calls.append(len(drafts))
        return publish(self, drafts)  # type: ignore[arg-type]

    monkeypatch.setattr(BlobDirectory, "publish", counted)
    data = [b"%d" % n for n in range(20)]
    outcomes = await asyncio.gather(*(blobs.put_many([(Cid.of(each), each)]) for each in data))
    assert outcomes == [[None]] * 20
    assert sum(calls) == 20
    assert len(calls) <= 2


async def test_a_batch_larger_than_a_group_is_stored_whole(
    blobs: FilesystemBlobs, descriptors: Callable[[], int]
) -> None:
    data = [b"%d" % n for n in range(300)]
    before = descriptors()
    assert await blobs.put_many([(Cid.of(each), each) for each in data]) == [None] * 300
    assert len(blobs.sizes([Cid.of(each) for each in data])) == 300
    assert descriptors() == before


async def test_reading_stops_where_the_answer_is_full(blobs: FilesystemBlobs) -> None:
    data = [b"a" * 6, b"b" * 6, b"c" * 3, b"d" * 20]
    cids = [Cid.of(each) for each in data]
    await blobs.put_many(list(zip(cids, data, strict=True)))
    answers = await blobs.read_many([*cids, ONE], max_each=10, max_total=10)
    assert answers == [data[0], Unread(6), data[2], Unread(20), None]


async def test_a_caller_that_went_away_does_not_hold_up_the_others(blobs: FilesystemBlobs) -> None:
    gone = asyncio.create_task(blobs.put_many([(ONE, b"one")]))
    stays = asyncio.create_task(blobs.put_many([(Cid.of(b"two"), b"two")]))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == [None]
    assert await blobs.missing([ONE, Cid.of(b"two")]) == set()


async def test_what_breaks_in_a_batch_reaches_everyone_in_it_and_nobody_after(
    blobs: FilesystemBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(BlobDirectory, "publish", broken)
        puts = (blobs.put_many([(Cid.of(data), data)]) for data in (b"one", b"two"))
        ended = await asyncio.gather(*puts, return_exceptions=True)
    assert [type(each) for each in ended] == [ZeroDivisionError] * 2
    assert await blobs.put_many([(ONE, b"one")]) == [None]


async def test_a_cancelled_upload_closes_its_file_only_when_its_thread_is_done(
    blobs: FilesystemBlobs, monkeypatch: pytest.MonkeyPatch, descriptors: Callable[[], int]
) -> None:
    began, go_on = threading.Event(), threading.Event()
    write = os.write
    written: list[int] = []

    def slow(descriptor: int, data: memoryview) -> int:
        began.set()
        go_on.wait(5)
        written.append(descriptor)
        return write(descriptor, data)

    before = descriptors()
    staged = await blobs.stage()
    monkeypatch.setattr(os, "write", slow)
    writing = asyncio.create_task(staged.write(b"one"))
    await asyncio.to_thread(began.wait, 5)
    writing.cancel()
    discarding = asyncio.create_task(staged.discard())
    await asyncio.sleep(0)
    assert descriptors() == before + 1
    go_on.set()
    await discarding
    assert len(written) == 1
    assert descriptors() == before


async def test_a_discarded_upload_takes_nothing_more(blobs: FilesystemBlobs) -> None:
    staged = await blobs.stage()
    await staged.discard()
    await staged.discard()
    with pytest.raises(Unavailable):
        await staged.write(b"one")


async def test_readers_let_their_files_go(blobs: FilesystemBlobs, descriptors: Callable[[], int]) -> None:
    await blobs.put_many([(ONE, b"one")])
    before = descriptors()
    reader = await blobs.open(ONE)
    assert reader is not None
    assert (reader.size_bytes, await reader.read(1, 2), await reader.read(1, 9)) == (3, b"ne", b"ne")
    await reader.close()
    await reader.close()
    assert await blobs.open(Cid.of(b"nowhere")) is None
    assert descriptors() == before


async def test_what_goes_is_listed_no_more_and_who_has_it_open_reads_on(blobs: FilesystemBlobs) -> None:
    two = Cid.of(b"two")
    await blobs.put_many([(ONE, b"one"), (two, b"two")])
    found = await blobs.scan(None, 9)
    assert {(each.cid, each.size_bytes) for each in found} == {(ONE, 3), (two, 3)}
    assert abs((datetime.now(UTC) - found[0].time).total_seconds()) < 60
    reader = await blobs.open(ONE)
    assert reader is not None
    await blobs.delete([ONE])
    await blobs.quarantine(two)
    assert await blobs.scan(None, 9) == []
    assert await blobs.missing([ONE, two]) == {ONE, two}
    assert await reader.read(0, 3) == b"one"
    await reader.close()
