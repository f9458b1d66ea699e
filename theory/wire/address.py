"""Addresses of services: `unix:///absolute/path` and `grpc://host:port`."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from theory.core.errors import Invalid, shown

# The kernel's limit is 108 with the terminating zero; a name beside the socket, for its lock, must fit as well.
_MAX_SOCKET_PATH_BYTES = 100


@dataclass(frozen=True, slots=True)
class Address:
    """Where a service listens or is reached: a socket file, or a host and a port."""

    url: str
    path: Path | None = None
    host: str = ""
    port: int = 0

    @classmethod
    def parse(cls, url: str, *, scheme: str = "grpc") -> "Address":
        """What `url` names; `Invalid` (`URL_INVALID`) for any other form, credentials in it included."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise _invalid(url, "the port is not a number up to 65535") from None
        if parts.username or parts.password:
            raise _invalid("", "credentials do not belong into a URL")
        if parts.query or parts.fragment:
            raise _invalid(url, "it takes neither a query nor a fragment")
        if parts.scheme == "unix":
            return cls(url, path=_socket_path(url, parts.netloc, unquote(parts.path)))
        if parts.scheme != scheme:
            raise _invalid(url, f"write unix:///absolute/path or {scheme}://host:port")
        if not parts.hostname or port is None or parts.path not in ("", "/"):
            raise _invalid(url, f"write {scheme}://host:port")
        return cls(url, host=parts.hostname, port=port)

    @property
    def target(self) -> str:
        """As gRPC writes it."""
        if self.path is not None:
            return f"unix:{quote(str(self.path))}"
        return f"dns:///{self.authority}"

    @property
    def authority(self) -> str:
        """`host:port`, an IPv6 host in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def on_loopback(url: str) -> bool:
    """Whether only this machine can reach what listens at `url`: a socket file, or a host that is loopback."""
    parts = urlsplit(url)
    return parts.scheme == "unix" or is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """Whether `host` never leads off this machine; no name but `localhost` is looked up, or trusted."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _socket_path(url: str, netloc: str, path: str) -> Path:
    if netloc or not path.startswith("/") or path.endswith("/"):
        raise _invalid(url, "a socket is written unix:///absolute/path")
    if len(path.encode("utf-8", "replace")) > _MAX_SOCKET_PATH_BYTES:
        raise _invalid(url, f"the path of a socket has at most {_MAX_SOCKET_PATH_BYTES} bytes: choose a shorter home")
    return Path(path)


def _invalid(url: str, why: str) -> Invalid:
    return Invalid("URL_INVALID", f"not an address: {why}", url=shown(url))
