"""From an upload that went past the service to a blob: verified, named once, and whole whatever breaks in between."""

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from hashlib import sha256

import pytest

from services.artifacts.adapters.blobs.s3 import presigner as module
from services.artifacts.adapters.blobs.s3 import promotion
from services.artifacts.adapters.blobs.s3.client import Bucket
from services.artifacts.adapters.blobs.s3.multipart import Multipart
from services.artifacts.adapters.blobs.s3.presigner import S3Presigner, staging_key
from services.artifacts.adapters.blobs.s3.signing import Signing, open_signing
from services.artifacts.adapters.blobs.s3.store import S3Blobs, _key_of
from services.artifacts.adapters.blobs.s3.sweep import GIVEN_UP, Sweep
from tests.fakes.s3 import FakeS3, Object
from theory.core.cid import Cid
from theory.core.clock import FakeClock, SystemClock
from theory.core.errors import Invalid, TheoryError
from theory.core.ids import SequenceIds
from theory.core.presign import BlobPut
from theory.sdk.transfer import Transfer

DATA = b"0123456789"
STAGED = f"p/{staging_key('id')}"
BLOB = f"p/{_key_of(Cid.of(DATA))}"
METHODS = ("HEAD", "GET", "PUT", "POST", "DELETE")


def put_of(data: bytes, claimed: bytes | None = None) -> BlobPut:
    return BlobPut(Cid.of(data if claimed is None else claimed), len(data), "a/b", sha256(data).hexdigest())


@pytest.fixture
async def signing(bucket: Bucket) -> AsyncIterator[Signing]:
    made = open_signing(bucket, bucket.address, FakeClock())
    yield made
    made.close()


@asynccontextmanager
async def service(bucket: Bucket, signing: Signing) -> AsyncIterator[S3Presigner]:
    """A process of its own, so to say: it knows nothing but what lies in the bucket."""
    blobs = S3Blobs(bucket, clock=FakeClock(), ids=SequenceIds())
    yield S3Presigner(bucket, signing, blobs._flights, key_of=_key_of, put=blobs._put, promote=blobs._promote)
    await blobs._flights.close()


@pytest.fixture
async def presigner(bucket: Bucket, signing: Signing) -> AsyncIterator[S3Presigner]:
    async with service(bucket, signing) as made:
        yield made


async def send(presigner: S3Presigner, data: bytes, put: BlobPut) -> None:
    request = await presigner.put("id", put, FakeClock().now() + timedelta(seconds=60))
    Transfer().put(request, io.BytesIO(data), resumable=False)


async def test_what_arrived_gets_its_name_and_its_staging_object_is_emptied(
    presigner: S3Presigner, fake: FakeS3
) -> None:
    await send(presigner, DATA, put_of(DATA))
    for _ in range(2):
        await presigner.collect("id", put_of(DATA))
        assert {key: each.data for key, each in fake.objects.items()} == {STAGED: b"", BLOB: DATA}
    assert fake.uploads == {}


async def test_the_request_does_not_make_it_again(presigner: S3Presigner, fake: FakeS3) -> None:
    await send(presigner, DATA, put_of(DATA))
    await presigner.collect("id", put_of(DATA))
    await send(presigner, DATA, put_of(DATA))  # which is told that it is there
    assert fake.objects[STAGED].data == b""


async def test_commits_of_one_upload_at_once_read_it_once(presigner: S3Presigner, fake: FakeS3) -> None:
    await send(presigner, DATA, put_of(DATA))
    await asyncio.gather(*(presigner.collect("id", put_of(DATA)) for _ in range(5)))
    assert sum(each.startswith("GET") for each in fake.requests) == 1
    assert {key: each.data for key, each in fake.objects.items()} == {STAGED: b"", BLOB: DATA}


async def test_a_commit_goes_on_when_its_caller_goes_away(presigner: S3Presigner, fake: FakeS3) -> None:
    await send(presigner, DATA, put_of(DATA))
    begun = threading.Event()
    fake.before = lambda said: begun.set()
    leaving = asyncio.create_task(presigner.collect("id", put_of(DATA)))
    await asyncio.to_thread(begun.wait, 10)
    leaving.cancel()
    await asyncio.wait([leaving])
    await presigner.collect("id", put_of(DATA))
    assert sum(each.startswith("GET") for each in fake.requests) == 1
    assert fake.objects[BLOB].data == DATA


async def test_an_empty_blob_gets_its_name(presigner: S3Presigner, fake: FakeS3) -> None:
    await send(presigner, b"", put_of(b""))
    await presigner.collect("id", put_of(b""))
    assert fake.objects[f"p/{_key_of(Cid.of(b''))}"].data == b""


async def test_what_has_not_arrived_is_waited_for(presigner: S3Presigner, fake: FakeS3) -> None:
    await presigner.collect("id", put_of(DATA))
    assert fake.objects == {}


async def test_bytes_of_another_cid_are_refused_and_nothing_is_kept(presigner: S3Presigner, fake: FakeS3) -> None:
    lie = put_of(DATA, claimed=b"what they are not")
    await send(presigner, DATA, lie)
    with pytest.raises(Invalid) as refused:
        await presigner.collect("id", lie)
    assert refused.value.reason == "CID_MISMATCH"
    assert refused.value.metadata == {"expected": lie.cid.text, "actual": Cid.of(DATA).text}
    assert (fake.objects, fake.uploads) == ({}, {})


async def test_bytes_that_a_store_took_in_spite_of_their_length_are_refused(
    presigner: S3Presigner, fake: FakeS3
) -> None:
    fake.objects[STAGED] = Object(DATA + b"!")
    with pytest.raises(Invalid) as refused:
        await presigner.collect("id", put_of(DATA))
    assert (refused.value.reason, refused.value.metadata) == ("SIZE_MISMATCH", {"expected": "10", "actual": "11"})
    assert fake.objects == {}


async def test_a_blob_that_came_another_way_is_as_good(presigner: S3Presigner, fake: FakeS3) -> None:
    await send(presigner, DATA, put_of(DATA))
    fake.objects[BLOB] = Object(DATA)
    fake.requests.clear()
    await presigner.collect("id", put_of(DATA))
    assert not any(each.startswith(("GET", "POST")) for each in fake.requests)
    assert fake.objects[STAGED].data == b""


async def test_an_upload_that_is_ended_while_it_is_read_is_no_fault(
    presigner: S3Presigner, fake: FakeS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PIECE_BYTES", 4)
    await send(presigner, DATA, put_of(DATA))

    def end(said: str) -> None:
        if said.startswith("GET"):
            fake.objects |= {STAGED: Object(b""), BLOB: Object(DATA)}

    fake.before = end
    await presigner.collect("id", put_of(DATA))
    assert fake.objects[BLOB].data == DATA


async def test_a_staging_object_that_cannot_be_emptied_fails_nothing(presigner: S3Presigner, fake: FakeS3) -> None:
    await send(presigner, DATA, put_of(DATA))
    fake.refuse("PUT", 403, "AccessDenied", key=STAGED)
    await presigner.collect("id", put_of(DATA))
    assert fake.objects[BLOB].data == DATA


@pytest.mark.parametrize("method", ["HEAD", "GET", "PUT", "POST"])
async def test_lost_answers_change_nothing(presigner: S3Presigner, fake: FakeS3, method: str) -> None:
    await send(presigner, DATA, put_of(DATA))
    fake.lose(method, times=2)
    await presigner.collect("id", put_of(DATA))
    assert {key: each.data for key, each in fake.objects.items()} == {STAGED: b"", BLOB: DATA}


def silent_from(fake: FakeS3, number: int, *, done: bool) -> Callable[[str], object]:
    """The store answers no more from that request on; with `done` it carries that one out."""
    came = 0

    def before(said: str) -> None:
        nonlocal came
        came += 1
        if came == number:
            method = said.partition(" ")[0]
            if done:
                fake.lose(method)
            for each in METHODS:
                fake.refuse(each, 403, "AccessDenied", times=1_000)

    return before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("claimed", "done", "again"),
    [(DATA, False, True), (DATA, True, True), (DATA, True, False), (b"what they are not", True, True)],
    ids=["before-and-again", "behind-and-again", "behind-for-good", "of-another-cid"],
)
async def test_wherever_it_is_killed_there_is_the_blob_or_nothing(
    fake: FakeS3,
    bucket: Bucket,
    signing: Signing,
    monkeypatch: pytest.MonkeyPatch,
    claimed: bytes,
    *,
    done: bool,
    again: bool,
) -> None:
    monkeypatch.setattr(module, "_PIECE_BYTES", 5)
    monkeypatch.setattr(promotion, "_COPY_BYTES", 5)
    put = put_of(DATA, claimed)
    whole = {f"p/{_key_of(put.cid)}": DATA} if claimed == DATA else {}
    number, ended = 0, False
    while not ended:
        number += 1
        async with service(bucket, signing) as killed:
            await send(killed, DATA, put)
            fake.before = silent_from(fake, number, done=done)
            ended = await _reached_its_end(killed, put)
        fake.before = lambda _: None
        fake._planned.clear()
        found = {key: each.data for key, each in fake.objects.items() if "/cas/" in key}
        assert found in ({}, whole)
        if again:
            async with service(bucket, signing) as restarted:
                await _reached_its_end(restarted, put)
        await Sweep(bucket, Multipart(bucket), FakeClock(SystemClock().now() + 2 * GIVEN_UP)).once()
        left = {key: each.data for key, each in fake.objects.items()}
        assert left == whole if again or found else left in ({}, whole)
        assert fake.uploads == {}
        fake.objects.clear()
    assert number > (10 if claimed == DATA else 5)


async def _reached_its_end(presigner: S3Presigner, put: BlobPut) -> bool:
    """Whether the commit said what became of the upload; False where it broke."""
    try:
        await presigner.collect("id", put)
    except Invalid:
        return True
    except TheoryError:
        return False
    return True


def test_a_staging_object_is_named_by_its_upload_in_few_characters() -> None:
    assert len({staging_key("a"), staging_key("b"), staging_key("a" * 2_000)}) == 3
    assert len(staging_key("a" * 2_000)) < 100


async def test_a_blob_is_read_at_its_cid(presigner: S3Presigner, bucket: Bucket) -> None:
    get = await presigner.get(put_of(DATA), FakeClock().now() + timedelta(seconds=60))
    assert get.url.partition("?")[0].endswith(bucket.full(_key_of(Cid.of(DATA))))
