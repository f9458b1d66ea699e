"""Blobs on their way in and out: what is hashed, what is verified, and when."""

import pytest

from services.artifacts.adapters.blobs.memory import MemoryBlobs
from services.artifacts.domain.limits import CHUNK_BYTES, MAX_BATCH_BYTES, MAX_INLINE_BYTES
from services.artifacts.domain.store import BlobStore, NewBlob, compute_cid
from tests.leases import leases_of
from theory.core.cid import Cid
from theory.core.errors import Corrupt, Exhausted, Invalid, NotFound, OutOfRange, TheoryError

ONE = Cid.of(b"one")
BIG = bytes(range(256)) * 5000


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
def store(blobs: MemoryBlobs) -> BlobStore:
    return BlobStore(blobs, leases_of(blobs), max_blob_bytes=4 * MAX_INLINE_BYTES)


def reasons(answers: list[Cid | TheoryError] | list[bytes | TheoryError]) -> list[str]:
    return [each.reason if isinstance(each, TheoryError) else "" for each in answers]


async def upload(store: BlobStore, *chunks: bytes, expected: Cid | None = None, size: int | None = None) -> Cid:
    async with store.upload(expected=expected, size_bytes=size) as taken:
        for chunk in chunks:
            await taken.write(chunk)
        cid, _ = await taken.commit()
    return cid


async def download(store: BlobStore, cid: Cid, offset: int = 0, limit: int = 0) -> list[bytes]:
    async with store.download(cid, offset=offset, limit=limit) as found:
        return [chunk async for chunk in found.chunks]


async def test_blobs_are_named_by_the_service(store: BlobStore) -> None:
    assert await store.put_many([NewBlob(b"one"), NewBlob(b""), NewBlob(b"one", ONE)]) == [ONE, Cid.of(b""), ONE]


async def test_a_blob_that_is_not_what_its_writer_says_is_not_stored(store: BlobStore, blobs: MemoryBlobs) -> None:
    assert reasons(await store.put_many([NewBlob(b"two", ONE), NewBlob(b"three")])) == ["CID_MISMATCH", ""]
    assert list(blobs.data_by_cid) == [Cid.of(b"three")]


async def test_a_blob_over_one_mebibyte_does_not_travel_in_a_batch(store: BlobStore, blobs: MemoryBlobs) -> None:
    answers = await store.put_many([NewBlob(bytes(MAX_INLINE_BYTES + 1)), NewBlob(bytes(MAX_INLINE_BYTES))])
    assert reasons(answers) == ["BLOB_TOO_LARGE", ""]


async def test_missing_blobs_are_named_once_in_order(store: BlobStore) -> None:
    await store.put_many([NewBlob(b"one")])
    asked = [Cid.of(b"b"), ONE, Cid.of(b"a"), Cid.of(b"b")]
    assert await store.find_missing(asked) == [Cid.of(b"b"), Cid.of(b"a")]


async def test_a_blob_reads_as_it_was_written(store: BlobStore) -> None:
    await store.put_many([NewBlob(b"one")])
    known, unknown = await store.get_many([ONE, Cid.of(b"two")])
    assert known == b"one"
    assert isinstance(unknown, NotFound)


async def test_a_damaged_blob_is_never_returned(store: BlobStore, blobs: MemoryBlobs) -> None:
    blobs.data_by_cid[ONE] = b"0ne"
    (answer,) = await store.get_many([ONE])
    assert isinstance(answer, Corrupt)
    assert answer.metadata == {"cid": ONE.text}


async def test_items_beyond_the_room_of_a_reply_are_left_for_another_call(store: BlobStore) -> None:
    large = [bytes([n]) * MAX_INLINE_BYTES for n in range(MAX_BATCH_BYTES // MAX_INLINE_BYTES + 1)]
    for data in large:
        await store.put_many([NewBlob(data)])
    await store.put_many([NewBlob(b"one")])
    answers = await store.get_many([*map(Cid.of, large), ONE])
    assert reasons(answers) == [""] * 6 + ["REPLY_FULL"] * 2
    assert isinstance(answers[-1], Exhausted)


async def test_a_blob_over_one_mebibyte_has_to_be_downloaded(store: BlobStore) -> None:
    cid = await upload(store, bytes(MAX_INLINE_BYTES + 1))
    assert reasons(await store.get_many([cid])) == ["BLOB_TOO_LARGE"]


async def test_an_upload_is_named_by_all_of_its_chunks(store: BlobStore) -> None:
    assert await upload(store, b"o", b"ne", expected=ONE, size=3) == ONE
    assert await upload(store) == Cid.of(b"")


@pytest.mark.parametrize(
    ("expected", "size", "reason"),
    [(Cid.of(b"two"), None, "CID_MISMATCH"), (None, 4, "SIZE_MISMATCH"), (None, 2, "SIZE_MISMATCH")],
)
async def test_an_upload_that_is_not_what_was_announced_leaves_nothing(
    store: BlobStore, blobs: MemoryBlobs, expected: Cid | None, size: int | None, reason: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await upload(store, b"one", expected=expected, size=size)
    assert refused.value.reason == reason
    assert blobs.data_by_cid == {}


async def test_an_upload_beyond_the_limit_is_refused_before_and_while_it_comes(store: BlobStore) -> None:
    with pytest.raises(Invalid, match="at most"):
        await upload(store, size=store.max_blob_bytes + 1)
    with pytest.raises(Invalid, match="at most"):
        await upload(store, bytes(store.max_blob_bytes), b"x")


async def test_an_upload_that_is_not_committed_leaves_nothing(store: BlobStore, blobs: MemoryBlobs) -> None:
    async with store.upload(expected=None, size_bytes=None) as taken:
        await taken.write(b"one")
    assert blobs.data_by_cid == {}


async def test_a_download_comes_in_chunks(store: BlobStore) -> None:
    cid = await upload(store, BIG)
    chunks = await download(store, cid)
    assert b"".join(chunks) == BIG
    assert max(map(len, chunks)) == CHUNK_BYTES


@pytest.mark.parametrize(
    ("offset", "limit", "expected"),
    [(0, 0, b"0123456789"), (3, 0, b"3456789"), (3, 2, b"34"), (0, 10, b"0123456789"), (8, 100, b"89"), (9, 1, b"9")],
)
async def test_a_range_gives_its_bytes(store: BlobStore, offset: int, limit: int, expected: bytes) -> None:
    cid = await upload(store, b"0123456789")
    assert b"".join(await download(store, cid, offset, limit)) == expected


async def test_a_range_past_the_end_is_refused(store: BlobStore) -> None:
    cid = await upload(store, b"one")
    with pytest.raises(OutOfRange) as refused:
        await download(store, cid, offset=3)
    assert refused.value.metadata == {"size_bytes": "3"}


async def test_an_empty_blob_has_no_chunks(store: BlobStore) -> None:
    cid = await upload(store)
    assert await download(store, cid) == []


async def test_a_download_of_an_unknown_blob_is_refused(store: BlobStore) -> None:
    with pytest.raises(NotFound):
        await download(store, ONE)


@pytest.mark.parametrize("damage", [b"x", BIG[:-1] + b"x", BIG[:-1]])
async def test_a_damaged_blob_is_found_before_its_last_chunk_is_sent(
    store: BlobStore, blobs: MemoryBlobs, damage: bytes
) -> None:
    cid = Cid.of(BIG)
    blobs.data_by_cid[cid] = damage
    sent: list[bytes] = []

    async def send() -> None:
        async with store.download(cid, offset=0, limit=0) as found:
            async for chunk in found.chunks:
                sent.append(chunk)  # noqa: PERF401 - what was sent before the error is what matters

    with pytest.raises(Corrupt):
        await send()
    assert len(b"".join(sent)) < len(damage)


def test_a_cid_is_computed_without_storing() -> None:
    assert compute_cid(b"one") == ONE
    with pytest.raises(Invalid):
        compute_cid(bytes(MAX_INLINE_BYTES + 1))
