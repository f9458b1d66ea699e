"""A blob in pieces."""

import pytest

from services.artifacts.adapters.blobs.s3.client import Bucket
from services.artifacts.adapters.blobs.s3.reader import Reader
from tests.fakes.s3 import FakeS3
from theory.core.errors import NotReady

DATA = bytes(range(256)) * 40


async def test_the_pieces_are_the_bytes_and_take_ever_fewer_requests(bucket: Bucket, fake: FakeS3) -> None:
    await bucket.put_new("k", DATA)
    reader = Reader(bucket, "k", len(DATA))
    read = [await reader.read(offset, min(100, len(DATA) - offset)) for offset in range(0, len(DATA), 100)]
    assert b"".join(read) == DATA
    assert sum(each.startswith("GET") for each in fake.requests) == 7


async def test_a_reader_that_jumps_gets_what_it_asks_for_and_no_more(bucket: Bucket, fake: FakeS3) -> None:
    await bucket.put_new("k", DATA)
    reader = Reader(bucket, "k", len(DATA))
    assert [await reader.read(offset, 10) for offset in (5000, 20, 9990)] == [
        DATA[5000:5010],
        DATA[20:30],
        DATA[9990:10000],
    ]
    assert await reader.read(len(DATA) - 5, 10) == DATA[-5:]
    await reader.close()
    await reader.close()


async def test_a_blob_that_is_gone_reads_as_nothing(bucket: Bucket) -> None:
    assert await Reader(bucket, "k", 10).read(0, 10) == b""


async def test_what_was_asked_for_ahead_and_failed_is_asked_for_again(bucket: Bucket, fake: FakeS3) -> None:
    await bucket.put_new("k", DATA)
    reader = Reader(bucket, "k", len(DATA))
    await reader.read(0, 100)
    fake.before = lambda said: fake.refuse("GET", 403, "AccessDenied", key="p/k") if len(fake.requests) == 4 else None
    assert await reader.read(100, 100) == DATA[100:200]
    with pytest.raises(NotReady):  # the store refuses what was asked for ahead, and says so to who wants it
        await reader.read(300, 100)
    assert await reader.read(300, 100) == DATA[300:400]
    await reader.close()


async def test_a_reader_that_jumps_forgets_what_it_asked_for_ahead(bucket: Bucket, fake: FakeS3) -> None:
    await bucket.put_new("k", DATA)
    reader = Reader(bucket, "k", len(DATA))
    assert [await reader.read(offset, 100) for offset in (0, 100, 5000, 5100, 300)] == [
        DATA[offset : offset + 100] for offset in (0, 100, 5000, 5100, 300)
    ]
    await reader.close()
