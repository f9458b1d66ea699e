"""Where the data plane listens, and what its URLs begin with."""

import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from theory.core.errors import Invalid, NotReady
from theory.wire.address import Address, is_loopback

OFF = "off"
STORE = "store"
_BACKLOG = 128


@dataclass(frozen=True, slots=True)
class PlaneAddress:
    """A place to listen, and the name by which clients reach it, if that is another one."""

    listens: Address
    public_url: str | None = None

    @classmethod
    def parse(cls, url: str, public_url: str | None) -> "PlaneAddress | None":
        """What the two settings say; None where this service is to have no data plane.

        Signed URLs and bytes cross no network in the clear: it listens on loopback, unless clients reach it by an
        `https` URL, so through a proxy. `Invalid` (`CONFIG_INVALID`, `URL_INVALID`) otherwise.
        """
        if url in (OFF, STORE):
            return None
        listens = Address.parse(url, scheme="http")
        if listens.path is not None:
            raise _wrong("THEORY_ARTIFACTS_DATA_URL is http://host:port, store, or off")
        if public_url is not None:
            _require_safe(public_url)
        elif not is_loopback(listens.host):
            raise _wrong("the data plane listens on loopback unless THEORY_ARTIFACTS_DATA_PUBLIC_URL is an https URL")
        if public_url is not None and not public_url.startswith("https:") and not is_loopback(listens.host):
            raise _wrong("beyond loopback THEORY_ARTIFACTS_DATA_PUBLIC_URL is an https URL")
        return cls(listens, public_url and public_url.rstrip("/"))

    def bind(self) -> tuple[socket.socket, str]:
        """A socket that listens, and what URLs begin with; `NotReady` (`ADDRESS_TAKEN`)."""
        host, port = self.listens.host, self.listens.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((host, port))
            bound.listen(_BACKLOG)
            bound.setblocking(False)
        except OSError as error:
            bound.close()
            message = f"the data plane cannot listen there: {error.strerror or error}"
            raise NotReady("ADDRESS_TAKEN", message, url=self.listens.url) from error
        named = f"[{host}]" if ":" in host else host
        return bound, self.public_url or f"http://{named}:{bound.getsockname()[1]}"


def store_endpoint(public_url: str | None) -> str | None:
    """Where clients reach the store that signs; None where that is where this service does.

    Without a path: a store would take it for a part of the name. `Invalid` (`CONFIG_INVALID`).
    """
    if public_url is None:
        return None
    _require_safe(public_url)
    if urlsplit(public_url).path.strip("/"):
        raise _wrong("with THEORY_ARTIFACTS_DATA_URL=store THEORY_ARTIFACTS_DATA_PUBLIC_URL is https://host[:port]")
    return public_url.rstrip("/")


def _require_safe(url: str) -> None:
    try:
        parts = urlsplit(url)
        sound = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if not sound or parts.query or parts.fragment or parts.username or parts.scheme not in ("http", "https"):
        raise _wrong("THEORY_ARTIFACTS_DATA_PUBLIC_URL is written https://host[:port][/path]")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise _wrong("beyond loopback THEORY_ARTIFACTS_DATA_PUBLIC_URL is an https URL")


def _wrong(message: str) -> Invalid:
    return Invalid("CONFIG_INVALID", message)
