"""One blob over HTTP, against a server that says what a test wants: other stores than ours answer, too."""

import io
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from theory.core import errors
from theory.core.cid import Cid
from theory.core.errors import Corrupt, Denied, TheoryError, Unavailable
from theory.core.presign import PresignedRequest
from theory.sdk import transfer
from theory.sdk.transfer import Transfer, Unreachable, expired

DATA = bytes(range(256)) * 40


class Store(ThreadingHTTPServer):
    """Answers as `answer` says, and keeps what it was sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer: Callable[[Handler], None] = lambda handler: handler.say(200)
        self.seen: list[tuple[str, str | None]] = []
        self.body = b""

    def request(self, method: str, size: int = len(DATA)) -> PresignedRequest:
        headers = {"Content-Length": str(size), "X-Signed": "1"} if method == "PUT" else {}
        url = f"http://127.0.0.1:{self.server_port}/x?signature=s"
        return PresignedRequest(url, method, headers, datetime(2026, 1, 1, tzinfo=UTC), size, "id")


class Handler(BaseHTTPRequestHandler):
    server: Store

    def log_message(self, *args: object) -> None:
        pass

    def say(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _any(self) -> None:
        self.server.seen.append((self.command, self.headers.get("Upload-Offset") or self.headers.get("Range")))
        self.server.body += self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.server.answer(self)
        self.close_connection = True

    do_GET = do_PUT = do_PATCH = do_HEAD = _any  # noqa: N815 - the standard library's


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(transfer, "_PAUSE_S", 0.0)
    server = Store()
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    yield server
    server.shutdown()
    serving.join()
    server.server_close()


@pytest.mark.parametrize("status", [200, 201, 412])
def test_what_is_stored_by_whomever_is_stored(store: Store, status: int) -> None:
    store.answer = lambda handler: handler.say(status)
    Transfer().put(store.request("PUT"), io.BytesIO(DATA), resumable=True)
    assert (store.seen, store.body) == ([("PUT", None)], DATA)


def test_a_file_is_sent_from_where_it_stands(store: Store) -> None:
    file = io.BytesIO(b"before" + DATA)
    file.seek(6)
    Transfer().put(store.request("PUT"), file, resumable=True)
    assert store.body == DATA


def test_a_file_that_ends_early_is_refused(store: Store) -> None:
    with pytest.raises(errors.Invalid) as refused:
        Transfer().put(store.request("PUT"), io.BytesIO(DATA[:-1]), resumable=True)
    assert refused.value.metadata == {"expected": str(len(DATA)), "actual": str(len(DATA) - 1)}


def test_progress_ends_with_the_length(store: Store) -> None:
    told: list[tuple[int, int]] = []
    Transfer(lambda done, total: told.append((done, total))).put(store.request("PUT"), io.BytesIO(DATA), resumable=True)
    assert told[-1] == (len(DATA), len(DATA))


def test_an_upload_goes_on_where_the_store_says_it_stands(store: Store) -> None:
    def answer(handler: Handler) -> None:
        match handler.command:
            case "PUT":
                handler.say(503)
            case "HEAD":
                handler.say(204, Upload_Offset="100")
            case _:
                handler.say(201)

    store.answer = answer
    Transfer().put(store.request("PUT"), io.BytesIO(DATA), resumable=True)
    assert store.seen == [("PUT", None), ("HEAD", None), ("PATCH", "100")]
    assert store.body == DATA + DATA[100:]


def test_an_upload_that_turns_out_to_have_arrived_is_done(store: Store) -> None:
    store.answer = lambda handler: (
        handler.say(503) if handler.command == "PUT" else handler.say(200, Upload_Offset=str(len(DATA)))
    )
    Transfer().put(store.request("PUT"), io.BytesIO(DATA), resumable=True)
    assert [method for method, _ in store.seen] == ["PUT", "HEAD"]


def test_a_store_that_cannot_go_on_gets_all_of_it_again(store: Store) -> None:
    # 500 is what other stores say where ours says 503.
    store.answer = lambda handler: handler.say({1: 503, 2: 500}.get(len(store.seen), 200))
    Transfer().put(store.request("PUT"), io.BytesIO(DATA), resumable=False)
    assert store.seen == [("PUT", None)] * 3
    assert store.body == DATA * 3


@pytest.mark.parametrize("resumable", [True, False])
def test_a_store_that_breaks_again_and_again_is_given_up(store: Store, resumable: bool) -> None:
    store.answer = lambda handler: handler.say(503)
    with pytest.raises(Unavailable) as gave_up:
        Transfer().put(store.request("PUT"), io.BytesIO(DATA), resumable=resumable)
    assert gave_up.value.reason == "SERVICE_UNREACHABLE"
    assert len(store.seen) == 5


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason"),
    [
        (403, b'{"reason":"URL_EXPIRED","message":"m"}', Denied, "URL_EXPIRED"),
        (400, b'{"reason":"CID_MISMATCH","message":"m"}', errors.Invalid, "CID_MISMATCH"),
        (507, b'{"reason":"DISK_FULL","message":"m"}', errors.Exhausted, "DISK_FULL"),
        (404, b'{"reason":"BLOB_UNKNOWN","message":"m"}', errors.NotFound, "BLOB_UNKNOWN"),
        (403, b"<Error><Code>AccessDenied</Code></Error>", Denied, "FOREIGN_STATUS"),
        (400, b'{"reason":1,"message":"m"}', errors.Invalid, "FOREIGN_STATUS"),
        (500, b'{"reason":"BLOB_CORRUPT","message":"m"}', Unavailable, "BLOB_CORRUPT"),
        (501, b"<Error/>", Unavailable, "FOREIGN_STATUS"),
    ],
)
def test_a_refusal_is_the_error_that_it_says(
    store: Store, status: int, body: bytes, kind: type[TheoryError], reason: str
) -> None:
    store.answer = lambda handler: handler.say(status, body)
    for move in (
        lambda: Transfer().put(store.request("PUT"), io.BytesIO(DATA), resumable=True),
        lambda: Transfer().get(store.request("GET"), Cid.of(DATA), io.BytesIO()),
    ):
        with pytest.raises(kind) as refused:
            move()
        assert refused.value.reason == reason


def test_a_download_goes_on_behind_what_came(store: Store) -> None:
    def answer(handler: Handler) -> None:
        if len(store.seen) == 1:
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(DATA)))
            handler.end_headers()
            handler.wfile.write(DATA[:1000])
        else:
            handler.say(206, DATA[1000:])

    store.answer = answer
    into = io.BytesIO()
    assert Transfer().get(store.request("GET"), Cid.of(DATA), into) == len(DATA)
    assert (into.getvalue(), store.seen) == (DATA, [("GET", None), ("GET", "bytes=1000-")])


def test_a_store_without_ranges_is_read_again_and_written_once(store: Store) -> None:
    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(DATA)))
        handler.end_headers()
        handler.wfile.write(DATA[:1000] if len(store.seen) == 1 else DATA)

    store.answer = answer
    into = io.BytesIO()
    assert Transfer().get(store.request("GET"), Cid.of(DATA), into) == len(DATA)
    assert into.getvalue() == DATA


def test_other_bytes_than_the_cids_are_corrupt(store: Store) -> None:
    store.answer = lambda handler: handler.say(200, DATA[::-1])
    with pytest.raises(Corrupt) as refused:
        Transfer().get(store.request("GET"), Cid.of(DATA), io.BytesIO())
    assert refused.value.metadata == {"cid": Cid.of(DATA).text}


def test_nobody_there_is_unreachable(store: Store) -> None:
    with pytest.raises(Unreachable):
        Transfer().get(
            PresignedRequest("http://127.0.0.1:1/x?s", "GET", {}, datetime(2026, 1, 1, tzinfo=UTC), 1),
            Cid.of(b"x"),
            io.BytesIO(),
        )
    assert store.seen == []


def test_a_transfer_that_was_stopped_moves_nothing(store: Store) -> None:
    one = Transfer()
    one.stop()
    with pytest.raises(Unavailable):
        one.put(store.request("PUT"), io.BytesIO(DATA), resumable=True)
    assert store.seen == []


def test_only_a_request_of_its_time_is_asked_for_again() -> None:
    assert expired(Denied("URL_EXPIRED", "m"))
    assert not expired(Denied("URL_SIGNATURE", "m"))
    assert not expired(errors.Invalid("FIELD_INVALID", "m"))
