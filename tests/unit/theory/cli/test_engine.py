"""One question to a container engine."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from theory.cli import engine


@contextmanager
def _answering(path: Path, answer: bytes) -> Iterator[str]:
    """A socket that gives one answer."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"unix://{path}"
        thread.join()


@pytest.fixture
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("e") / "s"


def test_an_engine_tells_its_version(path: Path) -> None:
    answer = b"HTTP/1.1 200 OK\r\nServer: Docker/20.10.24 (linux)\r\nContent-Length: 2\r\n\r\nOK"
    with _answering(path, answer) as where:
        assert engine.version(where) == "20.10.24"


@pytest.mark.parametrize("answer", [b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", b"hello\r\n\r\n", b""])
def test_what_is_no_engine_is_none(path: Path, answer: bytes) -> None:
    with _answering(path, answer) as where, pytest.raises(OSError, match=str(path)):
        engine.version(where)


@pytest.mark.parametrize("where", ["unix:///no/such/socket", "ssh://host", "tcp://127.0.0.1:1"])
def test_where_nothing_answers_there_is_none(where: str) -> None:
    with pytest.raises(OSError, match=f"no container engine answers at {where}"):
        engine.version(where)


def test_the_usual_socket_is_asked_where_nothing_is_said() -> None:
    assert engine.address(None) == "unix:///var/run/docker.sock"
