"""Presigned requests: whatever was not handed out is refused, and whatever way bytes come, only the whole is stored."""

import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.artifacts.adapters.blobs.memory import MemoryBlobs
from services.artifacts.domain.grants import Grant, GrantKey, Ticket
from services.artifacts.domain.store import BlobStore
from services.artifacts.domain.uploads import Uploads
from tests.leases import leases_of
from theory.core.cid import Cid
from theory.core.clock import FakeClock
from theory.core.errors import AlreadyExists, Conflict, Denied, Invalid
from theory.core.presign import BlobPut

pytestmark = pytest.mark.slow

KEY = GrantKey(b"k" * 32)
DATA = bytes(range(40))
NOW = datetime(2026, 1, 1, tzinfo=UTC)

_SIZES = st.integers(0, 1 << 40)
_PUTS = st.builds(
    BlobPut,
    st.binary(max_size=8).map(Cid.of),
    _SIZES,
    st.sampled_from(["text/plain", "a/b; c=d", "application/octet-stream"]),
    st.sampled_from(["", "0f" * 32]),
)
_GRANTS = st.builds(
    Grant,
    st.sampled_from(["GET", "PUT"]),
    st.text("/abc123-_", max_size=20),
    st.integers(int(NOW.timestamp()), 1 << 40),
    _PUTS,
)


@settings(deadline=None)
@given(_GRANTS, _GRANTS)
def test_a_signature_is_good_for_its_own_grant_alone(one: Grant, other: Grant) -> None:
    signature = KEY.sign(one)
    KEY.check(one, signature, NOW)
    if one == other:
        KEY.check(other, signature, NOW)
        return
    with pytest.raises(Denied) as refused:
        KEY.check(other, signature, NOW)
    assert refused.value.reason == "URL_SIGNATURE"


@settings(deadline=None)
@given(st.builds(Ticket, st.text("0123456789abcdef", max_size=24), _SIZES, _PUTS))
def test_an_id_is_opened_to_what_was_sealed(ticket: Ticket) -> None:
    assert KEY.open(KEY.seal(ticket)) == ticket


@settings(deadline=None)
@given(st.text(max_size=400))
def test_no_text_that_was_not_sealed_is_an_id(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        KEY.open(text)
    assert refused.value.reason == "ID_INVALID"


def _nothing() -> None:
    """Nobody to cut."""


_SENDS = st.lists(st.tuples(st.sampled_from(["put", "patch"]), st.integers(0, 41), st.integers(0, 41)), max_size=12)


@settings(deadline=None)
@given(_SENDS)
def test_bytes_that_come_in_any_way_are_stored_whole_or_not_at_all(sends: list[tuple[str, int, int]]) -> None:
    async def history() -> None:
        blobs, clock = MemoryBlobs(), FakeClock()
        uploads = Uploads(BlobStore(blobs, leases_of(blobs), max_blob_bytes=100), clock)
        ticket = Ticket("n", 1 << 40, BlobPut(Cid.of(DATA), len(DATA)))
        stands, stored = 0, False
        for kind, offset, size in sends:
            begin = 0 if kind == "put" else offset
            part = DATA[begin : begin + size]
            try:
                async with uploads.sending(ticket, _nothing) as staging:
                    assert not stored
                    assert staging.offset == stands
                    if kind == "put":
                        await staging.clear()
                    staging.require(begin)
                    await staging.write(part)
                    stands = staging.offset
                    if stands == len(DATA):
                        await staging.finish()
                        stored = True
            except Conflict:
                assert begin != stands
            except AlreadyExists:
                assert stored
            assert blobs.data_by_cid == ({Cid.of(DATA): DATA} if stored else {})

    asyncio.run(history())
