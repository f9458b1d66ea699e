"""A bucket of the store in memory, and what stands on it; no pause takes time."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from services.artifacts.adapters.blobs.s3.address import Address
from services.artifacts.adapters.blobs.s3.client import Bucket, client_of
from services.artifacts.adapters.blobs.s3.multipart import Multipart
from services.artifacts.adapters.blobs.s3.store import S3Blobs
from tests.fakes.s3 import FakeS3
from tests.servers import AWS_VARIABLES
from theory.core.clock import FakeClock
from theory.core.ids import SequenceIds


class HurriedClock(FakeClock):
    """Remembers the pauses that it was asked for, and makes none."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    async def sleep(self, s: float) -> None:
        self.pauses.append(s)
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in AWS_VARIABLES.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def fake() -> Iterator[FakeS3]:
    with FakeS3() as store:
        yield store


@pytest.fixture
def hurried() -> HurriedClock:
    return HurriedClock()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@asynccontextmanager
async def bucket_of(fake: FakeS3, clock: HurriedClock) -> AsyncIterator[Bucket]:
    address = Address.parse(fake.address("p"))
    opened = Bucket(client_of(address), address, clock)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
async def bucket(fake: FakeS3, hurried: HurriedClock) -> AsyncIterator[Bucket]:
    async with bucket_of(fake, hurried) as opened:
        yield opened


@pytest.fixture
def multipart(bucket: Bucket) -> Multipart:
    return Multipart(bucket)


@pytest.fixture
async def blobs(bucket: Bucket, clock: FakeClock) -> AsyncIterator[S3Blobs]:
    opened = S3Blobs(bucket, clock=clock, ids=SequenceIds())
    yield opened
    await opened.close()
