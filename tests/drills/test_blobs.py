"""What a bucket was given survives kill -9 of the service and of the store (I-10); no half is ever seen (I-125)."""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.buckets import S3
from tests.drills.alone import alone
from tests.servers import AWS_VARIABLES
from theory.core.cid import Cid
from theory.core.errors import TheoryError
from theory.core.presign import BlobPut
from theory.core.world_path import WorldName, WorldPath
from theory.sdk.artifacts import ArtifactPut, ArtifactsClient
from theory.sdk.transfer import Transfer
from theory.wire.channel import connect
from theory.wire.home import socket_url

PATIENCE_S = 60.0
KILLS = 3
WORKERS = 6
ACKED_BEFORE_KILL = 30
MIB = 1024 * 1024
WORLD = WorldName("w")


@pytest.fixture
def store() -> Iterator[S3]:
    with S3() as server:
        yield server


class Installation:
    """One home and its artifact store, on a bucket; and what was acknowledged."""

    def __init__(self, home: Path, store: S3, *, data_url: str = "http://127.0.0.1:0") -> None:
        self.home = home
        self._data_url = data_url
        self.bound: dict[WorldPath, Cid] = {}
        self._store = store
        self._tried = 0
        self._enough = asyncio.Event()

    @asynccontextmanager
    async def service(self) -> AsyncIterator[tuple[ArtifactsClient, asyncio.subprocess.Process]]:
        """A running service; what is left of it at the end is killed."""
        chosen = {
            "THEORY_ARTIFACTS_BLOBS_URL": self._store.address("drill"),
            "THEORY_ARTIFACTS_DATA_URL": self._data_url,
        }
        async with (
            alone("artifacts", self.home, **AWS_VARIABLES, **chosen) as process,
            connect(socket_url(self.home, "artifacts")) as channel,
        ):
            client = ArtifactsClient(channel)
            await self._until_it_answers(client, process)
            yield client, process

    async def _until_it_answers(self, client: ArtifactsClient, process: asyncio.subprocess.Process) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                assert process.returncode is None, (self.home / "artifacts.log").read_text()
                try:
                    await client.capabilities()
                except (TheoryError, TimeoutError):
                    await asyncio.sleep(0.05)
                else:
                    return

    async def work(self, client: ArtifactsClient) -> None:
        """Bind paths to new bytes, until something fails."""
        while True:
            self._tried += 1
            body = b"%d" % self._tried * 200
            try:
                artifact = await client.put(WORLD, ArtifactPut(WorldPath(f"/artifacts/{self._tried}"), body))
            except (TheoryError, TimeoutError):
                return
            self.bound[artifact.path] = artifact.cid
            if len(self.bound) % ACKED_BEFORE_KILL == 0:
                self._enough.set()

    async def until_enough(self) -> None:
        """Return in the middle of the work."""
        self._enough.clear()
        async with asyncio.timeout(PATIENCE_S):
            await self._enough.wait()

    async def until_named(self, count: int) -> None:
        """Return once so many blobs have their names."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                if len(self.objects()) >= count:
                    return
                await asyncio.sleep(0.02)

    async def until_uploading(self) -> None:
        """Return once a part lies in the bucket, or will."""
        while True:
            if self.uploads():
                return
            await asyncio.sleep(0.05)

    async def check(self, client: ArtifactsClient) -> None:
        """All that was acknowledged is there, and all that is there is whole."""
        there = {each.path: each.cid async for each in client.list(WORLD)}
        assert self.bound.items() <= there.items()
        for path, cid in there.items():
            assert Cid.of(await client.get_bytes(WORLD, path)) == cid

    def objects(self) -> list[str]:
        """What lies in the bucket under a CID."""
        pages = self._store.client().get_paginator("list_objects_v2").paginate(Bucket="theory", Prefix="drill/cas/")
        return [each["Key"] for page in pages for each in page.get("Contents", [])]

    def uploads(self) -> list[str]:
        """What was begun in the bucket and not ended."""
        listed = self._store.client().list_multipart_uploads(Bucket="theory", Prefix="drill/")
        return [each["Key"] for each in listed.get("Uploads", [])]


class Upload:
    """A blob of 40 MiB that stops in the middle."""

    def __init__(self) -> None:
        self.data = bytes(range(256)) * (40 * MIB // 256)
        self.cid = Cid.of(self.data)
        self.half = asyncio.Event()
        self.go_on = asyncio.Event()

    async def chunks(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.data), MIB // 2):
            if start == 24 * MIB:
                self.half.set()
                await self.go_on.wait()
            yield self.data[start : start + MIB // 2]

    def send(self, client: ArtifactsClient) -> asyncio.Task[Any]:
        return asyncio.create_task(client._send(self.chunks(), expected=None, size_bytes=len(self.data)))


@pytest.mark.drill
async def test_a_service_that_is_killed_in_the_middle_of_an_upload_leaves_nothing_visible(
    tmp_path: Path, store: S3
) -> None:
    installation, upload = Installation(tmp_path, store), Upload()
    async with installation.service() as (client, process):
        kept = await client.put_blob(b"kept")
        sending = upload.send(client)
        async with asyncio.timeout(PATIENCE_S):
            await upload.half.wait()
            await installation.until_uploading()
        process.kill()
        upload.go_on.set()
        with pytest.raises(TheoryError):
            await sending

    assert len(installation.objects()) == 1
    assert all(each.startswith("drill/staging/") for each in installation.uploads())
    async with installation.service() as (client, _):
        assert await client.find_missing([kept, upload.cid]) == [upload.cid]
        assert await client.put_blob(upload.data) == upload.cid
        assert await client.get_blob(upload.cid) == upload.data
        assert await client.get_blob(kept) == b"kept"


@pytest.mark.drill
async def test_a_store_that_is_killed_in_the_middle_of_an_upload_leaves_nothing_visible(
    tmp_path: Path, store: S3
) -> None:
    installation, upload = Installation(tmp_path, store), Upload()
    async with installation.service() as (client, _):
        kept = await client.put_blob(b"kept")
        sending = upload.send(client)
        async with asyncio.timeout(PATIENCE_S):
            await upload.half.wait()
        store.kill()
        upload.go_on.set()
        with pytest.raises(TheoryError):
            await sending
        store.restart()
        assert len(installation.objects()) == 1
        assert await client.find_missing([kept, upload.cid]) == [upload.cid]
        assert await client.put_blob(upload.data) == upload.cid
        assert await client.get_blob(upload.cid) == upload.data
        assert await client.get_blob(kept) == b"kept"


@pytest.mark.drill
async def test_uploads_past_a_service_that_is_killed_while_it_takes_them_over_are_whole_or_not_there(
    tmp_path: Path, store: S3
) -> None:
    installation = Installation(tmp_path, store, data_url="store")
    blobs = [bytes([number]) + bytes(range(256)) * (9 * MIB // 256) for number in range(3)]
    cids = [Cid.of(each) for each in blobs]
    async with installation.service() as (client, process):
        puts = [BlobPut(Cid.of(each), len(each), sha256=hashlib.sha256(each).hexdigest()) for each in blobs]
        requests = [await client.presign(each) for each in puts]
        for request, data in zip(requests, blobs, strict=True):
            await asyncio.to_thread(Transfer().put, request, io.BytesIO(data), resumable=False)
        taking = asyncio.create_task(client.commit_uploads([each.upload_id for each in requests]))
        await installation.until_named(1)
        process.kill()
        await asyncio.wait([taking])
        taking.exception()

    async with installation.service() as (client, _):
        for cid in set(cids) - set(await client.find_missing(cids)):
            assert Cid.of(await client.get_blob(cid)) == cid
        for _ in range(2):
            ended = await client.commit_uploads([each.upload_id for each in requests])
            assert ended == [(cid, 9 * MIB + 1) for cid in cids]
        for cid, data in zip(cids, blobs, strict=True):
            assert await client.get_blob(cid) == data
    assert len(installation.objects()) == len(blobs)


@pytest.mark.drill
@pytest.mark.parametrize("victim", ["service", "store"])
async def test_what_was_acknowledged_under_load_survives_kill_9(tmp_path: Path, store: S3, victim: str) -> None:
    installation = Installation(tmp_path, store)
    for _ in range(KILLS):
        async with installation.service() as (client, process):
            workers = [asyncio.create_task(installation.work(client)) for _ in range(WORKERS)]
            await installation.until_enough()
            if victim == "service":
                process.kill()
            else:
                store.kill()
            await asyncio.gather(*workers)
        if victim == "store":
            store.restart()
    async with installation.service() as (client, _):
        await installation.check(client)
    assert len(installation.bound) >= KILLS * ACKED_BEFORE_KILL - WORKERS
