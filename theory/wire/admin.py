"""The operator's side of a server: health and reflection over gRPC; metrics and probes over HTTP."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

import grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from theory.core.errors import NotReady
from theory.wire.address import Address
from theory.wire.health import Health
from theory.wire.listener import Listener
from theory.wire.options import SERVER_OPTIONS
from theory.wire.telemetry import log

_LOG = logging.getLogger("theory.wire.admin")
_REQUEST_S = 5.0
_LINE_BYTES = 4096
_TEXT = "text/plain; charset=utf-8"


class Admin(Protocol):
    """One listener for operators. It asks for no identity: bind it to a socket, or to loopback."""

    url: str

    async def start(self) -> None:
        """Begin to answer; `NotReady` (`ADDRESS_TAKEN`) where somebody else does."""
        ...

    async def stop(self) -> None:
        """End at once."""
        ...


def admins(urls: str | None, health: Health, services: Sequence[str]) -> list[Admin]:
    """The listeners of a comma-separated list: `http://host:port` serves `/metrics`, `/live` and `/ready`;
    `unix:///path` and `grpc://host:port` serve gRPC health and reflection.
    """  # noqa: D205 - one sentence
    each = [url.strip() for url in (urls or "").split(",") if url.strip()]
    return [HttpAdmin(url, health) if url.startswith("http:") else GrpcAdmin(url, health, services) for url in each]


class GrpcAdmin:
    """Health and reflection for tools that speak gRPC, such as grpcurl and the probes of Kubernetes."""

    def __init__(self, url: str, health: Health, services: Sequence[str]) -> None:
        self._server = grpc.aio.server(options=SERVER_OPTIONS)
        self._listener = Listener(url)
        self.url = url
        health.register(self._server)
        names = [*services, "grpc.health.v1.Health", reflection.SERVICE_NAME]
        reflection.enable_server_reflection(names, self._server)

    async def start(self) -> None:
        """Begin to answer."""
        self._listener.open(self._server)
        self.url = self._listener.url
        await self._server.start()

    async def stop(self) -> None:
        """End at once."""
        await self._server.stop(None)
        self._listener.close()


class HttpAdmin:
    """Metrics for Prometheus, and two probes that answer 200 or 503. One request per connection, GET only."""

    def __init__(self, url: str, health: Health) -> None:
        self._address = Address.parse(url, scheme="http")
        self._health = health
        self._server: asyncio.Server | None = None
        self.url = url

    async def start(self) -> None:
        """Begin to answer."""
        try:
            self._server = await asyncio.start_server(
                self._serve, self._address.host, self._address.port, limit=_LINE_BYTES, reuse_port=False
            )
        except OSError as error:
            raise NotReady(
                "ADDRESS_TAKEN", "another process listens here: choose another port", url=self.url
            ) from error
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://{self._address.host}:{port}"

    async def stop(self) -> None:
        """End at once."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_S):
                words = (await reader.readline()).split()
                while (await reader.readline()).strip():  # the headers say nothing of interest
                    continue
                status, kind, body = self._answer(words)
                head = (
                    f"HTTP/1.1 {status}",
                    f"Content-Type: {kind}",
                    f"Content-Length: {len(body)}",
                    "Connection: close",
                )
                writer.write("\r\n".join((*head, "", "")).encode() + body)
                await writer.drain()
        except (TimeoutError, ValueError, ConnectionError) as error:
            log(_LOG, logging.DEBUG, "admin request broken", error=type(error).__name__)
        finally:
            writer.close()

    def _answer(self, words: list[bytes]) -> tuple[str, str, bytes]:
        match words:
            case [b"GET", b"/metrics", _]:
                return "200 OK", CONTENT_TYPE_LATEST, generate_latest()
            case [b"GET", b"/live", _]:
                return "200 OK", _TEXT, b"live\n"
            case [b"GET", b"/ready", _]:
                return (
                    ("200 OK", _TEXT, b"ready\n")
                    if self._health.ready
                    else ("503 Service Unavailable", _TEXT, b"not ready\n")
                )
        return "404 Not Found", _TEXT, b"/metrics, /live, /ready\n"
