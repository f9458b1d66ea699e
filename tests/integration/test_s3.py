"""What the conformance cases cannot see of a bucket: replicas that race, outages, strangers, what is left behind."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.artifacts.adapters.blobs import open_blobs
from services.artifacts.adapters.blobs.s3 import client as s3_client
from services.artifacts.adapters.blobs.s3.address import Address
from services.artifacts.adapters.blobs.s3.multipart import Multipart
from services.artifacts.adapters.blobs.s3.sweep import GIVEN_UP, Sweep
from services.artifacts.assembly import assemble
from services.artifacts.config import ArtifactsConfig
from services.artifacts.ports import BlobAdapter
from tests.buckets import S3, Bucket, Minio
from tests.integration import leaving
from tests.servers import AWS_VARIABLES
from theory.core.cid import Cid
from theory.core.clock import FakeClock, SystemClock
from theory.core.errors import NotReady, TheoryError, Unavailable
from theory.core.ids import SystemIds
from theory.core.world_path import WorldName, WorldPath
from theory.sdk.artifacts import ArtifactPut, ArtifactsClient
from theory.wire.server import running

pytestmark = pytest.mark.slow

RACERS = 32
ROUNDS = 36
MIB = 1024 * 1024
WORLD = WorldName("w")


@pytest.fixture(scope="module", params=[S3, pytest.param(Minio, marks=pytest.mark.long)])
def server(request: pytest.FixtureRequest) -> Iterator[Bucket]:
    with pytest.MonkeyPatch.context() as patch, request.param() as started:
        for name, value in AWS_VARIABLES.items():
            patch.setenv(name, value)
        yield started


@pytest.fixture
def prefix() -> str:
    """A folder that no test used before."""
    return f"t{SystemIds().token_hex(4)}"


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[BlobAdapter]:
    blobs = await open_blobs(url)
    try:
        yield blobs
    finally:
        await blobs.close()


@asynccontextmanager
async def served(url: str, home: Path) -> AsyncIterator[ArtifactsClient]:
    config = ArtifactsConfig.load({"home": home, "blobs_url": url, "database_url": f"sqlite:///{home}/artifacts.db"})
    async with running([await assemble(config)]) as service:
        yield ArtifactsClient(service.channel())


def keys(server: Bucket, prefix: str) -> dict[str, int]:
    pages = server.client().get_paginator("list_objects_v2").paginate(Bucket=server.bucket, Prefix=f"{prefix}/")
    return {each["Key"].removeprefix(f"{prefix}/"): each["Size"] for page in pages for each in page.get("Contents", [])}


def uploads(server: Bucket, prefix: str) -> list[str]:
    found = server.client().list_multipart_uploads(Bucket=server.bucket, Prefix=f"{prefix}/")
    return [each["Key"] for each in found.get("Uploads", [])]


async def test_racers_of_two_replicas_for_one_blob_all_succeed_and_make_it_once(server: Bucket, prefix: str) -> None:
    bodies = [b"%d" % number * 50 for number in range(ROUNDS)]
    async with opened(server.address(prefix)) as one, opened(server.address(prefix)) as other:
        replicas = [one, other] * (RACERS // 2)
        for body in bodies:
            outcomes = await asyncio.gather(*(each.put_many([(Cid.of(body), body)]) for each in replicas))
            assert outcomes == [[None]] * RACERS
        cids = [Cid.of(each) for each in bodies]
        assert await other.read_many(cids, max_each=MIB, max_total=MIB) == bodies
    assert len(keys(server, prefix)) == ROUNDS


async def test_long_uploads_of_the_same_bytes_by_two_replicas_leave_one_blob(server: Bucket, prefix: str) -> None:
    data = bytes(range(256)) * 40_000
    cid = Cid.of(data)

    async def upload(blobs: BlobAdapter) -> None:
        staged = await blobs.stage()
        for start in range(0, len(data), 512 * 1024):
            await staged.write(data[start : start + 512 * 1024])
        await staged.commit(cid)
        await staged.discard()

    async with opened(server.address(prefix)) as one, opened(server.address(prefix)) as other:
        await asyncio.gather(*(upload(each) for each in (one, other, one, other)))
        reader = await other.open(cid)
        assert reader is not None
        assert Cid.of(await reader.read(0, len(data))) == cid
    assert list(keys(server, prefix).values()) == [len(data)]
    assert uploads(server, prefix) == []


async def test_an_outage_is_told_and_ends_with_everything_that_was_acknowledged(prefix: str, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch, S3() as server:
        for name, value in AWS_VARIABLES.items():
            patch.setenv(name, value)
        async with served(server.address(prefix), tmp_path) as client:
            path, data = WorldPath("/artifacts/a"), bytes(range(256)) * 50_000
            stored = await client.put_blob(data)
            server.kill()
            for failing in (client.put_blob(b"small"), client.put_blob(b"large" * 400_000), client.get_blob(stored)):
                with pytest.raises(Unavailable) as caught:
                    await failing
                assert caught.value.reason == "STORE_UNREACHABLE"
            server.restart()
            assert await client.find_missing([Cid.of(b"small"), stored]) == [Cid.of(b"small")]
            assert (await client.put(WORLD, ArtifactPut(path, stored))).size_bytes == len(data)
            assert await client.get_bytes(WORLD, path) == data
            assert await client.get_blob(await client.put_blob(b"small")) == b"small"


async def test_uploads_that_nobody_ended_are_swept_a_day_later(server: Bucket, prefix: str) -> None:
    address = Address.parse(server.address(prefix))
    bucket = s3_client.Bucket(await asyncio.to_thread(s3_client.client_of, address), address, SystemClock())
    multipart = Multipart(bucket)
    await bucket.put_new("staging/ended", b"one")
    await bucket.put_new("cas/b3/ab/cd", b"one")
    for key in ("staging/begun", "cas/b3/ef/01"):
        await multipart.send(await multipart.begin(key, checked=True), 1, b"two")
    now = SystemClock().now()
    assert await Sweep(bucket, multipart, FakeClock(now)).once() == 0
    swept = await Sweep(bucket, multipart, FakeClock(now + 2 * GIVEN_UP)).once()
    assert swept == (3 if server.lists_uploads else 1)
    assert (list(keys(server, prefix)), uploads(server, prefix)) == (["cas/b3/ab/cd"], [])
    await bucket.close()


async def test_a_blob_that_was_damaged_is_told_and_never_handed_out(
    server: Bucket, prefix: str, tmp_path: Path
) -> None:
    async with served(server.address(prefix), tmp_path) as client:
        stored = await client.put_blob(b"as it was written")
        [key] = keys(server, prefix)
        server.client().put_object(Bucket=server.bucket, Key=f"{prefix}/{key}", Body=b"as it was damaged")
        with pytest.raises(TheoryError) as caught:
            await client.get_blob(stored)
        assert caught.value.reason == "BLOB_CORRUPT"


async def test_a_stranger_is_refused_and_told_nothing(
    server: Bucket, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "guessed-by-a-stranger")
    with pytest.raises(NotReady) as caught:
        await open_blobs(server.address(prefix))
    assert caught.value.reason == "STORE_DENIED"
    assert "guessed" not in f"{caught.value.message}{caught.value.metadata}"


async def test_a_bucket_that_does_not_exist_is_told_and_not_made(server: Bucket) -> None:
    with pytest.raises(NotReady) as caught:
        await open_blobs(server.address().replace(f"//{server.bucket}/", "//elsewhere/"))
    assert caught.value.reason == "STORE_MISSING"
    assert [each["Name"] for each in server.client().list_buckets()["Buckets"]] == [server.bucket]


async def test_the_log_holds_no_signature(server: Bucket, prefix: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with opened(server.address(prefix)) as blobs:
        await blobs.put_many([(Cid.of(b"one"), b"one")])
        await blobs.read_many([Cid.of(b"one"), Cid.of(b"two")], max_each=9, max_total=9)
    assert "Signature" not in caplog.text


async def test_garbage_goes_and_what_is_bound_stays(server: S3, prefix: str, tmp_path: Path) -> None:
    await leaving.collect_garbage(server.address(prefix), tmp_path)


async def test_who_reads_a_blob_that_goes_gets_its_bytes_or_is_told(server: S3, prefix: str, tmp_path: Path) -> None:
    await leaving.read_what_goes(server.address(prefix), tmp_path)


async def test_damage_in_a_bucket_is_found_put_aside_and_healed(server: S3, prefix: str, tmp_path: Path) -> None:
    data = bytes(range(256)) * 12_000
    async with leaving.served(tmp_path, server.address(prefix)) as store:
        cid = (await store.client.put_bytes(WORLD, WorldPath("/artifacts/a"), data)).cid
        [key] = keys(server, prefix)
        server.client().put_object(Bucket=server.bucket, Key=f"{prefix}/{key}", Body=data[:-1])
        assert [each.cid for each in (await store.retention.scrub()).damaged] == [cid]
        assert keys(server, prefix) == {f"quarantine/{cid.hex}": len(data) - 1}
        assert await store.client.find_missing([cid]) == [cid]
        assert await store.client.put_blob(data) == cid
        assert await store.client.get_bytes(WORLD, WorldPath("/artifacts/a")) == data
