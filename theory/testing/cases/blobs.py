"""What every artifact store promises about bytes, over the wire."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

import grpc

from theory.api.artifacts.v1 import artifacts_pb2 as pb
from theory.api.artifacts.v1.artifacts_pb2_grpc import ArtifactsServiceStub
from theory.core.cid import Cid
from theory.core.errors import Exhausted, Invalid, NotFound, OutOfRange, TheoryError
from theory.sdk.artifacts import ArtifactsClient
from theory.testing.case import Target, case
from theory.testing.refusals import refusal, refused
from theory.wire.channel import call, send, stream
from theory.wire.status import item_error

_MIB = 1 << 20
_CHUNK = 512 * 1024
_BAD_CIDS = [
    *("", "b3:", "b3:" + "0" * 63, "b3:" + "0" * 65, "B3:" + "0" * 64, "b3:" + "A" * 64, "sha256:" + "0" * 64),
    *("0" * 64, " b3:" + "0" * 64, "b3:" + "0" * 64 + "\n", "b3:" + "g" * 64, "b3:../../" + "0" * 58),
]


@case()
async def what_was_put_is_what_is_read(target: Target) -> None:
    """Blobs read as they were written, named by the BLAKE3 of their bytes, the empty one too (I-1, I-12)."""
    client = ArtifactsClient(target.channel())
    blobs = [b"", b"\x00", target.fresh("blob").encode(), bytes(range(256)) * 16, b"x" * _MIB]
    assert await client.put_blobs_many(blobs) == [Cid.of(data) for data in blobs]
    assert await client.get_blobs_many([Cid.of(data) for data in blobs]) == blobs


@case()
async def putting_a_blob_again_is_fine(target: Target) -> None:
    """The same bytes again, also within a batch and by many at once, succeed and are stored once (I-11)."""
    client, data = ArtifactsClient(target.channel()), target.fresh("blob").encode()
    assert await client.put_blobs_many([data, data]) == [Cid.of(data)] * 2
    batches = await asyncio.gather(*(client.put_blobs_many([data]) for _ in range(16)))
    assert batches == [[Cid.of(data)]] * 16
    assert await client.get_blob(Cid.of(data)) == data


@case()
async def the_service_hashes_what_it_stores(target: Target) -> None:
    """Bytes that are not what `expected_cid` says are `Invalid CID_MISMATCH`, and are not stored (I-11, I-86)."""
    good, bad = target.fresh("good").encode(), target.fresh("bad").encode()
    answers = await _put(target, (good, Cid.of(good).text), (bad, Cid.of(good).text), (good, ""))
    error = refused(answers[1], Invalid, "CID_MISMATCH")
    assert error.metadata == {"expected": Cid.of(good).text, "actual": Cid.of(bad).text}
    assert answers[::2] == [Cid.of(good).text] * 2
    assert await _missing(target, good, bad) == [bad]


@case()
async def missing_blobs_are_told_once_in_order(target: Target) -> None:
    """The store tells which blobs it lacks, in request order, each once (I-12)."""
    one, two = (Cid.of(target.fresh(name).encode()) for name in ("one", "two"))
    stored = await ArtifactsClient(target.channel()).put_blob(target.fresh("stored").encode())
    stub = ArtifactsServiceStub(target.channel())
    request = pb.FindMissingBlobsRequest(cids=[each.text for each in (two, stored, one, two, stored)])
    assert list((await call(stub.FindMissingBlobs, request)).missing_cids) == [two.text, one.text]


@case()
async def an_unknown_blob_is_told_from_a_bad_name(target: Target) -> None:
    """`NotFound BLOB_UNKNOWN` or `Invalid CID_INVALID`, and neither fails its neighbours (I-86)."""
    client, data = ArtifactsClient(target.channel()), target.fresh("blob").encode()
    await client.put_blob(data)
    known, unknown = Cid.of(data).text, Cid.of(target.fresh("none").encode()).text
    request = pb.GetBlobsRequest(cids=[known, unknown, *_BAD_CIDS, known])
    results = (await call(ArtifactsServiceStub(target.channel()).GetBlobs, request)).results
    refused(item_error(results[1].status), NotFound, "BLOB_UNKNOWN")
    for result in results[2:-1]:
        refused(item_error(result.status), Invalid, "CID_INVALID")
    assert [results[0].data, results[-1].data] == [data, data]


@case()
async def malformed_names_are_refused_everywhere(target: Target) -> None:
    """A text that is no CID is `Invalid CID_INVALID`, whatever is asked about it (I-1, I-89)."""
    stub = ArtifactsServiceStub(target.channel())
    for text in _BAD_CIDS:
        await refusal(call(stub.FindMissingBlobs, pb.FindMissingBlobsRequest(cids=[text])), Invalid, "CID_INVALID")
        await refusal(_download(target, pb.DownloadBlobRequest(cid=text)), Invalid, "CID_INVALID")
        if text:  # an empty one expects nothing
            await refusal(_upload(target, b"x", expected_cid=text), Invalid, "CID_INVALID")
            (answer,) = await _put(target, (b"x", text))
            refused(answer, Invalid, "CID_INVALID")


@case()
async def batches_have_limits(target: Target) -> None:
    """None, more than 1,000, or more than 6 MiB of data are `Invalid BATCH_SIZE`, as a whole (I-89)."""
    stub = ArtifactsServiceStub(target.channel())
    cid = Cid.of(b"").text
    for count in (0, 1001):
        for asked in (
            call(stub.FindMissingBlobs, pb.FindMissingBlobsRequest(cids=[cid] * count)),
            call(stub.GetBlobs, pb.GetBlobsRequest(cids=[cid] * count)),
            call(stub.PutBlobs, pb.PutBlobsRequest(items=[pb.PutBlobsRequest.Item()] * count)),
        ):
            assert "max" in (await refusal(asked, Invalid, "BATCH_SIZE")).metadata
    heavy = pb.PutBlobsRequest(
        items=[pb.PutBlobsRequest.Item(data=bytes(_MIB))] * 6 + [pb.PutBlobsRequest.Item(data=b"x")]
    )
    await refusal(call(stub.PutBlobs, heavy), Invalid, "BATCH_SIZE")
    full = [target.fresh("blob").encode() for _ in range(1000)]
    assert await ArtifactsClient(target.channel()).put_blobs_many(full) == [Cid.of(data) for data in full]


@case()
async def a_blob_over_one_mebibyte_is_streamed(target: Target) -> None:
    """In a batch it is `Invalid BLOB_TOO_LARGE`, one way and the other; uploaded, it downloads (I-89)."""
    client, stub = ArtifactsClient(target.channel()), ArtifactsServiceStub(target.channel())
    large = target.fresh("large").encode() + bytes(_MIB)
    (answer,) = await client.put_blobs_many([large])
    assert refused(answer, Invalid, "BLOB_TOO_LARGE").metadata == {"max_bytes": str(_MIB)}
    await refusal(call(stub.ComputeCid, pb.ComputeCidRequest(data=large)), Invalid, "BLOB_TOO_LARGE")
    cid = await client.put_blob(large)
    (answer_back,) = await client.get_blobs_many([cid])
    refused(answer_back, Invalid, "BLOB_TOO_LARGE")
    assert await client.get_blob(cid) == large


@case()
async def a_reply_that_is_full_says_so(target: Target) -> None:
    """Blobs beyond 6 MiB of answer are `Exhausted REPLY_FULL`, and another call brings them (I-89)."""
    client, stub = ArtifactsClient(target.channel()), ArtifactsServiceStub(target.channel())
    mark = target.fresh("blob").encode()
    blobs = [mark + bytes([n]) * (_MIB - len(mark)) for n in range(8)]
    cids = [cid for cid in await client.put_blobs_many(blobs) if isinstance(cid, Cid)]
    results = (await call(stub.GetBlobs, pb.GetBlobsRequest(cids=[cid.text for cid in cids]))).results
    left = [item_error(result.status) for result in results[6:]]
    assert [result.data for result in results[:6]] == blobs[:6]
    for error in left:
        refused(error, Exhausted, "REPLY_FULL")
    assert await client.get_blobs_many(cids) == blobs


@case()
async def an_upload_is_whole_however_it_was_cut(target: Target) -> None:
    """Chunks of any size make one blob, named by all of its bytes; none make the empty one (I-1)."""
    data = target.fresh("blob").encode() + bytes(range(256)) * 4096
    for size in (_CHUNK, 100_000):
        answer = await _upload(target, *_cut(data, size), expected_cid=Cid.of(data).text, size_bytes=len(data))
        assert (answer.cid, answer.size_bytes) == (Cid.of(data).text, len(data))
    answer = await _upload(target)
    assert (answer.cid, answer.size_bytes) == (Cid.of(b"").text, 0)
    assert await ArtifactsClient(target.channel()).get_blob(Cid.of(data)) == data


@case()
async def an_upload_that_is_not_what_it_said_leaves_nothing(target: Target) -> None:
    """Another CID or another length than announced is `Invalid`, and nothing is stored (I-11)."""
    data = target.fresh("blob").encode()
    other = Cid.of(b"other").text
    await refusal(_upload(target, data, expected_cid=other), Invalid, "CID_MISMATCH")
    for size in (len(data) - 1, len(data) + 1, 0):
        await refusal(_upload(target, data, size_bytes=size), Invalid, "SIZE_MISMATCH")
    await refusal(_upload(target, data, size_bytes=-1), Invalid, "FIELD_INVALID")
    assert await _missing(target, data) == [data]


@case()
async def an_upload_keeps_the_order_and_size_of_chunks(target: Target) -> None:
    """The header comes first and once, chunks have 1 byte to 512 KiB; else `Invalid`, and nothing is stored (I-89)."""
    stub, data = ArtifactsServiceStub(target.channel()), target.fresh("blob").encode()
    header, chunk = pb.UploadBlobRequest(header=pb.UploadBlobRequest.Header()), pb.UploadBlobRequest(chunk=data)
    for messages in ([], [chunk], [chunk, header], [header, chunk, header], [pb.UploadBlobRequest()]):
        await refusal(send(stub.UploadBlob, _each(messages)), Invalid, "CHUNK_ORDER")
    await refusal(_upload(target, data, b""), Invalid, "CHUNK_SIZE")
    await refusal(_upload(target, data, bytes(_CHUNK + 1)), Invalid, "CHUNK_SIZE")
    assert await _missing(target, data) == [data]


@case()
async def an_upload_broken_in_the_middle_leaves_nothing(target: Target) -> None:
    """A stream that its client breaks off stores neither the whole nor the part that came (I-8, I-11)."""
    stub = ArtifactsServiceStub(target.channel())
    part = target.fresh("blob").encode() + bytes(_CHUNK - 100)
    running = stub.UploadBlob(timeout=30)
    await running.write(pb.UploadBlobRequest(header=pb.UploadBlobRequest.Header(size_bytes=2 * len(part))))
    await running.write(pb.UploadBlobRequest(chunk=part))
    running.cancel()
    assert await running.code() is grpc.StatusCode.CANCELLED
    assert await _missing(target, part, part + part) == [part, part + part]
    answer = await _upload(target, part)
    assert answer.cid == Cid.of(part).text


@case()
async def a_refused_upload_learns_why_though_it_still_sends(target: Target) -> None:
    """A client that is refused in the middle of its stream gets the reason, and nothing else in its place (I-81)."""
    chunks = [bytes(_CHUNK)] * 16
    refusals = (refusal(_upload(target, *chunks, size_bytes=3 * _CHUNK), Invalid, "SIZE_MISMATCH") for _ in range(12))
    for error in await asyncio.gather(*refusals):
        assert error.metadata == {"expected": str(3 * _CHUNK), "actual": str(4 * _CHUNK)}


@case()
async def uploads_of_one_blob_at_once_all_succeed(target: Target) -> None:
    """Writers that race with the same bytes all end well, and a reader sees the whole or nothing (I-8)."""
    client = ArtifactsClient(target.channel())
    data = target.fresh("blob").encode() + bytes(2 * _CHUNK)
    cid = Cid.of(data)

    async def read() -> bytes | TheoryError:
        try:
            return await client.get_blob(cid)
        except NotFound as error:
            return error

    uploads = [_upload(target, *_cut(data, _CHUNK)) for _ in range(8)]
    ended = await asyncio.gather(*uploads, *(read() for _ in range(8)))
    for answer in ended:
        if isinstance(answer, pb.UploadBlobResponse):
            assert answer.cid == cid.text
        else:
            assert isinstance(answer, NotFound) or answer == data
    assert await client.get_blob(cid) == data


@case()
async def a_blob_over_the_limit_of_the_store_is_refused_at_once(target: Target) -> None:
    """More than `max_blob_bytes` announced is `Invalid BLOB_TOO_LARGE`, before a byte is read (I-89)."""
    client = ArtifactsClient(target.channel())
    most = (await client.capabilities()).max_blob_bytes
    error = await refusal(_upload(target, size_bytes=most + 1), Invalid, "BLOB_TOO_LARGE")
    assert error.metadata == {"max_bytes": str(most)}


@case()
async def a_download_comes_in_chunks_behind_its_length(target: Target) -> None:
    """The first message tells the length of the whole, the others carry at most 512 KiB each, in order (I-12)."""
    client = ArtifactsClient(target.channel())
    data = target.fresh("blob").encode() + bytes(range(256)) * 5000
    cid = await client.put_blob(data)
    size, chunks = await _download(target, pb.DownloadBlobRequest(cid=cid.text))
    assert (size, b"".join(chunks)) == (len(data), data)
    assert all(0 < len(chunk) <= _CHUNK for chunk in chunks)
    assert await _download(target, pb.DownloadBlobRequest(cid=(await client.put_blob(b"")).text)) == (0, [])


@case()
async def a_range_is_read_alone(target: Target) -> None:
    """`offset` and `limit` choose bytes; beyond the end there are none, and the length is always the whole's (I-12)."""
    client = ArtifactsClient(target.channel())
    data = target.fresh("blob").encode() + bytes(range(256)) * 3000
    cid, end = (await client.put_blob(data)).text, len(data)
    for offset, limit in ((0, 1), (0, end), (5, 0), (7, 600_000), (end - 1, 0), (end - 3, 100), (_CHUNK, _CHUNK)):
        size, chunks = await _download(target, pb.DownloadBlobRequest(cid=cid, offset=offset, limit=limit))
        assert (size, b"".join(chunks)) == (end, data[offset : offset + limit if limit else end])
    for offset in (end, end + 1, (1 << 63) - 1):
        error = await refusal(
            _download(target, pb.DownloadBlobRequest(cid=cid, offset=offset)), OutOfRange, "RANGE_PAST_END"
        )
        assert error.metadata == {"size_bytes": str(end)}
    for field in ("offset", "limit"):
        negative = pb.DownloadBlobRequest(cid=cid, **{field: -1})
        assert (await refusal(_download(target, negative), Invalid, "RANGE_INVALID")).metadata == {"field": field}
    unknown = pb.DownloadBlobRequest(cid=Cid.of(target.fresh("none").encode()).text)
    await refusal(_download(target, unknown), NotFound, "BLOB_UNKNOWN")


@case()
async def a_cid_is_computed_without_storing(target: Target) -> None:
    """The service hashes for clients that cannot, and keeps nothing (I-1)."""
    stub, data = ArtifactsServiceStub(target.channel()), target.fresh("blob").encode()
    assert (await call(stub.ComputeCid, pb.ComputeCidRequest(data=data))).cid == Cid.of(data).text
    assert await _missing(target, data) == [data]


@case()
async def the_store_says_what_it_is(target: Target) -> None:
    """The limits of the contract are those that the store states (I-89)."""
    said = await ArtifactsClient(target.channel()).capabilities()
    assert said.adapter
    assert (said.max_inline_bytes, said.max_batch_items) == (_MIB, 1000)
    assert said.max_blob_bytes >= _MIB


async def _put(target: Target, *items: tuple[bytes, str]) -> list[str | TheoryError]:
    request = pb.PutBlobsRequest()
    for data, expected_cid in items:
        request.items.add(data=data, expected_cid=expected_cid)
    results = (await call(ArtifactsServiceStub(target.channel()).PutBlobs, request)).results
    return [item_error(result.status) or result.cid for result in results]


async def _missing(target: Target, *blobs: bytes) -> list[bytes]:
    missing = await ArtifactsClient(target.channel()).find_missing([Cid.of(data) for data in blobs])
    return [data for data in blobs if Cid.of(data) in missing]


async def _upload(
    target: Target, *chunks: bytes, expected_cid: str = "", size_bytes: int | None = None
) -> pb.UploadBlobResponse:
    header = pb.UploadBlobRequest.Header(expected_cid=expected_cid, size_bytes=size_bytes)
    messages = [pb.UploadBlobRequest(header=header), *(pb.UploadBlobRequest(chunk=chunk) for chunk in chunks)]
    return await send(ArtifactsServiceStub(target.channel()).UploadBlob, _each(messages))


async def _each(messages: Sequence[pb.UploadBlobRequest]) -> AsyncGenerator[pb.UploadBlobRequest, None]:
    for message in messages:
        yield message


async def _download(target: Target, request: pb.DownloadBlobRequest) -> tuple[int, list[bytes]]:
    async with stream(ArtifactsServiceStub(target.channel()).DownloadBlob, request) as messages:
        received: AsyncIterator[pb.DownloadBlobResponse] = messages
        first = await anext(received)
        assert first.WhichOneof("part") == "header"
        return first.header.size_bytes, [message.chunk async for message in received]


def _cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]
