"""The HTTP server of the data plane: its routes, its limits, its beginning and its end."""

import asyncio
import logging
import socket
import weakref
from contextlib import suppress

from aiohttp import web

from services.artifacts.plane.arrivals import Arrivals
from services.artifacts.plane.downloads import Downloads
from services.artifacts.plane.presigner import BLOBS, UPLOADS
from services.artifacts.plane.problems import Handler, answering

_BUFFER_BYTES = 1024 * 1024
_DRAIN_S = 5.0
_LINGER_S = 2.0
_MOST_CONNECTIONS = 1_000


class DataPlane:
    """Answers on a socket from `start` to `close`."""

    def __init__(self, bound: socket.socket, downloads: Downloads, arrivals: Arrivals, *, idle_s: float) -> None:
        self._bound = bound
        self._idle_s = idle_s
        self._heard: weakref.WeakSet[asyncio.BaseTransport] = weakref.WeakSet()
        app = web.Application(middlewares=[self._hearing, answering])
        app.router.add_get(BLOBS + "{cid}", downloads.get, allow_head=True)
        app.router.add_put(UPLOADS + "{upload_id}", arrivals.put)
        app.router.add_patch(UPLOADS + "{upload_id}", arrivals.patch)
        app.router.add_head(UPLOADS + "{upload_id}", arrivals.head)
        self._runner = web.AppRunner(
            app,
            access_log=None,  # it would tell queries
            logger=_quiet_log(),
            handle_signals=False,
            keepalive_timeout=idle_s,
            lingering_time=_LINGER_S,
            read_bufsize=_BUFFER_BYTES,
            auto_decompress=False,  # bytes are stored as they come
            shutdown_timeout=_DRAIN_S,
        )
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to answer."""
        await self._runner.setup()
        self._server = await asyncio.get_running_loop().create_server(self._protocol, sock=self._bound)

    async def close(self) -> None:
        """Take nothing more, and end what runs within a few seconds."""
        if self._server is not None:
            self._server.close()
        self._bound.close()
        await self._runner.cleanup()

    def _protocol(self) -> asyncio.Protocol:
        """One connection; it is cut without a whole request within `idle_s`, and at once where there are too many."""
        made = self._runner.server
        if made is None:
            raise ConnectionAbortedError("the data plane has not started")
        full = len(made.connections) >= _MOST_CONNECTIONS
        protocol = made()
        asyncio.get_running_loop().call_later(0 if full else self._idle_s, self._cut_silent, protocol)
        return protocol

    def _cut_silent(self, protocol: web.RequestHandler) -> None:
        if protocol.transport is not None and protocol.transport not in self._heard:
            protocol.transport.abort()

    @web.middleware
    async def _hearing(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.transport is not None:
            self._heard.add(request.transport)
        with suppress(ConnectionError):
            return await handler(request)
        return web.Response(status=499)  # nobody reads it


def _quiet_log() -> logging.Logger:
    """Where the HTTP library reports. What it says of a request that it cannot read would hold the request's line."""
    log = logging.getLogger(f"{__name__}.http")
    log.addFilter(_without_words)
    return log


def _without_words(record: logging.LogRecord) -> bool:
    record.msg, record.args, record.exc_info, record.exc_text = "data.unreadable", (), None, None
    return True
