"""What uploads left that never ended."""

from datetime import UTC, datetime, timedelta

from services.artifacts.adapters.blobs.s3.client import Bucket
from services.artifacts.adapters.blobs.s3.multipart import Multipart
from services.artifacts.adapters.blobs.s3.sweep import GIVEN_UP, Sweep
from tests.fakes.s3 import FakeS3, Object
from theory.core.clock import FakeClock

NOW = datetime(2026, 3, 4, tzinfo=UTC)
OLD = NOW - GIVEN_UP - timedelta(seconds=1)
YOUNG = NOW - GIVEN_UP + timedelta(seconds=1)


async def test_only_what_is_old_and_has_no_cid_is_removed(bucket: Bucket, multipart: Multipart, fake: FakeS3) -> None:
    for key in ("staging/", "cas/b3/ab/"):
        for age, time in (("old", OLD), ("young", YOUNG)):
            fake.objects[f"p/{key}{age}"] = Object(b"one", time)
            upload = await multipart.begin(f"{key}{age}-parts", checked=True)
            fake.uploads[upload.upload_id].time = time
    fake.objects["other/staging/old"] = Object(b"one", OLD)
    sweep = Sweep(bucket, multipart, FakeClock(NOW))
    assert await sweep.once() == 3
    assert set(fake.objects) == {"p/cas/b3/ab/old", "p/cas/b3/ab/young", "p/staging/young", "other/staging/old"}
    assert {each.key for each in fake.uploads.values()} == {"p/cas/b3/ab/young-parts", "p/staging/young-parts"}
    assert await sweep.once() == 0
