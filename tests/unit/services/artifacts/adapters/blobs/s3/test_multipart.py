"""Objects made of parts."""

import pytest
from botocore.exceptions import ClientError

from services.artifacts.adapters.blobs.s3.client import Bucket
from services.artifacts.adapters.blobs.s3.multipart import Multipart, Upload
from tests.fakes.s3 import FakeS3


async def test_nothing_is_there_before_all_parts_are(bucket: Bucket, multipart: Multipart, fake: FakeS3) -> None:
    upload = await multipart.begin("k", checked=True)
    parts = [await multipart.send(upload, number, data) for number, data in enumerate((b"one", b"two"), 1)]
    assert await bucket.size_of("k") is None
    await multipart.complete(upload, parts)
    assert fake.objects["p/k"].data == b"onetwo"


async def test_a_part_is_copied_from_another_object(bucket: Bucket, multipart: Multipart, fake: FakeS3) -> None:
    await bucket.put_new("from", b"0123456789")
    upload = await multipart.begin("k", checked=False)
    await multipart.complete(upload, [await multipart.copy(upload, 1, "from", 2, 5)])
    assert fake.objects["p/k"].data == b"234"


async def test_a_name_that_is_taken_stays_as_it_is(bucket: Bucket, multipart: Multipart, fake: FakeS3) -> None:
    await bucket.put_new("k", b"first")
    upload = await multipart.begin("k", checked=True)
    await multipart.complete(upload, [await multipart.send(upload, 1, b"second")])
    assert fake.objects["p/k"].data == b"first"


async def test_a_lost_answer_to_the_last_request_is_no_failure(multipart: Multipart, fake: FakeS3) -> None:
    upload = await multipart.begin("k", checked=True)
    part = await multipart.send(upload, 1, b"one")
    fake.lose("POST")
    await multipart.complete(upload, [part])
    assert fake.objects["p/k"].data == b"one"


async def test_a_part_of_an_upload_that_is_gone_is_refused(multipart: Multipart) -> None:
    upload = await multipart.begin("k", checked=True)
    await multipart.abort(upload)
    await multipart.abort(upload)
    with pytest.raises(ClientError):
        await multipart.send(upload, 1, b"one")


async def test_forgetting_removes_parts_and_what_they_became(multipart: Multipart, fake: FakeS3) -> None:
    begun = await multipart.begin("begun", checked=True)
    ended = await multipart.begin("ended", checked=True)
    await multipart.complete(ended, [await multipart.send(ended, 1, b"one")])
    for upload in (begun, ended, Upload("never", "none")):
        await multipart.forget(upload)
    assert (fake.uploads, fake.objects) == ({}, {})
