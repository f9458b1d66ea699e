"""Bytes in pieces."""

import io
from collections.abc import AsyncIterator, Iterable

import pytest

from theory.api.artifacts.v1.artifacts_pb2 import DownloadBlobResponse, UploadBlobRequest
from theory.core.errors import Invalid
from theory.wire.chunks import CHUNK_BYTES, Parts, frame, split, split_file

_HEADER = UploadBlobRequest(header=UploadBlobRequest.Header(expected_cid="b3:x"))


def _chunk(data: bytes) -> UploadBlobRequest:
    return UploadBlobRequest(chunk=data)


async def _sent(messages: Iterable[UploadBlobRequest]) -> AsyncIterator[UploadBlobRequest]:
    for message in messages:
        yield message


async def _received(*messages: UploadBlobRequest) -> tuple[str, list[bytes]]:
    parts = Parts(_sent(messages))
    return (await parts.header()).expected_cid, [chunk async for chunk in parts.chunks()]


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_chunks_add_up_and_none_is_empty(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    for chunks in (list(split(data)), list(split(memoryview(data))), list(split_file(io.BytesIO(data)))):
        assert b"".join(chunks) == data
        assert all(0 < len(chunk) <= CHUNK_BYTES for chunk in chunks)


def test_a_file_is_read_from_where_it_stands_up_to_the_limit() -> None:
    file = io.BytesIO(b"0123456789")
    file.seek(2)
    assert b"".join(split_file(file, limit=5)) == b"23456"
    assert list(split_file(file, limit=0)) == []


@pytest.mark.parametrize("size", [1, 127, 128, 300, CHUNK_BYTES])
def test_a_message_framed_by_hand_is_what_protobuf_writes(size: int) -> None:
    data = bytes(size)
    assert frame(2, data) == DownloadBlobResponse(chunk=data).SerializeToString()
    assert frame(2000, data)[:2] == b"\x82\x7d"


async def test_a_header_and_its_chunks_arrive() -> None:
    assert await _received(_HEADER, _chunk(b"a"), _chunk(b"b")) == ("b3:x", [b"a", b"b"])
    assert await _received(_HEADER) == ("b3:x", [])


@pytest.mark.parametrize(
    "messages",
    [(), (_chunk(b"a"),), (UploadBlobRequest(),), (_HEADER, _HEADER), (_HEADER, UploadBlobRequest())],
    ids=["nothing", "no header", "neither", "two headers", "neither behind a header"],
)
async def test_parts_out_of_order_are_refused(messages: tuple[UploadBlobRequest, ...]) -> None:
    with pytest.raises(Invalid) as caught:
        await _received(*messages)
    assert caught.value.reason == "CHUNK_ORDER"


@pytest.mark.parametrize("size", [0, CHUNK_BYTES + 1])
async def test_chunks_of_a_wrong_size_are_refused(size: int) -> None:
    with pytest.raises(Invalid) as caught:
        await _received(_HEADER, _chunk(bytes(size)))
    assert caught.value.reason == "CHUNK_SIZE"
