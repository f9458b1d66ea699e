"""The data plane over real HTTP: what it refuses and how, what it does with broken, slow and silent clients."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from services.artifacts.assembly import assemble
from services.artifacts.config import ArtifactsConfig
from services.artifacts.plane import pace
from tests.integration.relay import free_port, relayed
from theory.core.cid import Cid
from theory.core.errors import Corrupt, Unavailable
from theory.core.presign import BlobGet, BlobPut, PresignedRequest
from theory.sdk.artifacts import ArtifactsClient
from theory.wire.server import running

IDLE_S = 0.3
DATA = bytes(range(256)) * 64
LARGE = bytes(range(256)) * 20_000
HUGE = bytes(range(256)) * 100_000
"""More than the buffers of a connection hold."""

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def reason(self) -> str:
        document = json.loads(self.body)
        assert set(document) == {"reason", "message"}
        assert document["message"]
        return str(document["reason"])


@pytest.fixture(params=["memory:", "file"])
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ArtifactsClient]:
    blobs = request.param if request.param == "memory:" else (tmp_path / "blobs").as_uri()
    config = {"home": tmp_path, "blobs_url": blobs, "database_url": "memory:", "data_idle_s": IDLE_S}
    async with running([await assemble(ArtifactsConfig.load(config))]) as server:
        yield ArtifactsClient(server.channel())


async def raw(url: str, request: bytes, *, then: bytes = b"", pause_s: float = 0) -> bytes:
    """All that comes back for bytes that are sent as they are."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(request)
        await writer.drain()
        if then:
            await asyncio.sleep(pause_s)
            writer.write(then)
        async with asyncio.timeout(20):
            return await reader.read()
    finally:
        writer.close()


async def ask(request: PresignedRequest, method: str, headers: Mapping[str, str], body: bytes = b"") -> Reply:
    parts = urlsplit(request.url)
    lines = [f"{method} {parts.path}?{parts.query} HTTP/1.1", "Host: h", "Connection: close"]
    head = "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items())])
    return parsed(await raw(request.url, f"{head}\r\n\r\n".encode() + body))


def parsed(data: bytes) -> Reply:
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Reply(int(first.split()[1]), headers, body)


def put_of(data: bytes) -> BlobPut:
    return BlobPut(Cid.of(data), len(data), "text/plain")


# What is changed of the headers of a good PUT, and what is answered.
BAD_PUTS: Mapping[str, tuple[Mapping[str, str | None], int, str]] = {
    "no length": ({"Content-Length": None}, 411, "FIELD_INVALID"),
    "no length, chunked": ({"Content-Length": None, "Transfer-Encoding": "chunked"}, 411, "FIELD_INVALID"),
    "too short": ({"Content-Length": str(len(DATA) - 1)}, 400, "SIZE_MISMATCH"),
    "too long": ({"Content-Length": str(len(DATA) + 1)}, 400, "SIZE_MISMATCH"),
    "endless": ({"Content-Length": "9" * 18}, 400, "SIZE_MISMATCH"),
    "no type": ({"Content-Type": None}, 400, "FIELD_INVALID"),
    "another type": ({"Content-Type": "text/html"}, 400, "FIELD_INVALID"),
    "a type with more to it": ({"Content-Type": "text/plain; charset=utf-8"}, 400, "FIELD_INVALID"),
    "unconditional": ({"If-None-Match": None}, 428, "FIELD_INVALID"),
    "conditional on something else": ({"If-None-Match": '"x"'}, 428, "FIELD_INVALID"),
}


@pytest.mark.parametrize("name", BAD_PUTS)
async def test_a_put_that_was_not_announced_is_refused_and_the_next_is_not(client: ArtifactsClient, name: str) -> None:
    changes, status, reason = BAD_PUTS[name]
    put = await client.presign(put_of(DATA))
    headers = {each: value for each, value in {**put.headers, **changes}.items() if value is not None}
    reply = await ask(put, "PUT", headers, _body(headers))
    assert (reply.status, reply.reason) == (status, reason)
    assert reply.headers["content-type"].startswith("application/json")
    assert await client.find_missing([Cid.of(DATA)]) == [Cid.of(DATA)]
    assert (await ask(put, "PUT", put.headers, DATA)).status == 201


def _body(headers: Mapping[str, str]) -> bytes:
    """What a server takes for the body of such a request, or more."""
    if "Transfer-Encoding" in headers:
        return b"0\r\n\r\n"
    return (DATA + b"!")[: int(headers.get("Content-Length", "0"))]


async def test_other_bytes_than_announced_are_refused(client: ArtifactsClient) -> None:
    put = await client.presign(put_of(DATA))
    reply = await ask(put, "PUT", put.headers, DATA[::-1])
    assert (reply.status, reply.reason) == (400, "CID_MISMATCH")
    assert await client.find_missing([Cid.of(DATA)]) == [Cid.of(DATA)]
    head = await ask(put, "HEAD", {})
    assert (head.status, head.headers["upload-offset"]) == (204, "0")


BAD_PATCHES: Mapping[str, tuple[Mapping[str, str], int, str]] = {
    "no offset": ({"Content-Length": "1"}, 400, "FIELD_INVALID"),
    "no length": ({"Upload-Offset": "0"}, 411, "FIELD_INVALID"),
    "a negative offset": ({"Upload-Offset": "-1", "Content-Length": "1"}, 400, "FIELD_INVALID"),
    "an offset in other digits": ({"Upload-Offset": "\u0661", "Content-Length": "1"}, 400, "FIELD_INVALID"),
    "behind the end": ({"Upload-Offset": str(len(DATA)), "Content-Length": "1"}, 400, "SIZE_MISMATCH"),
    "a gap": ({"Upload-Offset": "5", "Content-Length": "1"}, 409, "UPLOAD_OFFSET"),
}


@pytest.mark.parametrize("name", BAD_PATCHES)
async def test_a_patch_at_another_place_is_refused(client: ArtifactsClient, name: str) -> None:
    headers, status, reason = BAD_PATCHES[name]
    put = await client.presign(put_of(DATA))
    reply = await ask(put, "PATCH", headers, b"x" if "Content-Length" in headers else b"")
    assert (reply.status, reply.reason) == (status, reason)


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "/", 404, "URL_INVALID"),
        ("GET", "/v1/blobs/", 404, "URL_INVALID"),
        ("GET", "/v1/blobs/b3:x", 400, "CID_INVALID"),
        ("GET", "/v1/blobs/../../etc/passwd", 404, "URL_INVALID"),
        ("GET", "/v1/blobs/%2e%2e%2fetc", 400, "CID_INVALID"),
        ("GET", f"/v1/blobs/{Cid.of(b'x')}", 403, "URL_SIGNATURE"),
        ("GET", f"/v1/blobs/{Cid.of(b'x')}?expires=99999999999&signature=", 403, "URL_SIGNATURE"),
        ("GET", f"/v1/blobs/{Cid.of(b'x')}?expires=-1&type=a/b&signature=x", 403, "URL_SIGNATURE"),
        ("GET", f"/v1/blobs/{Cid.of(b'x')}?expires={'9' * 400}&type=a/b&signature=x", 403, "URL_SIGNATURE"),
        ("DELETE", f"/v1/blobs/{Cid.of(b'x')}", 405, "URL_INVALID"),
        ("POST", "/v1/uploads/x", 405, "URL_INVALID"),
        ("PUT", "/v1/uploads/x?expires=1&signature=x", 403, "URL_SIGNATURE"),
        ("PATCH", "/v1/uploads/%00?expires=1&signature=x", 403, "URL_SIGNATURE"),
    ],
)
async def test_an_address_that_was_not_handed_out_is_refused(
    client: ArtifactsClient, method: str, path: str, status: int, reason: str
) -> None:
    known = await client.presign(put_of(DATA))
    request = f"{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    reply = parsed(await raw(known.url, request.encode()))
    assert (reply.status, reply.reason) == (status, reason)


async def test_a_download_is_conditional_and_knows_ranges(client: ArtifactsClient) -> None:
    cid = await client.put_blob(DATA)
    get = await client.presign(BlobGet(cid))
    for tags in (f'"{cid}"', f'"x", W/"{cid}"', "*"):
        assert (await ask(get, "GET", {"If-None-Match": tags})).status == 304
    whole = await ask(get, "GET", {"If-None-Match": '"x"'})
    assert (whole.status, whole.body, whole.headers["etag"]) == (200, DATA, f'"{cid}"')
    assert whole.headers["x-content-type-options"] == "nosniff"
    head = await ask(get, "HEAD", {})
    assert (head.status, head.headers["content-length"], head.body) == (200, str(len(DATA)), b"")
    for text in ("bytes=0-1,4-5", "bytes=x", "bytes=5-4", "bytes=-", "pages=1-2", ""):
        assert (await ask(get, "GET", {"Range": text})).body == DATA
    for text in (f"bytes={len(DATA)}-", "bytes=-0"):
        reply = await ask(get, "GET", {"Range": text})
        assert (reply.status, reply.reason) == (416, "RANGE_PAST_END")
        assert reply.headers["content-range"] == f"bytes */{len(DATA)}"
    part = await ask(get, "GET", {"Range": "bytes=1-2", "If-Range": f'"{cid}"'})
    assert (part.status, part.body) == (206, DATA[1:3])
    assert (await ask(get, "GET", {"Range": "bytes=1-2", "If-Range": '"x"'})).status == 200


async def test_a_client_that_stops_sending_is_cut_and_may_go_on(client: ArtifactsClient) -> None:
    put = await client.presign(put_of(LARGE))
    parts = urlsplit(put.url)
    headers = "".join(f"{name}: {value}\r\n" for name, value in put.headers.items())
    head = f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: h\r\n{headers}\r\n".encode()
    reply = parsed(await raw(put.url, head + LARGE[:1000]))
    assert (reply.status, reply.reason) == (408, "CLIENT_SLOW")
    assert await client.find_missing([Cid.of(LARGE)]) == [Cid.of(LARGE)]
    where = await ask(put, "HEAD", {})
    assert (where.headers["upload-offset"], where.headers["upload-length"]) == ("1000", str(len(LARGE)))
    rest = {"Upload-Offset": "1000", "Content-Length": str(len(LARGE) - 1000)}
    assert (await ask(put, "PATCH", rest, LARGE[1000:])).status == 201
    assert await client.get_blob(Cid.of(LARGE)) == LARGE


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: h\r\nX"])
async def test_a_client_that_never_asks_is_cut(client: ArtifactsClient, sent: bytes) -> None:
    url = (await client.presign(put_of(DATA))).url
    with contextlib.suppress(ConnectionResetError):  # as good an end
        assert await raw(url, sent) == b""


async def test_a_client_that_stops_reading_is_cut(client: ArtifactsClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "BYTES_PER_S", 1 << 30)
    get = await client.presign(BlobGet(await client.put_blob(HUGE)))
    parts = urlsplit(get.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1024)
    writer.write(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    await asyncio.sleep(4 * IDLE_S)
    came = 0
    with contextlib.suppress(ConnectionResetError):
        while piece := await reader.read(1 << 20):
            came += len(piece)
    writer.close()
    assert came < len(HUGE)
    assert await client.get_blob(Cid.of(HUGE)) == HUGE


async def test_a_later_connection_takes_an_upload_over(client: ArtifactsClient) -> None:
    put = await client.presign(put_of(LARGE))
    parts = urlsplit(put.url)
    headers = "".join(f"{name}: {value}\r\n" for name, value in put.headers.items())
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: h\r\n{headers}\r\n".encode() + LARGE[:100])
    await writer.drain()
    assert (await ask(put, "PUT", put.headers, LARGE)).status == 201
    writer.close()
    with contextlib.suppress(ConnectionResetError):
        assert b" 201 " not in await reader.read()
    assert await client.get_blob(Cid.of(LARGE)) == LARGE


async def test_no_signature_reaches_a_log(client: ArtifactsClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    put = await client.presign(put_of(DATA))
    await ask(put, "PUT", put.headers, DATA)
    get = await client.presign(BlobGet(Cid.of(DATA)))
    await ask(get, "GET", {})
    await ask(get, "BREW", {})
    await raw(get.url, get.url.encode() + b"\r\n\r\n")
    await raw(get.url, b"GET " + get.url.encode() + b" HTTP/1.1\r\nbad header\r\n\r\n")
    signatures = [urlsplit(each.url).query.rpartition("signature=")[2] for each in (put, get)]
    said = [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
    assert [line for line in said for each in signatures if each in line] == []
    assert any("data.request" in line for line in said)


@contextlib.asynccontextmanager
async def behind(home: Path, port: int, public_port: int) -> AsyncIterator[ArtifactsClient]:
    """A client of a store whose data plane listens at one port and is said to be at another."""
    config = {
        "home": home,
        "database_url": "memory:",
        "data_url": f"http://127.0.0.1:{port}",
        "data_public_url": f"http://127.0.0.1:{public_port}",
    }
    async with running([await assemble(ArtifactsConfig.load(config))]) as server:
        yield ArtifactsClient(server.channel())


async def test_the_sdk_goes_on_where_a_connection_broke(tmp_path: Path) -> None:
    told: list[int] = []
    port = free_port()
    async with relayed(port, 1_500_000) as relay, behind(tmp_path, port, relay.port) as client:
        cid = await client.put_blob(LARGE, progress=lambda done, _: told.append(done))
        assert told[-1] == len(LARGE)
        assert relay.connections > len(LARGE) // relay.most_bytes
        relay.connections = 0
        assert await client.get_blob(cid) == LARGE
        assert relay.connections == len(LARGE) // relay.most_bytes + 1


async def test_where_the_data_plane_cannot_be_reached_bytes_go_over_grpc(tmp_path: Path) -> None:
    async with behind(tmp_path, free_port(), free_port()) as client:
        assert await client.get_blob(await client.put_blob(LARGE)) == LARGE


async def test_a_data_plane_that_breaks_again_and_again_is_given_up(tmp_path: Path) -> None:
    port = free_port()
    async with relayed(port, 10) as relay, behind(tmp_path, port, relay.port) as client:
        with pytest.raises(Unavailable) as gave_up:
            await client.put_blob(LARGE)
        assert gave_up.value.reason == "SERVICE_UNREACHABLE"
        assert await client.find_missing([Cid.of(LARGE)]) == [Cid.of(LARGE)]


async def test_a_download_that_is_cancelled_lets_its_file_go(tmp_path: Path) -> None:
    port = free_port()
    async with relayed(port, 1 << 30) as relay, behind(tmp_path, port, relay.port) as client:
        cid = await client.put_blob(LARGE)
        begun = asyncio.Event()
        with (tmp_path / "into").open("wb") as file:
            going = asyncio.create_task(client.download(cid, file, progress=lambda *_: begun.set()))
            await begun.wait()
            going.cancel()
            await asyncio.wait([going])
        assert going.cancelled() or going.done()
        assert await client.get_blob(cid) == LARGE


async def test_bytes_that_changed_on_the_disk_are_not_taken_for_good(tmp_path: Path) -> None:
    async with behind(tmp_path, port := free_port(), port) as client:
        cid = await client.put_blob(LARGE)
        stored = tmp_path / "artifacts" / "blobs" / cid.hex[:2] / cid.hex[2:]
        stored.chmod(0o600)
        stored.write_bytes(LARGE[:-1] + b"!")
        with pytest.raises(Corrupt) as refused:
            await client.get_blob(cid)
        assert refused.value.reason == "BLOB_CORRUPT"
