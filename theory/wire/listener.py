"""Where a server listens: a private unix socket that is nobody else's, or a TCP port that is nobody else's."""

import errno
import fcntl
import os
import socket
import stat
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import grpc

from theory.core.errors import Invalid, NotReady
from theory.wire.address import Address

_PROBE_S = 1.0


class Listener:
    """One address, held from `open` to `close`.

    A unix socket is 0600 and its folder, if made here, 0700. A socket file that was left behind is replaced; one that
    somebody answers on is not: `NotReady` (`ADDRESS_TAKEN`). A lock beside it settles who was first: gRPC by itself
    unlinks whatever is there, when it begins and when it ends.
    """

    def __init__(self, url: str) -> None:
        self._address = Address.parse(url)
        self._lock: int | None = None
        self._socket: Path | None = None
        self.url = url
        """Where it can be reached; after `open`, with the port that was chosen for port 0."""

    @property
    def public(self) -> bool:
        """Whether anybody on this machine can connect: TCP, loopback included."""
        return self._address.path is None

    def open(self, server: grpc.aio.Server) -> None:
        """Bind `server`, which has not started yet."""
        if self._address.path is not None:
            self._open_socket(server, self._address.path)
        else:
            _refuse_unless_free(self._address, self.url)
            port = self._bound(server, self._address.authority)
            host = f"[{self._address.host}]" if ":" in self._address.host else self._address.host
            self.url = f"grpc://{host}:{port}"

    def close(self) -> None:
        """Let others have the address, once the server has stopped."""
        if self._socket is not None:
            self._socket.unlink(missing_ok=True)
            self._socket = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open_socket(self, server: grpc.aio.Server, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = os.open(f"{path}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unusable(self.url, error) from error
        self._lock = _locked(lock, self.url)
        _remove_stale(path, self.url)
        mask = os.umask(0o177)  # the socket is private from its first moment
        try:
            self._bound(server, f"unix:{quote(str(path))}")  # gRPC reads it as a URL
        finally:
            os.umask(mask)
        self._socket = path

    def _bound(self, server: grpc.aio.Server, target: str) -> int:
        try:
            return server.add_insecure_port(target)
        except RuntimeError as error:
            raise _taken(self.url) from error


def _locked(lock: int, url: str) -> int:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise _taken(url) from error
    return lock


def _remove_stale(path: Path, url: str) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise Invalid("URL_INVALID", "a file that is no socket is in the way", url=url)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_S)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        except OSError as error:
            raise _taken(url) from error
        else:
            raise _taken(url)


def _refuse_unless_free(address: Address, url: str) -> None:
    """Refuse a port that cannot be had, and say why; gRPC knows no reasons, and logs some lines of its own."""
    try:
        places = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, place = places[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what a server left behind is in nobody's way
            probe.bind(place)
            probe.listen()
    except OSError as error:
        raise (_taken(url) if error.errno == errno.EADDRINUSE else _unusable(url, error)) from error


def _unusable(url: str, error: OSError) -> Invalid:
    return Invalid("URL_INVALID", f"nothing can listen at this address: {error.strerror}", url=url)


def _taken(url: str) -> NotReady:
    return NotReady("ADDRESS_TAKEN", "another process listens here: stop it, or choose another address", url=url)
