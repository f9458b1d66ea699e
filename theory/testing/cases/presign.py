"""What every artifact store with a data plane promises about presigned requests, over the wire and over HTTP."""

import asyncio
import hashlib
import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from theory.api.artifacts.v1 import artifacts_pb2 as pb
from theory.api.artifacts.v1.artifacts_pb2_grpc import ArtifactsServiceStub
from theory.core.cid import Cid
from theory.core.errors import Invalid, NotFound
from theory.core.presign import ArtifactGet, BlobGet, BlobPut, PresignedRequest
from theory.core.world_path import WorldName, WorldPath
from theory.sdk.artifacts import ArtifactPut, ArtifactsClient
from theory.testing.case import Target, case
from theory.testing.refusals import refusal, refused
from theory.wire.channel import call
from theory.wire.status import item_error

_LARGE = 3 * (1 << 20) + 7
_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@case("DATA_PLANE")
async def what_was_uploaded_by_http_is_what_is_read(target: Target) -> None:
    """PUT, commit and GET by presigned requests: the same bytes under their CID, the empty ones too (I-119, I-120)."""
    client = ArtifactsClient(target.channel())
    for data in (b"", target.fresh("blob").encode(), _bytes(target, _LARGE)):
        put = await client.presign(_put_of(data))
        assert put.method == "PUT"
        await _stored(put, data)
        assert await client.commit_uploads([put.upload_id]) == [(Cid.of(data), len(data))]
        assert await client.get_blob(Cid.of(data)) == data
        get = await client.presign(BlobGet(Cid.of(data)))
        assert (get.method, get.size_bytes) == ("GET", len(data))
        answer = await _ask(get)
        assert (answer.status, answer.body) == (200, data)


@case("DATA_PLANE")
async def the_sdk_moves_large_blobs_and_tells_how_far(target: Target) -> None:
    """Bytes over 1 MiB arrive whole either way, and the last that is told is their length (I-12, I-122)."""
    client, data = ArtifactsClient(target.channel()), _bytes(target, _LARGE)
    told: list[tuple[int, int]] = []
    cid = await client.put_blob(data, progress=lambda done, total: told.append((done, total)))
    assert (cid, told[-1]) == (Cid.of(data), (_LARGE, _LARGE))
    assert await client.get_blob(cid) == data


@case("DATA_PLANE")
async def a_download_is_a_file_and_no_page(target: Target) -> None:
    """A GET of a path has its content type, its CID as ETag, and is neither shown nor sniffed by a browser (I-119)."""
    client, data = ArtifactsClient(target.channel()), b"<script>alert(1)</script>"
    world, path = WorldName(target.fresh("w")), WorldPath("/artifacts/page.html")
    await client.put(world, ArtifactPut(path, data, "text/html; charset=utf-8"))
    request = await client.presign(ArtifactGet(world, path))
    answer = await _ask(request)
    assert (answer.status, answer.body) == (200, data)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment")


@case("DATA_PLANE")
async def a_range_is_read_by_http(target: Target) -> None:
    """One range of bytes is 206 and exactly those; one behind the end is 416 (I-122)."""
    client, data = ArtifactsClient(target.channel()), bytes(range(256)) * 40
    get = await client.presign(BlobGet(await client.put_blob(data)))
    end = len(data)
    for text, begin, stop in (
        ("0-0", 0, 1),
        ("5-9", 5, 10),
        ("10200-", 10200, end),
        ("-4", end - 4, end),
        ("3-999999", 3, end),
    ):
        answer = await _ask(get, headers={"Range": f"bytes={text}"})
        assert (answer.status, answer.body) == (206, data[begin:stop]), text
        assert answer.headers["content-range"] == f"bytes {begin}-{stop - 1}/{end}"
    assert (await _ask(get, headers={"Range": f"bytes={end}-"})).status == 416


@case("DATA_PLANE")
async def a_request_is_good_for_what_was_signed_alone(target: Target) -> None:
    """Another method, path, expiry, type or signature is refused, and reads or stores nothing (I-119, I-150)."""
    client, data = ArtifactsClient(target.channel()), target.fresh("blob").encode()
    get = await client.presign(BlobGet(await client.put_blob(data)))
    other = target.fresh("other").encode()
    put = await client.presign(_put_of(other))
    for request in (get, put):
        for bent in _bent(request.url):
            answer = await _ask(request, url=bent, body=other if request is put else None)
            assert answer.status >= 400, bent
            assert data not in answer.body
        for method in {"GET", "PUT", "POST", "DELETE"} - {request.method}:
            body = other if method in ("PUT", "POST") else None
            answer = await _ask(request, method=method, body=body, bare=body is None)
            assert answer.status >= 400, method
            assert data not in answer.body
    elsewhere = await client.presign(_put_of(other + b"!"))
    query = urlsplit(elsewhere.url).query
    answer = await _ask(put, url=urlunsplit(urlsplit(put.url)._replace(query=query)), body=other)
    assert answer.status >= 400
    assert (await _ask(get)).body == data
    assert await client.find_missing([Cid.of(other)]) == [Cid.of(other)]


@case("DATA_PLANE")
async def an_upload_is_exactly_what_was_announced(target: Target) -> None:
    """Other bytes, length, type or SHA-256 are refused, and nothing is stored; the right ones still may be (I-120)."""
    client, data = ArtifactsClient(target.channel()), target.fresh("blob").encode()
    item = BlobPut(Cid.of(data), len(data), "text/plain", hashlib.sha256(data).hexdigest())
    put = await client.presign(item)
    for name in put.headers:
        if name not in ("Content-Length", "Host"):
            answer = await _ask(put, without=name, body=data)
            assert answer.status >= 400, name
    assert (await _ask(put, headers={"Content-Type": "text/html"}, body=data)).status >= 400
    assert (await _ask(put, body=data[::-1])).status >= 400
    assert (await _ask(put, headers={"Content-Length": str(len(data) + 1)}, body=data + b"!")).status >= 400
    wrong = await client.presign(BlobPut(item.cid, item.size_bytes, item.content_type, "0" * 64))
    assert (await _ask(wrong, body=data)).status >= 400
    assert await client.find_missing([item.cid]) == [item.cid]
    (answer_of_commit,) = await client.commit_uploads([put.upload_id])
    refused(answer_of_commit, NotFound, "UPLOAD_UNKNOWN")
    await _stored(put, data)
    assert await client.commit_uploads([put.upload_id]) == [(item.cid, item.size_bytes)]


@case("DATA_PLANE")
async def an_upload_is_stored_once(target: Target) -> None:
    """A PUT after the blob is stored is 412; committing again says the same (I-120)."""
    client, data = ArtifactsClient(target.channel()), target.fresh("blob").encode()
    put = await client.presign(_put_of(data))
    await _stored(put, data)
    for _ in range(2):
        assert (await _ask(put, body=data)).status == 412
        assert await client.commit_uploads([put.upload_id]) == [(Cid.of(data), len(data))]


@case("DATA_PLANE")
async def a_broken_upload_goes_on_where_it_stands(target: Target) -> None:
    """HEAD tells how much has arrived, PATCH at that byte appends, at any other it is 409 (I-121)."""
    client, data = ArtifactsClient(target.channel()), _bytes(target, 1 << 20)
    plane = (await client.capabilities()).data_plane
    if plane is None or not plane.resumable:
        return
    put = await client.presign(_put_of(data))
    assert await _standing(put) == 0
    await asyncio.to_thread(_break_off, put, data[:500_000])
    at = await _standing(put)
    assert at <= 500_000
    assert await client.find_missing([Cid.of(data)]) == [Cid.of(data)]
    for wrong in (at + 1, max(0, at - 1)):
        if wrong != at:
            answer = await _append(put, wrong, data[wrong : wrong + 10])
            assert (answer.status, answer.headers["upload-offset"]) == (409, str(at))
    half = at + (len(data) - at) // 2
    assert (await _append(put, at, data[at:half])).status == 204
    assert await _standing(put) == half
    assert (await _append(put, half, data[half:] + b"!")).status == 400
    assert (await _append(put, half, data[half:])).status == 201
    assert await _standing(put) == len(data)
    assert await client.commit_uploads([put.upload_id]) == [(Cid.of(data), len(data))]
    assert await client.get_blob(Cid.of(data)) == data


@case("DATA_PLANE", "CLOCK")
async def a_request_expires(target: Target) -> None:
    """Behind its expiry a request is refused, and what it has staged is gone; its commit stays true (I-119, I-121)."""
    client, data = ArtifactsClient(target.channel()), target.fresh("blob").encode()
    late = _bytes(target, 1 << 20)
    put, get = await client.presign(_put_of(data), ttl_s=60), None
    await _stored(put, data)
    get = await client.presign(BlobGet(Cid.of(data)), ttl_s=60)
    part = await client.presign(_put_of(late), ttl_s=60)
    await asyncio.to_thread(_break_off, part, late[:1000])
    await target.advance(61)
    assert (await _ask(get)).status == 403
    assert (await _ask(put, body=data)).status == 403
    assert (await _append(part, 1000, late[1000:])).status == 403
    assert await client.commit_uploads([put.upload_id]) == [(Cid.of(data), len(data))]
    assert await client.find_missing([Cid.of(late)]) == [Cid.of(late)]


@case("DATA_PLANE")
async def requests_live_for_an_hour_at_most(target: Target) -> None:
    """More than 3,600 seconds, or less than none, are `Invalid TTL_INVALID`; 0 is 900 (I-89)."""
    stub = ArtifactsServiceStub(target.channel())
    wanted = pb.PresignBlobsRequest.Put(cid=Cid.of(b"x").text, size_bytes=1, sha256=hashlib.sha256(b"x").hexdigest())
    item = pb.PresignBlobsRequest.Item(put=wanted)
    for ttl_s in (-1, 3601, (1 << 31) - 1):
        asked = call(stub.PresignBlobs, pb.PresignBlobsRequest(items=[item], ttl_s=ttl_s))
        await refusal(asked, Invalid, "TTL_INVALID")
    usual, longest = [
        (await call(stub.PresignBlobs, pb.PresignBlobsRequest(items=[item], ttl_s=ttl_s))).results[0].request
        for ttl_s in (0, 3600)
    ]
    assert 2600 <= longest.expire_time.seconds - usual.expire_time.seconds <= 2800


@case("DATA_PLANE")
async def a_bad_item_spoils_no_other_request(target: Target) -> None:
    """Each item has its own answer, in order, and a batch has 1 to 100 (I-86, I-89)."""
    client, stub = ArtifactsClient(target.channel()), ArtifactsServiceStub(target.channel())
    stored = (await client.put_blob(target.fresh("blob").encode())).text
    most = (await client.capabilities()).max_blob_bytes
    get, put, bound = pb.PresignBlobsRequest.Get, pb.PresignBlobsRequest.Put, pb.PresignBlobsRequest.Bound
    made = pb.PresignBlobsRequest.Item
    items = [
        (made(get=get(cid=stored)), ""),
        (made(), "FIELD_INVALID"),
        (made(get=get()), "FIELD_INVALID"),
        (made(get=get(cid="b3:x")), "CID_INVALID"),
        (made(get=get(cid=Cid.of(target.fresh("none").encode()).text)), "BLOB_UNKNOWN"),
        (made(get=get(bound=bound(world="w", world_path="/artifacts/../a"))), "PATH_INVALID"),
        (made(get=get(bound=bound(world="-", world_path="/artifacts/a"))), "WORLD_INVALID"),
        (made(get=get(bound=bound(world=target.fresh("w"), world_path="/artifacts/a"))), "ARTIFACT_UNKNOWN"),
        (made(put=put(cid=stored, size_bytes=-1)), "FIELD_INVALID"),
        (made(put=put(cid=stored, size_bytes=most + 1)), "BLOB_TOO_LARGE"),
        (made(put=put(cid=stored, size_bytes=1, content_type="a\r\nb: c")), "FIELD_INVALID"),
        (made(put=put(cid=stored, size_bytes=1, sha256="0" * 63)), "FIELD_INVALID"),
        (made(get=get(cid=stored)), ""),
    ]
    response = await call(stub.PresignBlobs, pb.PresignBlobsRequest(items=[item for item, _ in items]))
    assert [result.status.reason for result in response.results] == [reason for _, reason in items]
    for count in (0, 101):
        await refusal(
            call(stub.PresignBlobs, pb.PresignBlobsRequest(items=[items[0][0]] * count)), Invalid, "BATCH_SIZE"
        )
        await refusal(
            call(stub.CommitUploads, pb.CommitUploadsRequest(upload_ids=["x"] * count)), Invalid, "BATCH_SIZE"
        )


@case("DATA_PLANE")
async def only_uploads_of_this_service_are_committed(target: Target) -> None:
    """A text that was not handed out is `Invalid ID_INVALID`; an upload that did not come, `NotFound` (I-120)."""
    client, stub = ArtifactsClient(target.channel()), ArtifactsServiceStub(target.channel())
    put = await client.presign(_put_of(target.fresh("blob").encode()))
    bent = put.upload_id[:-1] + ("A" if put.upload_id[-1] != "A" else "B")
    ids = ["", "x", "../../etc", bent, put.upload_id + "=", "\u00e9" * 40, "A" * 5000, put.upload_id]
    results = (await call(stub.CommitUploads, pb.CommitUploadsRequest(upload_ids=ids))).results
    for result in results[:-1]:
        refused(item_error(result.status), Invalid, "ID_INVALID")
    refused(item_error(results[-1].status), NotFound, "UPLOAD_UNKNOWN")


def _put_of(data: bytes) -> BlobPut:
    return BlobPut(Cid.of(data), len(data), sha256=hashlib.sha256(data).hexdigest())


def _bytes(target: Target, size: int) -> bytes:
    mark = target.fresh("large").encode()
    return (mark + bytes(range(256)) * (size // 256 + 1))[:size]


def _bent(url: str) -> list[str]:
    """The URL with each part of it changed."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query)
    urls = [
        urlunsplit(parts._replace(query=urlencode([*query[:at], (name, _turned(value)), *query[at + 1 :]])))
        for at, (name, value) in enumerate(query)
    ]
    urls += [urlunsplit(parts._replace(query=urlencode(query[:at] + query[at + 1 :]))) for at in range(len(query))]
    return [*urls, urlunsplit(parts._replace(path=_turned(parts.path)))]


def _turned(text: str) -> str:
    """`text` with another last character."""
    return text[:-1] + ("1" if text[-1] != "1" else "2")


async def _stored(put: PresignedRequest, data: bytes) -> None:
    answer = await _ask(put, body=data)
    assert answer.status in (200, 201, 204, *((412,) if not data else ())), answer  # others may have stored nothing


async def _standing(put: PresignedRequest) -> int:
    answer = await _ask(put, method="HEAD", bare=True)
    assert answer.status in (200, 204), answer
    return int(answer.headers["upload-offset"])


async def _append(put: PresignedRequest, offset: int, data: bytes) -> _Answer:
    headers = {"Upload-Offset": str(offset), "Content-Length": str(len(data))}
    return await _ask(put, method="PATCH", headers=headers, bare=True, body=data)


async def _ask(
    request: PresignedRequest,
    *,
    url: str | None = None,
    method: str | None = None,
    headers: Mapping[str, str] | None = None,
    without: str | None = None,
    bare: bool = False,
    body: bytes | None = None,
) -> _Answer:
    """The answer to a request, or to what was made of it."""
    sent = {} if bare else {name: value for name, value in request.headers.items() if name != without}
    return await asyncio.to_thread(
        _answer, url or request.url, method or request.method, {**sent, **(headers or {})}, body
    )


def _answer(url: str, method: str, headers: Mapping[str, str], body: bytes | None) -> _Answer:
    connection = _connected(url)
    try:
        connection.request(method, _target_of(url), body, dict(headers))
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return _Answer(response.status, found, response.read())
    finally:
        connection.close()


def _break_off(put: PresignedRequest, part: bytes) -> None:
    """Send the head of a PUT and a part of its body, and go away."""
    connection = _connected(put.url)
    connection.putrequest(put.method, _target_of(put.url), skip_accept_encoding=True)
    for name, value in put.headers.items():
        connection.putheader(name, value)
    connection.endheaders(part)
    connection.close()


def _connected(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)


def _target_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"
