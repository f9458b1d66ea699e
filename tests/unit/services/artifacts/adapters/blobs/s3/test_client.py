"""Objects by key: lost answers, refusals that pass, and what is asked again."""

import threading

import pytest

from services.artifacts.adapters.blobs.s3 import client as module
from services.artifacts.adapters.blobs.s3.address import Address
from services.artifacts.adapters.blobs.s3.client import Bucket, client_of
from services.artifacts.ports import Unread
from tests.fakes.s3 import FakeS3
from tests.unit.services.artifacts.adapters.blobs.s3.conftest import HurriedClock, bucket_of
from theory.core.clock import FakeClock
from theory.core.errors import Exhausted, NotReady, TheoryError, Unavailable, Unsupported


async def test_an_object_is_made_once_below_the_prefix(bucket: Bucket, fake: FakeS3) -> None:
    assert [await bucket.put_new("k", b"one"), await bucket.put_new("k", b"two")] == [True, False]
    assert {key: each.data for key, each in fake.objects.items()} == {"p/k": b"one"}
    assert await bucket.size_of("k") == 3


async def test_reading_tells_bytes_lengths_and_absence_apart(bucket: Bucket) -> None:
    await bucket.put_new("k", b"three")
    assert await bucket.get("k", max_bytes=5) == b"three"
    assert await bucket.get("k", max_bytes=4) == Unread(5)
    assert await bucket.get("none", max_bytes=5) is None
    assert await bucket.size_of("none") is None
    assert await bucket.get_range("k", 1, 3) == b"hre"
    assert await bucket.get_range("k", 5, 3) == b""
    assert await bucket.get_range("none", 0, 3) == b""


@pytest.mark.parametrize(
    ("status", "code"), [(409, "ConditionalRequestConflict"), (503, "SlowDown"), (500, "InternalError")]
)
async def test_a_store_that_asks_for_patience_is_asked_again(
    bucket: Bucket, fake: FakeS3, hurried: HurriedClock, status: int, code: str
) -> None:
    fake.refuse("PUT", status, code, times=3)
    assert await bucket.put_new("k", b"one")
    assert hurried.pauses == [0.1, 0.2, 0.4]


async def test_a_store_that_stays_away_is_given_up(bucket: Bucket, fake: FakeS3) -> None:
    fake.refuse("PUT", 503, "SlowDown", times=10)
    with pytest.raises(Unavailable):
        await bucket.put_new("k", b"one")
    assert len(fake.requests) == 4


async def test_an_answer_that_is_lost_finds_its_own_object(bucket: Bucket, fake: FakeS3) -> None:
    fake.lose("PUT")
    assert await bucket.put_new("k", b"one") is False
    assert fake.objects["p/k"].data == b"one"
    assert len(fake.requests) == 2


@pytest.mark.slow
async def test_a_request_that_takes_too_long_is_sent_again_and_harms_nothing_when_it_lands_late(
    fake: FakeS3, hurried: HurriedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_READ_S", 0.3)
    released = threading.Event()

    def hold(_: str) -> None:
        if len(fake.requests) == 1:
            released.wait(10)

    fake.before = hold
    async with bucket_of(fake, hurried) as bucket:
        assert await bucket.put_new("k", b"one")
        released.set()
        assert await bucket.get("k", max_bytes=3) == b"one"
    assert len(hurried.pauses) == 1


@pytest.mark.slow
async def test_a_store_that_never_answers_is_given_up(
    fake: FakeS3, hurried: HurriedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_READ_S", 0.1)
    released = threading.Event()
    fake.before = lambda _: released.wait(10)
    async with bucket_of(fake, hurried) as bucket:
        with pytest.raises(Unavailable):
            await bucket.size_of("k")
        released.set()


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [(403, "AccessDenied", NotReady), (507, "StorageFull", Exhausted), (404, "NoSuchBucket", NotReady)],
)
async def test_a_refusal_that_stays_is_not_asked_again(
    bucket: Bucket, fake: FakeS3, status: int, code: str, expected: type[TheoryError]
) -> None:
    fake.refuse("PUT", status, code)
    with pytest.raises(expected):
        await bucket.put_new("k", b"one")
    assert len(fake.requests) == 1


async def test_a_bucket_that_is_not_there_is_told_as_such(fake: FakeS3, clock: FakeClock) -> None:
    address = Address.parse(fake.address().replace("//theory/", "//other/"))
    other = Bucket(client_of(address), address, clock)
    with pytest.raises(NotReady) as caught:
        await other.ready()
    assert caught.value.reason == "STORE_MISSING"
    await other.close()


@pytest.mark.parametrize(("status", "code"), [(400, "AuthorizationHeaderMalformed"), (301, "PermanentRedirect")])
async def test_a_bucket_that_is_elsewhere_is_told_as_unfit(
    bucket: Bucket, fake: FakeS3, status: int, code: str
) -> None:
    fake.refuse("HEAD", status, code)
    with pytest.raises(Unsupported):
        await bucket.ready()


async def test_who_looks_again_and_again_asks_once(bucket: Bucket, fake: FakeS3) -> None:
    await bucket.answers()
    fake.refuse("HEAD", 503, "SlowDown")
    with pytest.raises(Unavailable):
        await bucket.answers()
    assert fake.requests == ["HEAD ", "HEAD "]


async def test_a_name_is_emptied_whatever_it_held(bucket: Bucket, fake: FakeS3) -> None:
    await bucket.put_new("k", b"one")
    for _ in range(2):
        await bucket.empty("k")
        assert fake.objects["p/k"].data == b""


async def test_a_bucket_that_asks_for_patience_or_denies_is_told_as_any_other(bucket: Bucket, fake: FakeS3) -> None:
    fake.refuse("HEAD", 503, "SlowDown", times=2)
    await bucket.ready()
    fake.refuse("HEAD", 403, "SignatureDoesNotMatch")
    with pytest.raises(NotReady) as caught:
        await bucket.ready()
    assert caught.value.reason == "STORE_DENIED"


async def test_a_deletion_may_be_repeated(bucket: Bucket, fake: FakeS3) -> None:
    await bucket.put_new("k", b"one")
    await bucket.delete("k")
    await bucket.delete("k")
    assert fake.objects == {}
