"""Uploads under way: one connection at a time, nothing visible before its end, nothing left after its expiry."""

import asyncio
import hashlib
from dataclasses import replace

import pytest

from services.artifacts.adapters.blobs.memory import MemoryBlobs
from services.artifacts.domain.grants import Ticket
from services.artifacts.domain.store import BlobStore
from services.artifacts.domain.uploads import Uploads
from tests.leases import leases_of
from theory.core.cid import Cid
from theory.core.clock import FakeClock
from theory.core.errors import AlreadyExists, Conflict, Exhausted, Invalid
from theory.core.presign import BlobPut

DATA = b"some bytes"
PUT = BlobPut(Cid.of(DATA), len(DATA), sha256=hashlib.sha256(DATA).hexdigest())


def nothing() -> None:
    """A connection that nobody has to cut."""


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def uploads(blobs: MemoryBlobs, clock: FakeClock) -> Uploads:
    return Uploads(BlobStore(blobs, leases_of(blobs), max_blob_bytes=100), clock, most=2)


@pytest.fixture
def ticket(clock: FakeClock) -> Ticket:
    return Ticket("one", int(clock.now().timestamp()) + 60, PUT)


async def send(uploads: Uploads, ticket: Ticket, data: bytes) -> None:
    async with uploads.sending(ticket, nothing) as staging:
        await staging.write(data)
        await staging.finish()


async def test_bytes_that_came_in_pieces_are_stored_at_the_last_one(
    uploads: Uploads, blobs: MemoryBlobs, ticket: Ticket
) -> None:
    async with uploads.sending(ticket, nothing) as staging:
        await staging.write(DATA[:4])
    assert blobs.data_by_cid == {}
    async with uploads.sending(ticket, nothing) as staging:
        assert staging.offset == 4
        await staging.write(DATA[4:])
        await staging.finish()
    assert list(blobs.data_by_cid.values()) == [DATA]
    assert uploads.count == 0


async def test_nothing_at_all_is_a_blob_too(uploads: Uploads, blobs: MemoryBlobs, ticket: Ticket) -> None:
    empty = replace(ticket, put=BlobPut(Cid.of(b""), 0))
    async with uploads.sending(empty, nothing) as staging:
        await staging.finish()
    assert list(blobs.data_by_cid.values()) == [b""]


async def test_a_stored_blob_takes_no_second_upload(uploads: Uploads, blobs: MemoryBlobs, ticket: Ticket) -> None:
    await blobs.put_many([(PUT.cid, DATA)])
    with pytest.raises(AlreadyExists) as refused:
        async with uploads.sending(ticket, nothing):
            pass
    assert (refused.value.reason, refused.value.metadata) == ("UPLOAD_COMPLETE", {"cid": PUT.cid.text})
    assert uploads.count == 0


@pytest.mark.parametrize(
    ("sent", "reason"),
    [(DATA[::-1], "CID_MISMATCH"), (DATA[:-1], "SIZE_MISMATCH"), (DATA + b"!", "SIZE_MISMATCH")],
)
async def test_other_bytes_than_announced_leave_nothing(
    uploads: Uploads, blobs: MemoryBlobs, ticket: Ticket, sent: bytes, reason: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await send(uploads, replace(ticket, put=replace(PUT, sha256="")), sent)
    assert refused.value.reason == reason
    assert (blobs.data_by_cid, uploads.count) == ({}, 0)


async def test_another_checksum_than_announced_leaves_nothing(
    uploads: Uploads, blobs: MemoryBlobs, ticket: Ticket
) -> None:
    with pytest.raises(Invalid) as refused:
        await send(uploads, replace(ticket, put=replace(PUT, sha256="0" * 64)), DATA)
    assert refused.value.metadata == {"field": "sha256"}
    assert (blobs.data_by_cid, uploads.count) == ({}, 0)


async def test_a_byte_is_appended_where_the_upload_stands(uploads: Uploads, ticket: Ticket) -> None:
    async with uploads.sending(ticket, nothing) as staging:
        await staging.write(DATA[:4])
        staging.require(4)
        for offset in (0, 3, 5):
            with pytest.raises(Conflict) as refused:
                staging.require(offset)
            assert refused.value.metadata == {"offset": "4"}


async def test_whoever_comes_later_cuts_the_connection_before(uploads: Uploads, ticket: Ticket) -> None:
    gone = asyncio.Event()

    async def first() -> None:
        async with uploads.sending(ticket, gone.set) as staging:
            await staging.write(DATA[:4])
            await gone.wait()

    earlier = asyncio.create_task(first())
    await asyncio.sleep(0)
    async with uploads.sending(ticket, nothing) as staging:
        assert earlier.done() or gone.is_set()
        assert staging.offset == 4
    await earlier


async def test_uploads_of_the_same_bytes_do_not_meet(uploads: Uploads, ticket: Ticket) -> None:
    async with uploads.sending(ticket, nothing) as staging:
        await staging.write(DATA[:4])
    async with uploads.sending(replace(ticket, nonce="two"), nothing) as staging:
        assert staging.offset == 0


async def test_what_expired_is_dropped_and_what_still_sends_is_not(
    uploads: Uploads, ticket: Ticket, clock: FakeClock
) -> None:
    async with uploads.sending(ticket, nothing) as staging:
        await staging.write(DATA[:4])
    clock.advance(60)
    assert await uploads.sweep() == 0
    clock.advance(1)
    async with uploads.sending(ticket, nothing):
        assert await uploads.sweep() == 0
    assert (await uploads.sweep(), uploads.count) == (1, 0)


async def test_it_sweeps_by_itself(uploads: Uploads, ticket: Ticket, clock: FakeClock) -> None:
    async with uploads.sending(ticket, nothing) as staging:
        await staging.write(DATA[:4])
    running = asyncio.create_task(uploads.run())
    await clock.sleep(0)
    for _ in range(3):
        clock.advance(30)
        for _ in range(5):
            await clock.sleep(0)
    assert uploads.count == 0
    running.cancel()


async def test_there_are_only_so_many_at_once(uploads: Uploads, ticket: Ticket) -> None:
    for nonce in ("one", "two"):
        async with uploads.sending(replace(ticket, nonce=nonce), nothing) as staging:
            await staging.write(DATA[:4])
    with pytest.raises(Exhausted) as refused:
        async with uploads.sending(replace(ticket, nonce="three"), nothing):
            pass
    assert refused.value.reason == "TOO_MANY_CALLS"
    await uploads.close()
    assert uploads.count == 0


async def test_asking_where_an_upload_stands_takes_no_place(uploads: Uploads, ticket: Ticket) -> None:
    async with uploads.sending(ticket, nothing) as staging:
        assert staging.offset == 0
    assert uploads.count == 0
