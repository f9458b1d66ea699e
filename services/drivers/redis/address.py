"""Where a server answers, and connections to it."""

import asyncio
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection

from theory.core.errors import Invalid
from theory.core.secret import Secret

_CONNECT_S = 5.0
_PORT = 6379
_RESP = 2
"""The older protocol: every server speaks it, and its replies are cheaper to read here."""

_FORMS = "redis://host:port/db, rediss://host:port/db or redis+unix:///path/to/socket?db=N"


@dataclass(frozen=True)
class Address:
    """One database of one server."""

    scheme: str
    host: str = ""
    port: int = _PORT
    path: str = ""
    """Of a unix socket."""
    db: int = 0
    user: str | None = None

    @classmethod
    def parse(cls, url: str) -> Self:
        """`redis://[user@]host[:port][/db]`, `rediss://` for TLS, or `redis+unix:///path/to/socket[?db=N]`.

        `Invalid` (`URL_INVALID`) for anything else. A password never stands in it.
        """
        parts = urlsplit(url)
        if parts.password is not None:
            # Without the address: it would carry the password on.
            raise Invalid("URL_INVALID", "a password never stands in an address; give it as the secret beside it")
        try:
            user = unquote(parts.username) if parts.username else None
            if parts.scheme == "redis+unix":
                options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
                sound = not parts.hostname and len(parts.path) > 1 and not parts.fragment and options.keys() <= {"db"}
                parsed = cls(parts.scheme, path=unquote(parts.path), db=_db(options.get("db", "0")), user=user)
            else:
                sound = (
                    bool(parts.hostname) and parts.scheme in ("redis", "rediss") and not (parts.query + parts.fragment)
                )
                db = _db(parts.path.removeprefix("/") or "0")
                parsed = cls(parts.scheme, host=parts.hostname or "", port=parts.port or _PORT, db=db, user=user)
        except ValueError:
            sound = False
        if not sound:
            raise Invalid("URL_INVALID", f"write {_FORMS}", url=url)
        return parsed

    async def connect(self, secret: Secret | None) -> AbstractConnection:
        """A connection that is ready for commands; raises what the library raises. Its user decides what is late."""
        settings: dict[str, Any] = {
            "db": self.db,
            "username": self.user,
            "password": None if secret is None else secret.reveal(),
            "protocol": _RESP,
            "socket_connect_timeout": _CONNECT_S,
            "socket_timeout": None,
            "driver_info": None,  # it would tell its name, which a user with few rights may not
        }
        connection: AbstractConnection
        if self.scheme == "redis+unix":
            connection = UnixDomainSocketConnection(path=self.path, **settings)
        else:
            kind = SSLConnection if self.scheme == "rediss" else Connection
            connection = kind(host=self.host, port=self.port, **settings)
        try:
            async with asyncio.timeout(_CONNECT_S):
                await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection


def _db(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(text)
    return int(text)
