"""What a request is signed for, and until when."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from botocore.credentials import Credentials, RefreshableCredentials

from services.artifacts.adapters.blobs.s3.address import Address
from services.artifacts.adapters.blobs.s3.client import Bucket, client_of
from services.artifacts.adapters.blobs.s3.signing import Signing, open_signing
from tests.fakes.s3 import FakeS3
from theory.core.cid import Cid
from theory.core.clock import FakeClock
from theory.core.errors import Invalid, NotReady
from theory.core.presign import BlobPut

ONE = BlobPut(
    Cid.of(b"one"), 3, "text/plain; charset=utf-8", "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
)
CHECKSUM = "dpLDrTVAu4A8Ags67mbNiIcSMjTqDG5xQ8Ct1z/0Me0="


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


@pytest.fixture
async def signing(bucket: Bucket, clock: FakeClock) -> AsyncIterator[Signing]:
    made = open_signing(bucket, bucket.address, clock)
    yield made
    made.close()


async def test_an_upload_is_bound_to_its_length_type_and_checksum_and_to_a_free_name(
    signing: Signing, clock: FakeClock
) -> None:
    put = await signing.put("staging/a", ONE, clock.now() + timedelta(seconds=900), "id")
    assert (put.method, put.size_bytes, put.upload_id) == ("PUT", 3, "id")
    assert put.headers == {
        "Content-Length": "3",
        "Content-Type": "text/plain; charset=utf-8",
        "If-None-Match": "*",
        "x-amz-checksum-sha256": CHECKSUM,
    }
    query = query_of(put.url)
    assert urlsplit(put.url).path == "/theory/p/staging/a"
    assert query["X-Amz-SignedHeaders"].split(";") == [
        "content-length",
        "content-type",
        "host",
        "if-none-match",
        "x-amz-checksum-sha256",
    ]
    assert (query["X-Amz-Algorithm"], query["X-Amz-Expires"]) == ("AWS4-HMAC-SHA256", "900")


async def test_a_type_that_is_not_signed_is_refused(signing: Signing, clock: FakeClock) -> None:
    form = replace(ONE, content_type="application/x-www-form-urlencoded; charset=utf-8")
    with pytest.raises(Invalid) as refused:
        await signing.put("staging/a", form, clock.now() + timedelta(seconds=60))
    assert refused.value.metadata == {"field": "content_type"}


async def test_what_is_read_is_a_file_under_its_type(signing: Signing, clock: FakeClock) -> None:
    get = await signing.get("cas/a", ONE, clock.now() + timedelta(seconds=60))
    query = query_of(get.url)
    assert (get.method, get.headers, query["X-Amz-SignedHeaders"]) == ("GET", {}, "host")
    assert query["response-content-disposition"] == "attachment"
    assert query["response-content-type"] == "text/plain; charset=utf-8"
    assert "SigV2" not in get.url
    assert "AWSAccessKeyId" not in query


@pytest.mark.parametrize(("wanted_s", "signed_s"), [(1, 1), (899.2, 900), (3600, 3600), (9999, 3600), (-5, 1)])
async def test_no_request_is_signed_for_more_than_an_hour(
    signing: Signing, clock: FakeClock, wanted_s: float, signed_s: int
) -> None:
    get = await signing.get("cas/a", ONE, clock.now() + timedelta(seconds=wanted_s))
    assert query_of(get.url)["X-Amz-Expires"] == str(signed_s)


@asynccontextmanager
async def signed_by(bucket: Bucket, clock: FakeClock, credentials: Credentials | None) -> AsyncIterator[Signing]:
    made = Signing(bucket, client_of(bucket.address), lambda: credentials, clock)
    yield made
    made.close()


def lasting(clock: FakeClock, life: timedelta) -> RefreshableCredentials:
    """Credentials that end then, and are not renewed."""
    return RefreshableCredentials(
        "a", "b", "c", clock.now() + life, dict, "test", time_fetcher=clock.now, advisory_timeout=0, mandatory_timeout=0
    )


async def test_no_request_outlives_the_credential_that_signs_it(bucket: Bucket, clock: FakeClock) -> None:
    wanted = clock.now() + timedelta(seconds=3600)
    async with signed_by(bucket, clock, lasting(clock, timedelta(seconds=1200))) as signing:
        for request in (await signing.get("a", ONE, wanted), await signing.put("a", ONE, wanted)):
            assert query_of(request.url)["X-Amz-Expires"] == "1200"
            assert request.expire_time == clock.now() + timedelta(seconds=1200)
        near = clock.now() + timedelta(seconds=60)
        assert (await signing.get("a", ONE, near)).expire_time == near


@pytest.mark.parametrize("credentials", [Credentials("a", "b"), None])
async def test_a_credential_without_an_end_limits_nothing(
    bucket: Bucket, clock: FakeClock, credentials: Credentials | None
) -> None:
    wanted: datetime = clock.now() + timedelta(seconds=3600)
    async with signed_by(bucket, clock, credentials) as signing:
        assert (await signing.get("a", ONE, wanted)).expire_time == wanted


async def test_without_credentials_nothing_is_signed(
    bucket: Bucket, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    signing = open_signing(bucket, bucket.address, clock)
    with pytest.raises(NotReady) as refused:
        await signing.get("a", ONE, clock.now() + timedelta(seconds=60))
    signing.close()
    assert refused.value.reason == "STORE_DENIED"


async def test_urls_begin_where_clients_reach_the_store(bucket: Bucket, clock: FakeClock, fake: FakeS3) -> None:
    address = Address(bucket.name, bucket.prefix, "https://store.example", "eu-central-1")
    signing = open_signing(bucket, address, clock)
    get = await signing.get("cas/a", ONE, clock.now() + timedelta(seconds=60))
    signing.close()
    assert get.url.startswith("https://store.example/theory/p/cas/a?")
    assert fake.url not in get.url
