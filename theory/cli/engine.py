"""Whether a container engine answers: one question over its own socket, so that no client of it is needed here."""

import socket
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

DEFAULT = "unix:///var/run/docker.sock"
_PATIENCE_S = 3.0


def address(docker_host: str | None) -> str:
    """Where the engine is looked for: what `DOCKER_HOST` says, else the usual socket."""
    return docker_host or DEFAULT


def version(docker_host: str | None) -> str:
    """The version of the engine that answers; `OSError` with one sentence where none does."""
    where = address(docker_host)
    try:
        connection = _connection(where)
        try:
            connection.request("GET", "/_ping")
            answer = connection.getresponse()
            answer.read()
        finally:
            connection.close()
    except (OSError, HTTPException, ValueError) as error:
        raise OSError(f"no container engine answers at {where}") from error
    if answer.status != 200:  # noqa: PLR2004 - HTTP's own number
        raise OSError(f"what answers at {where} is no container engine")
    return answer.getheader("Server", "").removeprefix("Docker/").partition(" ")[0] or "unknown"


def _connection(where: str) -> HTTPConnection:
    parts = urlsplit(where)
    if parts.scheme == "unix":
        connection = HTTPConnection("localhost", timeout=_PATIENCE_S)
        connection.sock = _unix(parts.path)
        return connection
    if parts.scheme in {"tcp", "http"} and parts.hostname:
        return HTTPConnection(parts.hostname, parts.port or 2375, timeout=_PATIENCE_S)
    raise ValueError(where)


def _unix(path: str) -> socket.socket:
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stream.settimeout(_PATIENCE_S)
    try:
        stream.connect(path)
    except OSError:
        stream.close()
        raise
    return stream
