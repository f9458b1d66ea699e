"""One contract for presigned requests, whoever signs: this service for its data plane, or a real store for itself."""

import asyncio
import http.client
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import botocore.auth
import pytest

from services.artifacts.assembly import assemble
from services.artifacts.config import ArtifactsConfig
from tests.buckets import S3, Bucket, Minio
from tests.integration.relay import free_port, relayed
from tests.servers import AWS_VARIABLES
from theory.core.cid import Cid
from theory.core.clock import FakeClock
from theory.core.errors import Invalid, NotFound, TheoryError
from theory.core.ids import SystemIds
from theory.core.presign import BlobGet, BlobPut, PresignedRequest, PresignItem
from theory.sdk.artifacts import ArtifactsClient
from theory.wire.server import ServiceUnit, running

DATA = bytes(range(256)) * 64
LARGE = bytes(range(256)) * 40_000
LATE = timedelta(hours=2)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[S3, pytest.param(Minio, marks=pytest.mark.long)])
def store(request: pytest.FixtureRequest) -> Iterator[Bucket]:
    with pytest.MonkeyPatch.context() as patch, request.param() as started:
        for name, value in AWS_VARIABLES.items():
            patch.setenv(name, value)
        yield started


@dataclass(frozen=True)
class Plane:
    """Where requests come from."""

    client: ArtifactsClient
    expired: Callable[[PresignItem], Awaitable[PresignedRequest]]
    """A request that is over."""


def settings(store: Bucket, **others: str) -> dict[str, str]:
    """Of a service whose clients go to the store."""
    fresh = f"t{SystemIds().token_hex(4)}"
    return {"blobs_url": store.address(fresh), "database_url": "memory:", "data_url": "store", **others}


@asynccontextmanager
async def served(home: Path, chosen: Mapping[str, str]) -> AsyncIterator[ArtifactsClient]:
    async with running([await assemble(ArtifactsConfig.load({"home": home, **chosen}))]) as server:
        yield ArtifactsClient(server.channel())


@asynccontextmanager
async def plane_of_the_service(home: Path) -> AsyncIterator[Plane]:
    clock = FakeClock()
    config = ArtifactsConfig.load({"home": home, "blobs_url": "memory:", "database_url": "memory:"})
    async with running([await assemble(config, clock=clock)]) as server:
        client = ArtifactsClient(server.channel())

        async def expired(item: PresignItem) -> PresignedRequest:
            request = await client.presign(item, ttl_s=60)
            clock.advance(LATE.total_seconds())
            return request

        yield Plane(client, expired)


@asynccontextmanager
async def plane_of_the_store(home: Path, store: Bucket) -> AsyncIterator[Plane]:
    async with served(home, settings(store)) as client:

        async def expired(item: PresignItem) -> PresignedRequest:
            now: Callable[..., datetime] = vars(botocore.auth)["get_current_datetime"]
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(botocore.auth, "get_current_datetime", lambda *args: now(*args) - LATE)
                return await client.presign(item, ttl_s=60)

        yield Plane(client, expired)


@pytest.fixture(params=["service", "store"])
async def plane(request: pytest.FixtureRequest, tmp_path: Path, store: Bucket) -> AsyncIterator[Plane]:
    opened = plane_of_the_service(tmp_path) if request.param == "service" else plane_of_the_store(tmp_path, store)
    async with opened as made:
        yield made


def put_of(data: bytes, content_type: str = "text/plain") -> BlobPut:
    return BlobPut(Cid.of(data), len(data), content_type, sha256(data).hexdigest())


async def status_of(request: PresignedRequest, body: bytes | None = None) -> int:
    """What a client that is not ours is answered."""

    def ask() -> int:
        parts = urlsplit(request.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        try:
            target = f"{parts.path}?{parts.query}" if parts.query else parts.path
            connection.request(request.method, target, body, dict(request.headers))
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    return await asyncio.to_thread(ask)


def turned(url: str) -> str:
    return url[:-1] + ("1" if url[-1] != "1" else "2")


def without(request: PresignedRequest, name: str) -> PresignedRequest:
    return replace(request, headers={each: value for each, value in request.headers.items() if each != name})


def checksum_of(request: PresignedRequest) -> str:
    (name,) = request.headers.keys() & {"Repr-Digest", "x-amz-checksum-sha256"}
    return name


BAD_UPLOADS: Mapping[str, Callable[[PresignedRequest], tuple[PresignedRequest, bytes | None]]] = {
    "another method": lambda put: (replace(put, method="POST"), DATA),
    "reading": lambda put: (replace(put, method="GET", headers={}), None),
    "removing": lambda put: (replace(put, method="DELETE", headers={}), None),
    "another path": lambda put: (replace(put, url=put.url.replace("?", "x?", 1)), DATA),
    "fewer bytes": lambda put: (
        replace(put, headers={**put.headers, "Content-Length": str(len(DATA) - 1)}),
        DATA[:-1],
    ),
    "more bytes": lambda put: (
        replace(put, headers={**put.headers, "Content-Length": str(len(DATA) + 1)}),
        DATA + b"!",
    ),
    "other bytes": lambda put: (put, DATA[::-1]),
    "another type": lambda put: (replace(put, headers={**put.headers, "Content-Type": "text/html"}), DATA),
    "no type": lambda put: (without(put, "Content-Type"), DATA),
    "another checksum": lambda put: (replace(put, headers={**put.headers, checksum_of(put): "x"}), DATA),
    "no checksum": lambda put: (without(put, checksum_of(put)), DATA),
    "no condition": lambda put: (without(put, "If-None-Match"), DATA),
    "another signature": lambda put: (replace(put, url=turned(put.url)), DATA),
    "no signature": lambda put: (replace(put, url=put.url.partition("?")[0]), DATA),
}


async def test_an_upload_that_is_not_as_signed_is_refused_and_the_right_one_is_not(plane: Plane) -> None:
    put = await plane.client.presign(put_of(DATA))
    for name, bend in BAD_UPLOADS.items():
        request, body = bend(put)
        assert 400 <= await status_of(request, body) < 500, name
        assert await plane.client.find_missing([Cid.of(DATA)]) == [Cid.of(DATA)], name
    (not_yet,) = await plane.client.commit_uploads([put.upload_id])
    assert isinstance(not_yet, NotFound)
    assert await status_of(put, DATA) in (200, 201)
    assert await plane.client.commit_uploads([put.upload_id]) == [(Cid.of(DATA), len(DATA))]
    assert await plane.client.get_blob(Cid.of(DATA)) == DATA


BAD_READS: Mapping[str, Callable[[PresignedRequest], tuple[PresignedRequest, bytes | None]]] = {
    "another method": lambda get: (replace(get, method="POST"), b"x"),
    "writing": lambda get: (replace(get, method="PUT"), b"x"),
    "removing": lambda get: (replace(get, method="DELETE"), None),
    "another path": lambda get: (replace(get, url=get.url.replace("?", "x?", 1)), None),
    "another signature": lambda get: (replace(get, url=turned(get.url)), None),
    "no signature": lambda get: (replace(get, url=get.url.partition("?")[0]), None),
    "a page": lambda get: (replace(get, url=get.url.replace("octet-stream", "html")), None),
}


async def test_a_read_that_is_not_as_signed_is_refused_and_the_right_one_is_not(plane: Plane) -> None:
    get = await plane.client.presign(BlobGet(await plane.client.put_blob(DATA)))
    for name, bend in BAD_READS.items():
        request, body = bend(get)
        assert 400 <= await status_of(request, body) < 500, name
    assert await status_of(get) == 200
    assert await plane.client.get_blob(Cid.of(DATA)) == DATA


async def test_a_request_of_another_blob_is_no_request_of_this_one(plane: Plane) -> None:
    one, other = [await plane.client.presign(put_of(each)) for each in (DATA, DATA[::-1])]
    mixed = replace(one, url=f"{one.url.partition('?')[0]}?{other.url.partition('?')[2]}")
    assert 400 <= await status_of(mixed, DATA) < 500
    assert await plane.client.find_missing([Cid.of(DATA)]) == [Cid.of(DATA)]


async def test_what_has_expired_is_refused(plane: Plane) -> None:
    cid = await plane.client.put_blob(DATA)
    assert await status_of(await plane.expired(BlobGet(cid))) == 403
    put = await plane.expired(put_of(DATA[::-1]))
    assert await status_of(put, DATA[::-1]) == 403
    (answer,) = await plane.client.commit_uploads([put.upload_id])
    assert isinstance(answer, NotFound)


async def test_a_replay_is_refused_before_the_commit_and_after_it(plane: Plane) -> None:
    put = await plane.client.presign(put_of(DATA))
    assert await status_of(put, DATA) in (200, 201)
    assert await status_of(put, DATA) == 412
    for _ in range(2):
        assert await plane.client.commit_uploads([put.upload_id]) == [(Cid.of(DATA), len(DATA))]
        assert await status_of(put, DATA) == 412


async def test_bytes_that_are_not_their_cid_are_refused_though_their_checksum_holds(plane: Plane) -> None:
    lie = BlobPut(Cid.of(b"what they are not"), len(DATA), sha256=sha256(DATA).hexdigest())
    put = await plane.client.presign(lie)
    sent = await status_of(put, DATA)
    (answer,) = await plane.client.commit_uploads([put.upload_id])
    assert isinstance(answer, TheoryError)
    assert (sent, answer.reason) in ((200, "CID_MISMATCH"), (400, "UPLOAD_UNKNOWN"))
    assert await plane.client.find_missing([lie.cid, Cid.of(DATA)]) == [lie.cid, Cid.of(DATA)]


async def test_no_signature_reaches_a_log(plane: Plane, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    put = await plane.client.presign(put_of(DATA))
    await status_of(put, DATA)
    await plane.client.commit_uploads([put.upload_id])
    get = await plane.client.presign(BlobGet(Cid.of(DATA)))
    await status_of(get)
    await status_of(replace(get, url=turned(get.url)))
    assert await plane.client.get_blob(await plane.client.put_blob(LARGE)) == LARGE
    said = [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
    assert said
    for request in (put, get):
        signature = request.url.rpartition("ignature=")[2]
        assert len(signature) > 40
        assert [line for line in said if signature in line or "X-Amz-Credential" in line] == []
        assert signature not in repr(request)


async def test_many_commits_at_once_name_one_blob(tmp_path: Path, store: Bucket) -> None:
    chosen = settings(store)
    async with served(tmp_path / "one", chosen) as one:
        puts = [await one.presign(put_of(LARGE)) for _ in range(3)]
        await asyncio.gather(*(status_of(put, LARGE) for put in puts))
        ended = await asyncio.gather(*(one.commit_uploads([put.upload_id for put in puts]) for _ in range(3)))
        assert ended == [[(Cid.of(LARGE), len(LARGE))] * 3] * 3
        assert await one.get_blob(Cid.of(LARGE)) == LARGE
    folder = urlsplit(chosen["blobs_url"]).path.strip("/")
    listed = store.client().list_objects_v2(Bucket=store.bucket, Prefix=f"{folder}/")["Contents"]
    sizes = {each["Key"].split("/")[1]: each["Size"] for each in listed}
    assert (sizes, len(listed)) == ({"cas": len(LARGE), "staging": 0}, 4)
    uploads = store.client().list_multipart_uploads(Bucket=store.bucket, Prefix=f"{folder}/")
    assert uploads.get("Uploads", []) == []


async def test_the_sdk_goes_to_the_store_by_the_name_that_clients_know(tmp_path: Path, store: Bucket) -> None:
    told: list[int] = []
    async with relayed(urlsplit(store.url).port or 0, 2 * len(LARGE)) as relay:
        chosen = settings(store, data_public_url=f"http://127.0.0.1:{relay.port}")
        async with served(tmp_path, chosen) as client:
            cid = await client.put_blob(LARGE, progress=lambda done, _: told.append(done))
            assert (relay.connections, told[-1]) == (1, len(LARGE))
            relay.connections, relay.most_bytes = 0, 3_000_000
            assert await client.get_blob(cid) == LARGE
            assert relay.connections >= len(LARGE) // relay.most_bytes  # it goes on where each broke


async def test_where_clients_do_not_reach_the_store_bytes_go_over_grpc(tmp_path: Path, store: Bucket) -> None:
    chosen = settings(store, data_public_url=f"http://127.0.0.1:{free_port()}")
    async with served(tmp_path, chosen) as client:
        assert await client.get_blob(await client.put_blob(LARGE)) == LARGE


async def test_bytes_that_changed_in_the_bucket_are_not_taken_for_good(tmp_path: Path, store: Bucket) -> None:
    chosen = settings(store)
    async with served(tmp_path, chosen) as client:
        cid = await client.put_blob(LARGE)
        folder = urlsplit(chosen["blobs_url"]).path.strip("/")
        key = f"{folder}/cas/b3/{cid.hex[:2]}/{cid.hex[2:]}"
        store.client().put_object(Bucket=store.bucket, Key=key, Body=LARGE[:-1] + b"!")
        with pytest.raises(TheoryError) as refused:
            await client.get_blob(cid)
        assert refused.value.reason == "BLOB_CORRUPT"


async def test_an_upload_needs_its_sha256(tmp_path: Path, store: Bucket) -> None:
    async with served(tmp_path, settings(store)) as client:
        plane = (await client.capabilities()).data_plane
        assert plane is not None
        assert (plane.resumable, plane.sha256_required, plane.max_upload_bytes) == (False, True, 5 << 30)
        with pytest.raises(Invalid) as refused:
            await client.presign(BlobPut(Cid.of(DATA), len(DATA)))
        assert refused.value.metadata == {"field": "sha256"}
        with pytest.raises(Invalid) as refused:
            await client.presign(replace(put_of(DATA), size_bytes=(5 << 30) + 1))
        assert refused.value.reason == "BLOB_TOO_LARGE"


async def not_ready(unit: ServiceUnit) -> str:
    with pytest.raises(TheoryError) as refused:
        await unit.ready()
    return refused.value.reason


async def test_a_service_is_ready_while_its_bucket_is_there(tmp_path: Path, store: Bucket) -> None:
    client = store.client()
    client.create_bucket(Bucket="fleeting")
    url = store.address("a").replace(f"//{store.bucket}/", "//fleeting/")
    chosen = {"home": tmp_path, "blobs_url": url, "database_url": "memory:", "data_url": "off"}
    unit = await assemble(ArtifactsConfig.load(chosen))
    await unit.ready()
    client.delete_bucket(Bucket="fleeting")
    assert await not_ready(unit) == "STORE_MISSING"
    client.create_bucket(Bucket="fleeting")
    await unit.ready()
    await unit.close()
    client.delete_bucket(Bucket="fleeting")


async def test_a_service_is_ready_while_its_directory_stands(tmp_path: Path) -> None:
    chosen = {"home": tmp_path, "blobs_url": (tmp_path / "blobs").as_uri(), "database_url": "memory:"}
    unit = await assemble(ArtifactsConfig.load(chosen))
    await unit.ready()
    (tmp_path / "blobs").rename(tmp_path / "elsewhere")
    assert await not_ready(unit) == "STORE_MISSING"
    (tmp_path / "elsewhere").rename(tmp_path / "blobs")
    await unit.ready()
    await unit.close()
