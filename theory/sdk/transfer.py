"""Blobs over HTTP, by requests that a service handed out: one connection at a time, and on from where it broke.

The standard library's client, in a thread: it copies and hashes without the event loop, and needs no package.
"""

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import BinaryIO, TypeAlias
from urllib.parse import urlsplit

from theory.core import errors
from theory.core.cid import Cid, CidHasher
from theory.core.errors import Corrupt, Denied, TheoryError, Unavailable
from theory.core.jcs import parse_object
from theory.core.presign import PresignedRequest

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how many bytes of how many have gone through. After a break it may be told less than before."""

PIECE_BYTES = 256 * 1024
_TIMEOUT_S = 60.0
_CONNECT_S = 10.0
_TRIES = 5
"""How often in a row nothing may go through."""
_PAUSE_S = 0.1
_PROBLEM_BYTES = 4_096

_ERROR_BY_STATUS: Mapping[int, type[TheoryError]] = {
    HTTPStatus.FORBIDDEN: errors.Denied,
    HTTPStatus.NOT_FOUND: errors.NotFound,
    HTTPStatus.CONFLICT: errors.Conflict,
    HTTPStatus.PRECONDITION_FAILED: errors.AlreadyExists,
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: errors.OutOfRange,
    HTTPStatus.TOO_MANY_REQUESTS: errors.Exhausted,
    HTTPStatus.INSUFFICIENT_STORAGE: errors.Exhausted,
}
_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.CONFLICT})
_STORED = frozenset({HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.PRECONDITION_FAILED})


class Unreachable(Exception):
    """Nothing answered at the first try: bytes had better go another way."""


class _Broken(Exception):
    """The connection, or the server behind it, gave up; another try may do better."""


class Transfer:
    """One blob on its way, in either direction. Its methods block; `stop` ends them from another thread.

    They raise `TheoryError`, `Unreachable` where nothing was moved yet, and what the file raises.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        self._progress = progress
        self._stopped = threading.Event()
        self._connection: http.client.HTTPConnection | None = None
        self._answer: http.client.HTTPResponse | None = None
        self._reached = False

    def stop(self) -> None:
        """Have a method that runs in another thread end soon, with an error."""
        self._stopped.set()
        connection = self._connection
        if connection is not None and connection.sock is not None:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)  # closing it would not wake whoever reads

    def put(self, request: PresignedRequest, file: BinaryIO, *, resumable: bool) -> None:
        """Send what `file` holds from its position on; `file` can be rewound.

        Returns where the store has the bytes, whoever sent them. `Unavailable` (`SERVICE_UNREACHABLE`) where it breaks
        again and again; otherwise what the store said.
        """
        start, sent, best, known = file.tell(), 0, 0, True
        tries = _TRIES
        while True:
            try:
                if not known:
                    sent, known = self._standing(request), True
                    if sent == request.size_bytes:
                        return
                    if sent > best:
                        best, tries = sent, _TRIES
                file.seek(start + sent)
                self._send(request, file, sent)
            except _Broken as error:
                known = not resumable
                sent, tries = 0, tries - 1
                self._pause(tries, error)
            else:
                return

    def get(self, request: PresignedRequest, cid: Cid, into: BinaryIO) -> int:
        """Write the blob to `into`, front to back, and return its length.

        `Corrupt` (`BLOB_CORRUPT`) where what arrived is not the CID's; other errors as in `put`.
        """
        hasher = CidHasher()
        tries = _TRIES
        while True:
            before = hasher.size_bytes
            try:
                self._receive(request, hasher, into)
            except _Broken as error:
                tries = _TRIES if hasher.size_bytes > before else tries - 1
                self._pause(tries, error)
            else:
                break
        if hasher.cid() != cid:
            raise Corrupt("BLOB_CORRUPT", "the bytes that arrived do not hash to their CID", cid=cid.text)
        return hasher.size_bytes

    def _send(self, request: PresignedRequest, file: BinaryIO, offset: int) -> None:
        """The rest of the blob, from `offset` on."""
        left = request.size_bytes - offset
        headers = dict(request.headers)
        if offset:
            headers = {"Upload-Offset": str(offset), "Content-Length": str(left)}
        refused = None
        connection = self._begin(request, "PATCH" if offset else request.method, headers)
        try:
            while left:
                piece = file.read(min(PIECE_BYTES, left))
                if not piece:
                    message = "the file is not as long as announced"
                    size = str(request.size_bytes - left)
                    raise errors.Invalid("SIZE_MISMATCH", message, expected=str(request.size_bytes), actual=size)
                self._require_running()
                try:
                    connection.send(piece)
                except OSError as error:
                    refused = error  # the answer, if there is one, says why
                    break
                left -= len(piece)
                self._tell(request.size_bytes - left, request.size_bytes)
            response = self._response(refused)
            if response.status not in _STORED:
                raise _problem(response)
        finally:
            self._close()

    def _standing(self, request: PresignedRequest) -> int:
        """How many bytes of an upload have arrived."""
        self._begin(request, "HEAD", {})
        try:
            response = self._response(None)
            if response.status not in (HTTPStatus.OK, HTTPStatus.NO_CONTENT):
                raise _problem(response)
            offset = response.headers.get("Upload-Offset", "")
            if not offset.isdigit():
                raise _foreign(response.status)
            return int(offset)
        finally:
            self._close()

    def _receive(self, request: PresignedRequest, hasher: CidHasher, into: BinaryIO) -> None:
        """The rest of the blob, behind what `hasher` has seen."""
        offset = hasher.size_bytes
        if offset and offset == request.size_bytes:
            return
        self._begin(request, request.method, {"Range": f"bytes={offset}-"} if offset else {})
        try:
            response = self._response(None)
            if response.status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
                raise _problem(response)
            skip = offset if response.status == HTTPStatus.OK else 0  # a server need not know ranges
            buffer = memoryview(bytearray(PIECE_BYTES))
            while size := self._read(response, buffer):
                passed, skip = min(skip, size), max(0, skip - size)
                piece = buffer[passed:size]
                hasher.update(piece)
                _write(into, piece)
                self._tell(hasher.size_bytes, request.size_bytes)
            if hasher.size_bytes < request.size_bytes:
                raise _Broken("the connection ended before the blob did")
        finally:
            self._close()

    def _begin(self, request: PresignedRequest, method: str, headers: Mapping[str, str]) -> http.client.HTTPConnection:
        self._require_running()
        parts = urlsplit(request.url)
        host = parts.hostname or ""
        if parts.scheme == "https":
            context = ssl.create_default_context()
            made: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, parts.port, timeout=_CONNECT_S, context=context
            )
        else:
            made = http.client.HTTPConnection(host, parts.port, timeout=_CONNECT_S)
        try:
            made.connect()
        except OSError as error:
            made.close()
            if self._reached:
                raise _Broken("nothing answers any more") from error
            raise Unreachable from error
        made.sock.settimeout(_TIMEOUT_S)
        self._connection, self._reached = made, True
        try:
            made.putrequest(method, f"{parts.path}?{parts.query}", skip_accept_encoding=True)
            for name, value in headers.items():
                made.putheader(name, value)
            made.endheaders()
        except OSError as error:
            self._close()
            raise _Broken("the connection broke") from error
        return made

    def _response(self, refused: OSError | None) -> http.client.HTTPResponse:
        try:
            if self._connection is None:
                raise _Broken("the transfer was stopped")
            self._answer = self._connection.getresponse()
            return self._answer
        except (OSError, http.client.HTTPException) as error:
            raise _Broken("the connection broke") from (refused or error)

    def _read(self, response: http.client.HTTPResponse, buffer: memoryview) -> int:
        self._require_running()
        try:
            return response.readinto(buffer)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise _Broken("the connection broke") from error

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.close()
        if connection is not None:
            connection.close()

    def _pause(self, tries: int, error: _Broken) -> None:
        """Wait before the next of `tries`; raise where none is left."""
        if tries <= 0:
            message = f"the data plane broke off {_TRIES} times in a row: {error}"
            raise Unavailable("SERVICE_UNREACHABLE", message) from error
        self._stopped.wait(_PAUSE_S * 2 ** (_TRIES - tries))
        self._require_running()

    def _require_running(self) -> None:
        if self._stopped.is_set():
            raise Unavailable("SERVICE_UNREACHABLE", "the transfer was stopped")

    def _tell(self, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress(done, total)


def expired(error: TheoryError) -> bool:
    """Whether another request, freshly handed out, would do."""
    return isinstance(error, Denied) and error.reason in ("URL_EXPIRED", "FOREIGN_STATUS")


def _problem(response: http.client.HTTPResponse) -> Exception:
    """What to raise for an answer that is no success."""
    status = response.status
    if status in _AGAIN or status in (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE):
        return _Broken(f"the data plane answered {status}")
    try:
        said = parse_object(response.read(_PROBLEM_BYTES))
        reason, message = said["reason"], said["message"]
    except (OSError, http.client.HTTPException, TheoryError, KeyError):
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:  # by which a store of others asks to try again
            return _Broken(f"the data plane answered {status}")
        return _foreign(status)
    if not isinstance(reason, str) or not isinstance(message, str):
        return _foreign(status)
    return _kind(status)(reason, message)


def _foreign(status: int) -> TheoryError:
    return _kind(status)("FOREIGN_STATUS", f"the data plane answered {status}", code=str(status))


def _kind(status: int) -> type[TheoryError]:
    usual = errors.Invalid if status < HTTPStatus.INTERNAL_SERVER_ERROR else errors.Unavailable
    return _ERROR_BY_STATUS.get(status, usual)


def _write(file: BinaryIO, piece: memoryview) -> None:
    while piece:
        piece = piece[file.write(piece) :]
