"""S3 in memory, on loopback: as good as its promises, or as bad as a test wants it.

It knows the requests that our adapter sends and no signatures. What each fault does is said at its name.
"""

import base64
import hashlib
import re
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

BUCKET = "theory"
_NO_SUCH_KEY = (HTTPStatus.NOT_FOUND, "NoSuchKey")
_NO_SUCH_UPLOAD = (HTTPStatus.NOT_FOUND, "NoSuchUpload")
_TAKEN = (HTTPStatus.PRECONDITION_FAILED, "PreconditionFailed")
_ALTERED = (HTTPStatus.BAD_REQUEST, "BadDigest")

IGNORE_CONDITION = "ignores If-None-Match"
IGNORE_CHECKSUM = "takes bytes with a wrong checksum"
IGNORE_CONDITION_OF_PARTS = "ignores If-None-Match of an upload in parts"
KEEP_THE_LAST = "tells the first writer that it won, and keeps the bytes of the last"
"""Faults that last: what a store may be made with."""


class Refusal(Exception):
    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


@dataclass
class Object:
    data: bytes
    time: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass
class Upload:
    key: str
    parts: dict[int, bytes] = field(default_factory=dict)
    time: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass
class _Fault:
    method: str
    key: str
    status: int
    code: str
    """Empty: the deed is done and the connection is cut before the answer."""
    left: int


class FakeS3:
    """One bucket. `faults` last; `refuse` and `lose` are for the next requests."""

    def __init__(self, *faults: str) -> None:
        self.faults = frozenset(faults)
        self.objects: dict[str, Object] = {}
        self.uploads: dict[str, Upload] = {}
        self.requests: list[str] = []
        """Each request that came, as `PUT key`; parts and questions of uploads as `PUT key?partNumber&uploadId`."""
        self.before: Callable[[str], object] = lambda _: None
        """Called with each request, on its own thread, before anything is done."""
        self._planned: list[_Fault] = []
        self._lock = threading.RLock()
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def address(self, prefix: str = "") -> str:
        return f"s3://{BUCKET}/{prefix}?endpoint={self.url}&region=eu-central-1"

    def refuse(self, method: str, status: int, code: str, *, times: int = 1, key: str = "") -> None:
        """The next requests of that method, for keys that hold `key`, are refused, and nothing is done."""
        self._planned.append(_Fault(method, key, status, code, times))

    def lose(self, method: str, *, times: int = 1, key: str = "") -> None:
        """The next requests of that method are carried out, and their answers are lost with the connection."""
        self._planned.append(_Fault(method, key, 0, "", times))

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def planned(self, method: str, key: str) -> _Fault | None:
        with self._lock:
            for each in self._planned:
                if each.left and each.method == method and each.key in key:
                    each.left -= 1
                    return each
        return None

    def put(self, key: str, data: bytes, headers: Any) -> dict[str, str]:
        with self._lock:
            self._check(data, headers)
            taken = key in self.objects
            if headers["If-None-Match"] == "*" and taken and IGNORE_CONDITION not in self.faults:
                if KEEP_THE_LAST in self.faults:
                    self.objects[key] = Object(data)
                raise Refusal(*_TAKEN)
            self.objects[key] = Object(data)
        return {"ETag": _tag(data)}

    def object(self, key: str) -> bytes:
        with self._lock:
            if key not in self.objects:
                raise Refusal(*_NO_SUCH_KEY)
            return self.objects[key].data

    def delete(self, key: str) -> None:
        with self._lock:
            self.objects.pop(key, None)

    def begin(self, key: str) -> str:
        with self._lock:
            name = f"u{len(self.uploads)}-{len(self.requests)}"
            self.uploads[name] = Upload(key)
        return name

    def upload(self, name: str) -> Upload:
        if name not in self.uploads:
            raise Refusal(*_NO_SUCH_UPLOAD)
        return self.uploads[name]

    def part(self, name: str, number: int, data: bytes, headers: Any) -> str:
        with self._lock:
            self._check(data, headers)
            self.upload(name).parts[number] = data
        return _tag(data)

    def complete(self, name: str, headers: Any) -> None:
        with self._lock:
            upload = self.upload(name)
            conditional = headers["If-None-Match"] == "*" and IGNORE_CONDITION_OF_PARTS not in self.faults
            if conditional and upload.key in self.objects:
                raise Refusal(*_TAKEN)
            self.objects[upload.key] = Object(b"".join(data for _, data in sorted(upload.parts.items())))
            del self.uploads[name]

    def abort(self, name: str) -> None:
        with self._lock:
            self.upload(name)
            del self.uploads[name]

    def _check(self, data: bytes, headers: Any) -> None:
        claimed = headers["x-amz-checksum-sha256"]
        actual = base64.b64encode(hashlib.sha256(data).digest()).decode()
        if claimed is not None and claimed != actual and IGNORE_CHECKSUM not in self.faults:
            raise Refusal(*_ALTERED)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, store: FakeS3) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.store = store


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        """Tests say what they saw."""

    def handle(self) -> None:
        with suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        self._serve(self._get)

    def do_HEAD(self) -> None:
        self._serve(self._get)

    def do_PUT(self) -> None:
        self._serve(self._put)

    def do_POST(self) -> None:
        self._serve(self._post)

    def do_DELETE(self) -> None:
        self._serve(self._delete)

    def _serve(self, work: Callable[[], tuple[int, dict[str, str], bytes]]) -> None:
        parts = urlsplit(self.path)
        _, self._bucket, self._key = (*unquote(parts.path).split("/", 2), "", "")[:3]
        self._asked = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        self._body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        store = self.server.store
        said = f"{self.command} {self._key}" + ("?" + "&".join(sorted(self._asked)) if self._asked else "")
        store.requests.append(said)
        store.before(said)
        fault = store.planned(self.command, self._key)
        try:
            if fault is not None and fault.code:
                raise Refusal(fault.status, fault.code)
            if self._bucket != BUCKET:
                raise Refusal(HTTPStatus.NOT_FOUND, "NoSuchBucket")
            status, headers, body = work()
        except Refusal as refusal:
            status, headers = refusal.status, {"Content-Type": "application/xml"}
            body = f"<Error><Code>{refusal.code}</Code><Message>no</Message></Error>".encode()
        if fault is not None and not fault.code:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _get(self) -> tuple[int, dict[str, str], bytes]:
        store = self.server.store
        if "uploads" in self._asked:
            found = [
                _xml("Upload", Key=each.key, UploadId=name, Initiated=_stamp(each.time))
                for name, each in store.uploads.items()
                if each.key.startswith(self._asked["prefix"])
            ]
            return _listing("ListMultipartUploadsResult", found)
        if not self._key and self.command == "GET":
            found = [
                _xml("Contents", Key=key, LastModified=_stamp(each.time), Size=str(len(each.data)))
                for key, each in sorted(store.objects.items())
                if key.startswith(self._asked["prefix"]) and key > self._asked.get("start-after", "")
            ]
            return _listing("ListBucketResult", found[: min(PAGE, int(self._asked.get("max-keys", str(PAGE))))])
        if not self._key:
            return HTTPStatus.OK, {}, b""
        data = store.object(self._key)
        if (wanted := self.headers["Range"]) is None:
            return HTTPStatus.OK, {"ETag": _tag(data)}, data
        begin, end = _range(wanted)
        if begin >= len(data):
            raise Refusal(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "InvalidRange")
        return HTTPStatus.PARTIAL_CONTENT, {"ETag": _tag(data)}, data[begin:end]

    def _put(self) -> tuple[int, dict[str, str], bytes]:
        store = self.server.store
        if "uploadId" not in self._asked:
            return HTTPStatus.OK, store.put(self._key, self._body, self.headers), b""
        name, number = self._asked["uploadId"], int(self._asked["partNumber"])
        if (source := self.headers["x-amz-copy-source"]) is None:
            return HTTPStatus.OK, {"ETag": store.part(name, number, self._body, self.headers)}, b""
        begin, end = _range(self.headers["x-amz-copy-source-range"])
        data = store.object(unquote(source).lstrip("/").removeprefix(f"{BUCKET}/"))[begin:end]
        tag = store.part(name, number, data, self.headers)
        return HTTPStatus.OK, {}, _xml("CopyPartResult", ETag=tag).encode()

    def _post(self) -> tuple[int, dict[str, str], bytes]:
        store = self.server.store
        if "uploads" in self._asked:
            name = store.begin(self._key)
            return HTTPStatus.OK, {}, _xml("InitiateMultipartUploadResult", UploadId=name).encode()
        store.complete(self._asked["uploadId"], self.headers)
        return HTTPStatus.OK, {}, _xml("CompleteMultipartUploadResult", Key=self._key, ETag="x").encode()

    def _delete(self) -> tuple[int, dict[str, str], bytes]:
        if "uploadId" in self._asked:
            self.server.store.abort(self._asked["uploadId"])
        else:
            self.server.store.delete(self._key)
        return HTTPStatus.NO_CONTENT, {}, b""


def _xml(name: str, **values: str) -> str:
    return f"<{name}>{''.join(f'<{key}>{value}</{key}>' for key, value in values.items())}</{name}>"


PAGE = 1_000
"""The most objects of one answer; nobody here asks for the next one by its token."""


def _listing(name: str, found: Sequence[str]) -> tuple[int, dict[str, str], bytes]:
    return HTTPStatus.OK, {}, f"<{name}><IsTruncated>false</IsTruncated>{''.join(found)}</{name}>".encode()


def _range(text: str) -> tuple[int, int]:
    begin, end = re.fullmatch(r"bytes=(\d+)-(\d+)", text).groups()  # type: ignore[union-attr] # ours are so
    return int(begin), int(end) + 1


def _tag(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest()}"'


def _stamp(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z")
