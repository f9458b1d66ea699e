"""A store that does not look at signatures gets no clients of its own (I-124)."""

from collections.abc import AsyncIterator

import pytest

from services.artifacts.adapters.blobs.s3.client import Bucket
from services.artifacts.adapters.blobs.s3.signed_probe import probe_signed
from services.artifacts.adapters.blobs.s3.signing import Signing, open_signing
from tests.fakes.s3 import FakeS3
from theory.core.clock import FakeClock
from theory.core.errors import NotReady, Unsupported
from theory.core.ids import SequenceIds


@pytest.fixture
async def signing(bucket: Bucket, clock: FakeClock) -> AsyncIterator[Signing]:
    made = open_signing(bucket, bucket.address, clock)
    yield made
    made.close()


async def test_a_store_that_takes_unsigned_uploads_is_refused_and_nothing_is_left(
    bucket: Bucket, signing: Signing, clock: FakeClock, fake: FakeS3
) -> None:
    with pytest.raises(Unsupported, match="without a signature") as refused:
        await probe_signed(bucket, signing, clock, SequenceIds())
    assert refused.value.reason == "STORE_UNFIT"
    assert fake.objects == {}


@pytest.mark.parametrize(
    ("refusals", "said"),
    [(1, "another's"), (2, "If-None-Match"), (3, "Content-Type"), (4, "checksum")],
)
async def test_what_it_takes_in_spite_of_the_signature_is_told(
    bucket: Bucket, signing: Signing, clock: FakeClock, fake: FakeS3, refusals: int, said: str
) -> None:
    fake.refuse("PUT", 403, "SignatureDoesNotMatch", times=refusals)
    with pytest.raises(Unsupported, match=said):
        await probe_signed(bucket, signing, clock, SequenceIds())
    assert fake.objects == {}


async def test_a_store_that_reads_to_anyone_is_refused(
    bucket: Bucket, signing: Signing, clock: FakeClock, fake: FakeS3
) -> None:
    fake.refuse("PUT", 403, "SignatureDoesNotMatch", times=6)
    with pytest.raises(Unsupported, match="what was signed"):
        await probe_signed(bucket, signing, clock, SequenceIds())
    assert fake.objects == {}


async def test_a_store_that_takes_nothing_is_refused(
    bucket: Bucket, signing: Signing, clock: FakeClock, fake: FakeS3
) -> None:
    fake.refuse("PUT", 403, "AccessDenied", times=99)
    with pytest.raises(Unsupported, match="is not taken"):
        await probe_signed(bucket, signing, clock, SequenceIds())


async def test_a_store_that_does_not_let_us_look_is_refused(
    bucket: Bucket, signing: Signing, clock: FakeClock, fake: FakeS3
) -> None:
    fake.refuse("HEAD", 403, "AccessDenied")
    fake.refuse("PUT", 403, "AccessDenied", times=99)
    with pytest.raises(NotReady):
        await probe_signed(bucket, signing, clock, SequenceIds())
