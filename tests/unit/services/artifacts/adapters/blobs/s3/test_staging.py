"""Blobs of unknown length on their way in."""

import asyncio
import threading

import pytest

from services.artifacts.adapters.blobs.s3 import staging as module
from services.artifacts.adapters.blobs.s3.store import S3Blobs
from tests.fakes.s3 import FakeS3
from theory.core.cid import Cid
from theory.core.errors import TheoryError, Unavailable

DATA = bytes(range(250))
CID = Cid.of(DATA)


@pytest.fixture(autouse=True)
def _short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART_BYTES", 100)


def names(fake: FakeS3) -> list[str]:
    return sorted(key.split("/")[1] for key in fake.objects)


async def test_a_short_one_is_one_request_and_nothing_before_its_commit(blobs: S3Blobs, fake: FakeS3) -> None:
    staged = await blobs.stage()
    await staged.write(b"one")
    assert fake.requests == []
    await staged.commit(Cid.of(b"one"))
    await staged.discard()
    assert [each.split(" ")[0] for each in fake.requests] == ["PUT"]
    assert names(fake) == ["cas"]


async def test_a_long_one_goes_in_parts_and_appears_at_its_commit_alone(blobs: S3Blobs, fake: FakeS3) -> None:
    staged = await blobs.stage()
    for start in range(0, len(DATA), 7):
        await staged.write(DATA[start : start + 7])
    assert [len(part) for upload in fake.uploads.values() for part in upload.parts.values()] == [100, 100]
    assert await blobs.missing([CID]) == {CID}
    await staged.commit(CID)
    assert await blobs.read_many([CID], max_each=1000, max_total=1000) == [DATA]
    assert blobs.sizes([CID]) == {CID: 250}
    await staged.discard()
    await staged.discard()
    assert names(fake) == ["cas"]
    assert fake.uploads == {}


async def test_one_that_is_discarded_leaves_nothing(blobs: S3Blobs, fake: FakeS3) -> None:
    staged = await blobs.stage()
    await staged.write(DATA)
    await staged.discard()
    assert (fake.objects, fake.uploads) == ({}, {})


@pytest.mark.slow
async def test_the_same_long_bytes_at_once_become_one_blob(blobs: S3Blobs, fake: FakeS3) -> None:
    async def upload() -> None:
        staged = await blobs.stage()
        await staged.write(DATA)
        await staged.commit(CID)
        await staged.discard()

    await asyncio.gather(*(upload() for _ in range(8)))
    assert names(fake) == ["cas"]
    assert fake.uploads == {}
    assert await blobs.read_many([CID], max_each=1000, max_total=1000) == [DATA]


@pytest.mark.parametrize(("method", "status"), [("POST", 503), ("PUT", 503), ("PUT", 507), ("POST", 403)])
async def test_a_store_that_refuses_leaves_nothing_visible(
    blobs: S3Blobs, fake: FakeS3, method: str, status: int
) -> None:
    fake.refuse(method, status, "Refused", times=99)
    staged = await blobs.stage()
    with pytest.raises(TheoryError):
        await staged.write(DATA)
    await staged.discard()
    assert (fake.objects, fake.uploads) == ({}, {})


async def test_an_upload_that_was_swept_away_has_to_be_made_again(blobs: S3Blobs, fake: FakeS3) -> None:
    staged = await blobs.stage()
    await staged.write(DATA)
    fake.uploads.clear()
    with pytest.raises(Unavailable):
        await staged.commit(CID)
    await staged.discard()
    assert fake.objects == {}


async def test_a_writer_that_goes_away_in_the_middle_of_a_part_leaves_nothing(blobs: S3Blobs, fake: FakeS3) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def hold(request: str) -> None:
        if "partNumber" in request:
            arrived.set()
            go_on.wait(10)

    fake.before = hold
    staged = await blobs.stage()
    writing = asyncio.create_task(staged.write(DATA))
    await asyncio.to_thread(arrived.wait, 10)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    discarding = asyncio.create_task(staged.discard())
    await asyncio.sleep(0)
    go_on.set()
    await discarding
    assert (fake.objects, fake.uploads) == ({}, {})


async def test_what_cannot_be_removed_is_left_to_the_sweep(
    blobs: S3Blobs, fake: FakeS3, caplog: pytest.LogCaptureFixture
) -> None:
    staged = await blobs.stage()
    await staged.write(DATA)
    fake.refuse("DELETE", 403, "AccessDenied")
    await staged.discard()
    assert "staging.left" in caplog.messages
    assert len(fake.uploads) == 1


async def test_parts_grow_so_that_none_is_one_too_many(
    blobs: S3Blobs, fake: FakeS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PARTS_OF_A_SIZE", 2)
    staged = await blobs.stage()
    await staged.write(bytes(1000))
    (upload,) = fake.uploads.values()
    assert [len(part) for _, part in sorted(upload.parts.items())] == [100, 100, 200, 200]
    await staged.discard()
