"""Handing out requests against a store that signs by itself, later than it takes the bytes."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from services.artifacts.adapters.bindings.memory import MemoryBindings
from services.artifacts.adapters.blobs.memory import MemoryBlobs
from services.artifacts.domain.artifacts import Artifacts, NewArtifact
from services.artifacts.domain.grants import GrantKey
from services.artifacts.domain.presigning import Presigning
from services.artifacts.domain.store import BlobStore, NewBlob
from services.artifacts.ports import StoredBlob
from tests.leases import leases_of
from theory.core.cid import Cid
from theory.core.clock import FakeClock
from theory.core.errors import Invalid, NotFound, TheoryError, Unavailable
from theory.core.ids import SequenceIds
from theory.core.presign import ArtifactGet, BlobGet, BlobPut, PresignedRequest, PresignItem
from theory.core.world_path import WorldName, WorldPath

W, PATH = WorldName("w"), WorldPath("/artifacts/a")
ONE, TWO = Cid.of(b"one"), Cid.of(b"two")


class Bucket:
    """A store that takes bytes past the service, and gives them to it when it is asked to."""

    sha256_required = True
    resumable = False
    max_upload_bytes = 90

    def __init__(self, blobs: MemoryBlobs) -> None:
        self._blobs = blobs
        self.arrived: dict[str, bytes] = {}

    async def get(self, blob: BlobPut, expire_time: datetime) -> PresignedRequest:
        return PresignedRequest(f"s:{blob.cid}:{blob.content_type}", "GET", {}, expire_time, blob.size_bytes)

    async def put(self, upload_id: str, put: BlobPut, expire_time: datetime) -> PresignedRequest:
        return PresignedRequest(f"s:{upload_id}", "PUT", {}, expire_time, put.size_bytes, upload_id)

    async def collect(self, upload_id: str, put: BlobPut) -> None:
        data = self.arrived.pop(upload_id, None)
        if data is not None:
            if Cid.of(data) != put.cid:
                raise Invalid("CID_MISMATCH", "other bytes", expected=put.cid.text, actual=Cid.of(data).text)
            await self._blobs.put_many([(put.cid, data)])


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
def bucket(blobs: MemoryBlobs) -> Bucket:
    return Bucket(blobs)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def presigning(blobs: MemoryBlobs, bucket: Bucket, clock: FakeClock) -> Presigning:
    table = MemoryBindings(clock)
    leases = leases_of(blobs, table, clock)
    store = BlobStore(blobs, leases, max_blob_bytes=100)
    artifacts = Artifacts(store, blobs, leases, table, clock)
    await artifacts.put_many(W, None, [NewArtifact(PATH, NewBlob(b"one"), "text/plain")])
    return Presigning(store, blobs, leases, artifacts, bucket, key=GrantKey(b"k" * 32), clock=clock, ids=SequenceIds())


async def ask(presigning: Presigning, *items: PresignItem | TheoryError) -> Sequence[PresignedRequest | TheoryError]:
    return await presigning.presign_many(items, ttl_s=60)


async def granted(presigning: Presigning, item: PresignItem) -> PresignedRequest:
    (request,) = await ask(presigning, item)
    assert isinstance(request, PresignedRequest)
    return request


async def test_a_path_is_read_under_its_content_type_and_a_bare_blob_under_none(
    presigning: Presigning, clock: FakeClock
) -> None:
    path, bare = await granted(presigning, ArtifactGet(W, PATH)), await granted(presigning, BlobGet(ONE))
    assert (path.url, bare.url) == (f"s:{ONE}:text/plain", f"s:{ONE}:application/octet-stream")
    assert (path.size_bytes, path.expire_time) == (3, clock.now() + timedelta(seconds=60))


async def test_each_item_has_its_own_answer(presigning: Presigning) -> None:
    before = Invalid("CID_INVALID", "it was no CID")
    answers = await ask(
        presigning,
        before,
        BlobGet(TWO),
        ArtifactGet(W, WorldPath("/artifacts/b")),
        BlobPut(TWO, 101, sha256="0" * 64),
        BlobPut(TWO, 91, sha256="0" * 64),
        BlobPut(TWO, 3),
        BlobGet(ONE),
    )
    reasons = [each.reason if isinstance(each, TheoryError) else "" for each in answers]
    assert reasons == [
        "CID_INVALID",
        "BLOB_UNKNOWN",
        "ARTIFACT_UNKNOWN",
        "BLOB_TOO_LARGE",
        "BLOB_TOO_LARGE",
        "FIELD_INVALID",
        "",
    ]
    assert answers[0] is before
    limits = [each.metadata.get("max_bytes") for each in answers[3:5] if isinstance(each, TheoryError)]
    assert limits == ["100", "90"]


async def test_an_upload_is_collected_when_it_is_committed(presigning: Presigning, bucket: Bucket) -> None:
    request = await granted(presigning, BlobPut(TWO, 3, sha256="0" * 64))
    (missing,) = await presigning.commit_many([request.upload_id])
    assert isinstance(missing, NotFound)
    assert (missing.reason, missing.metadata) == ("UPLOAD_UNKNOWN", {"cid": TWO.text})
    bucket.arrived[request.upload_id] = b"two"
    for _ in range(2):
        assert await presigning.commit_many([request.upload_id]) == [(TWO, 3)]


async def test_an_upload_of_other_bytes_is_refused_and_may_come_again(presigning: Presigning, bucket: Bucket) -> None:
    request = await granted(presigning, BlobPut(TWO, 3, sha256="0" * 64))
    bucket.arrived[request.upload_id] = b"one"
    (refused,) = await presigning.commit_many([request.upload_id])
    assert isinstance(refused, Invalid)
    assert refused.reason == "CID_MISMATCH"
    bucket.arrived[request.upload_id] = b"two"
    assert await presigning.commit_many([request.upload_id]) == [(TWO, 3)]


async def test_a_length_that_was_a_lie_is_refused_though_the_blob_is_there(presigning: Presigning) -> None:
    request = await granted(presigning, BlobPut(ONE, 4, sha256="0" * 64))
    (refused,) = await presigning.commit_many([request.upload_id])
    assert isinstance(refused, Invalid)
    assert (refused.reason, refused.metadata) == ("SIZE_MISMATCH", {"expected": "4", "actual": "3"})


async def test_two_uploads_of_the_same_bytes_have_two_ids(presigning: Presigning) -> None:
    put = BlobPut(TWO, 3, sha256="0" * 64)
    assert (await granted(presigning, put)).upload_id != (await granted(presigning, put)).upload_id


async def test_a_bad_id_fails_no_other(presigning: Presigning) -> None:
    bad, good = await presigning.commit_many(
        ["x", (await granted(presigning, BlobPut(ONE, 3, sha256="0" * 64))).upload_id]
    )
    assert isinstance(bad, Invalid)
    assert good == (ONE, 3)


async def test_an_upload_of_what_is_being_deleted_does_not_end_before_that_has(
    presigning: Presigning, clock: FakeClock
) -> None:
    cid = Cid.of(b"two")
    put = await granted(presigning, BlobPut(cid, 3, sha256="0" * 64))
    table = presigning._leases._table
    await table.write(lambda step: step.mark([StoredBlob(cid, 3, clock.now())], clock.now()))
    await table.write(lambda step: step.condemn([cid]))
    clock.advance(60)  # that nothing was marked is believed no longer
    committing = asyncio.ensure_future(presigning.commit_many([put.upload_id]))
    await clock.until_sleepers(1)
    clock.advance(11)
    (answer,) = await committing
    assert isinstance(answer, Unavailable)
    assert answer.reason == "BLOB_CONDEMNED"
