"""The client of blobs, against a store in memory."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from io import BytesIO
from pathlib import Path

import pytest

from services.artifacts.assembly import assemble
from services.artifacts.config import ArtifactsConfig
from services.artifacts.domain.store import BlobStore, NewBlob
from theory.core.cid import Cid
from theory.core.errors import Corrupt, Exhausted, Invalid, NotFound, TheoryError
from theory.sdk import blobs
from theory.sdk.blobs import MAX_INLINE_BYTES, BlobsClient, until_answered
from theory.wire.server import running

LARGE = bytes(range(256)) * 5_000


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[BlobsClient]:
    config = ArtifactsConfig.load({"home": tmp_path, "blobs_url": "memory:", "database_url": "memory:"})
    async with running([await assemble(config)]) as server:
        yield BlobsClient(server.channel())


@pytest.fixture
def puts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many blobs each batch brought to the service."""
    counts: list[int] = []
    put_many = BlobStore.put_many

    async def counted(self: BlobStore, blobs: Sequence[NewBlob]) -> list[Cid | TheoryError]:
        counts.append(len(blobs))
        return await put_many(self, blobs)

    monkeypatch.setattr(BlobStore, "put_many", counted)
    return counts


async def test_single_calls_of_one_turn_share_an_rpc(client: BlobsClient, puts: list[int]) -> None:
    data = [b"%d" % n for n in range(50)]
    cids = await asyncio.gather(*(client.put_blob(each) for each in data))
    assert await asyncio.gather(*(client.get_blob(cid) for cid in cids)) == data
    assert puts == [50]


async def test_a_batch_that_is_too_heavy_for_a_message_is_cut(client: BlobsClient, puts: list[int]) -> None:
    blobs = [bytes([n]) * MAX_INLINE_BYTES for n in range(8)]
    cids = [Cid.of(data) for data in blobs]
    assert await client.put_blobs_many(blobs) == cids
    assert puts == [6, 2]
    assert await client.get_blobs_many(cids) == blobs


async def test_a_batch_that_holds_too_many_is_cut(client: BlobsClient, puts: list[int]) -> None:
    blobs = [b"%d" % n for n in range(1_001)]
    cids = [cid for cid in await client.put_blobs_many(blobs) if isinstance(cid, Cid)]
    assert puts == [1000, 1]
    assert await client.find_missing([*cids, Cid.of(b"none"), Cid.of(b"none")]) == [Cid.of(b"none")]
    assert await client.get_blobs_many(cids) == blobs


async def test_large_bytes_are_streamed(client: BlobsClient, puts: list[int]) -> None:
    cid = await client.put_blob(LARGE)
    assert cid == Cid.of(LARGE)
    assert await client.put_blob(LARGE) == cid
    assert await client.get_blob(cid) == LARGE
    assert puts == []


@pytest.mark.parametrize("size", [0, 5, MAX_INLINE_BYTES, MAX_INLINE_BYTES + 1])
async def test_a_file_is_stored_in_one_pass(client: BlobsClient, size: int) -> None:
    data = LARGE[:size]
    assert await client.upload(BytesIO(data), len(data)) == Cid.of(data)
    into = BytesIO()
    assert await client.download(Cid.of(data), into) == len(data)
    assert into.getvalue() == data


@pytest.mark.parametrize("announced", [3, len(LARGE) - 1, len(LARGE) + 1])
async def test_a_file_that_is_not_as_long_as_announced_is_refused(client: BlobsClient, announced: int) -> None:
    with pytest.raises(Invalid) as refused:
        await client.upload(BytesIO(LARGE), announced)
    assert refused.value.reason == "SIZE_MISMATCH"
    assert await client.find_missing([Cid.of(LARGE)]) == [Cid.of(LARGE)]


@pytest.mark.parametrize("data", [b"", b"small", LARGE])
async def test_a_file_that_the_store_has_is_not_sent_again(
    client: BlobsClient, tmp_path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(data)
    assert await client.upload_file(tmp_path / "file") == Cid.of(data)
    monkeypatch.setattr(client, "_send", None)
    monkeypatch.setattr(client, "_put_inline", None)
    assert await client.upload_file(tmp_path / "file") == Cid.of(data)


async def test_a_file_that_is_not_there_is_told_as_it_is(client: BlobsClient, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await client.upload_file(tmp_path / "none")


async def test_more_bytes_than_wanted_are_refused(client: BlobsClient) -> None:
    small, large = await client.put_blob(b"small"), await client.put_blob(LARGE)
    assert await client.get_blob(small, max_bytes=5) == b"small"
    assert await client.get_blob(large, max_bytes=len(LARGE)) == LARGE
    for cid, most in ((small, 4), (large, 4), (large, MAX_INLINE_BYTES + 1)):
        with pytest.raises(Invalid) as refused:
            await client.get_blob(cid, max_bytes=most)
        assert refused.value.reason == "BLOB_TOO_LARGE"


async def test_an_unknown_blob_is_told(client: BlobsClient) -> None:
    with pytest.raises(NotFound):
        await client.get_blob(Cid.of(b"none"))
    with pytest.raises(NotFound):
        await client.download(Cid.of(b"none"), BytesIO())


async def test_a_service_that_sends_other_bytes_is_not_believed(
    client: BlobsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    cid, large = await client.put_blob(b"one"), await client.put_blob(LARGE)

    async def lie(_self: BlobStore, cids: Sequence[Cid]) -> list[bytes]:
        return [b"other"] * len(cids)

    async def lying(*_: object) -> AsyncIterator[bytes]:
        yield b"other"

    monkeypatch.setattr(BlobStore, "get_many", lie)
    monkeypatch.setattr("services.artifacts.domain.store._whole", lying)
    with pytest.raises(Corrupt):
        await client.get_blob(cid)
    with pytest.raises(Corrupt):
        await client.download(large, BytesIO())


async def test_a_place_that_takes_no_more_ends_the_download(client: BlobsClient) -> None:
    class Full(BytesIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    cid = await client.put_blob(LARGE)
    with pytest.raises(OSError, match="No space"):
        await client.download(cid, Full())


async def test_what_a_reply_has_no_room_for_is_asked_for_again() -> None:
    asked: list[list[int]] = []

    async def two_at_a_time(items: Sequence[int]) -> list[int | TheoryError]:
        asked.append(list(items))
        full: list[int | TheoryError] = [Exhausted("REPLY_FULL", "full")] * (len(items) - 2)
        return [*items[:2], *full]

    assert await until_answered([1, 2, 3, 4, 5], two_at_a_time) == [1, 2, 3, 4, 5]
    assert asked == [[1, 2, 3, 4, 5], [3, 4, 5], [5]]


async def test_a_reply_without_room_for_anything_is_not_asked_for_ever() -> None:
    async def never(items: Sequence[int]) -> list[int | TheoryError]:
        return [Exhausted("REPLY_FULL", "full")] * len(items)

    (answer,) = await until_answered([1], never)
    assert isinstance(answer, Exhausted)


class _Unread(BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        raise AssertionError("somebody reads")


async def test_a_file_that_is_too_large_is_refused_before_a_byte_is_read(
    client: BlobsClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as file:
        file.truncate(1 << 40)
    monkeypatch.setattr(blobs, "_hashed", lambda _: pytest.fail("somebody reads"))
    for upload in (client.upload_file(sparse), client.upload(_Unread(), 1 << 40)):
        with pytest.raises(Invalid) as caught:
            await upload
        assert caught.value.reason == "BLOB_TOO_LARGE"
        assert caught.value.metadata["max_bytes"] == str(16 << 30)
        assert str(1 << 40) in caught.value.message
