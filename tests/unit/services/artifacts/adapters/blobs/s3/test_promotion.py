"""From a staged object to a blob."""

import pytest

from services.artifacts.adapters.blobs.s3 import promotion as module
from services.artifacts.adapters.blobs.s3.client import Bucket
from services.artifacts.adapters.blobs.s3.multipart import Multipart
from services.artifacts.adapters.blobs.s3.promotion import promote
from tests.fakes.s3 import FakeS3
from theory.core.errors import Unavailable


async def test_the_bytes_get_their_name_in_as_many_copies_as_it_takes(
    bucket: Bucket, multipart: Multipart, fake: FakeS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_COPY_BYTES", 4)
    await bucket.put_new("s", b"0123456789")
    assert await promote(bucket, multipart, "s", 10, "k") == 10
    assert fake.objects["p/k"].data == b"0123456789"
    assert sum("partNumber" in each for each in fake.requests) == 3
    assert fake.uploads == {}


async def test_a_name_that_is_there_is_as_good(bucket: Bucket, multipart: Multipart, fake: FakeS3) -> None:
    await bucket.put_new("k", b"0123456789")
    assert await promote(bucket, multipart, "gone", 10, "k") == 10
    assert not any("POST" in each for each in fake.requests)


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
async def test_lost_answers_on_the_way_change_nothing(
    bucket: Bucket, multipart: Multipart, fake: FakeS3, method: str
) -> None:
    await bucket.put_new("s", b"0123456789")
    fake.lose(method, key="p/k", times=2)
    assert await promote(bucket, multipart, "s", 10, "k") == 10
    assert fake.objects["p/k"].data == b"0123456789"


async def test_a_source_that_is_gone_leaves_no_name_and_no_parts(
    bucket: Bucket, multipart: Multipart, fake: FakeS3
) -> None:
    with pytest.raises(Unavailable):
        await promote(bucket, multipart, "gone", 10, "k")
    assert (fake.objects, fake.uploads) == ({}, {})
