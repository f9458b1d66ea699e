"""What is done before a bucket is trusted with bytes."""

from collections.abc import Iterator

import pytest

from services.artifacts.adapters.blobs import open_blobs
from tests.fakes.s3 import IGNORE_CONDITION, FakeS3
from tests.servers import AWS_VARIABLES
from theory.core.cid import Cid
from theory.core.errors import NotReady, Unsupported

pytestmark = [pytest.mark.slow]


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in AWS_VARIABLES.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def fake() -> Iterator[FakeS3]:
    with FakeS3() as store:
        yield store


async def test_an_opened_bucket_keeps_blobs(fake: FakeS3) -> None:
    blobs = await open_blobs(fake.address("p"))
    assert (blobs.kind, blobs.durable) == ("s3", True)
    assert await blobs.put_many([(Cid.of(b"one"), b"one")]) == [None]
    await blobs.close()
    assert len(fake.objects) == 1


async def test_an_unfit_store_is_refused() -> None:
    with FakeS3(IGNORE_CONDITION) as fake, pytest.raises(Unsupported):
        await open_blobs(fake.address("p"))


async def test_credentials_that_are_refused_are_told(fake: FakeS3) -> None:
    fake.refuse("HEAD", 403, "SignatureDoesNotMatch")
    with pytest.raises(NotReady) as caught:
        await open_blobs(fake.address("p"))
    assert caught.value.reason == "STORE_DENIED"
