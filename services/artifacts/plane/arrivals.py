"""Blobs on their way in over HTTP: whole by PUT, or on from where they stand by PATCH."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from aiohttp import web

from services.artifacts.domain.grants import Ticket
from services.artifacts.domain.uploads import Staging, Uploads
from services.artifacts.plane import digest
from services.artifacts.plane.pace import Pace
from services.artifacts.plane.presigner import LocalPresigner
from theory.core.clock import Clock
from theory.core.errors import AlreadyExists, Invalid, Unavailable

_PIECE_BYTES = 1024 * 1024
"""What is hashed and written at a time."""
_MAX_DIGITS = 18


class Arrivals:
    """`PUT`, `HEAD` and `PATCH` of an upload."""

    def __init__(self, uploads: Uploads, presigner: LocalPresigner, clock: Clock, *, idle_s: float) -> None:
        self._uploads = uploads
        self._presigner = presigner
        self._clock = clock
        self._idle_s = idle_s

    async def put(self, request: web.Request) -> web.StreamResponse:
        """The whole blob, from its first byte on, whatever came before."""
        ticket = self._ticket(request)
        _require_announced(request, ticket)
        async with self._sending(request, ticket) as staging:
            await staging.clear()
            return await self._receive(request, staging)

    async def patch(self, request: web.Request) -> web.StreamResponse:
        """The bytes behind those that came; the upload ends with its last one."""
        ticket = self._ticket(request)
        offset, size = _number(request, "Upload-Offset"), _number(request, "Content-Length")
        if offset + size > ticket.put.size_bytes:
            raise _other_size(ticket, offset + size)
        async with self._sending(request, ticket) as staging:
            staging.require(offset)
            return await self._receive(request, staging)

    async def head(self, request: web.Request) -> web.StreamResponse:
        """Where the upload stands."""
        ticket = self._ticket(request)
        try:
            async with self._sending(request, ticket) as staging:
                return _standing(ticket, staging.offset)
        except AlreadyExists:
            return _standing(ticket, ticket.put.size_bytes)

    def _ticket(self, request: web.Request) -> Ticket:
        return self._presigner.check_put(request.match_info["upload_id"], request.query, self._clock.now())

    @asynccontextmanager
    async def _sending(self, request: web.Request, ticket: Ticket) -> AsyncIterator[Staging]:
        def cut() -> None:
            if request.transport is not None:
                request.transport.abort()

        async with self._uploads.sending(ticket, cut) as staging:
            yield staging

    async def _receive(self, request: web.Request, staging: Staging) -> web.StreamResponse:
        ticket = staging.ticket
        await _drain(request, staging, Pace(self._idle_s))
        if staging.offset < ticket.put.size_bytes:
            return _standing(ticket, staging.offset)
        await staging.finish()
        headers = {"ETag": f'"{ticket.put.cid.text}"', "Upload-Offset": str(ticket.put.size_bytes)}
        return web.Response(status=HTTPStatus.CREATED, headers=headers)


async def _drain(request: web.Request, staging: Staging, pace: Pace) -> None:
    """Stage what comes, one piece being written while the next arrives. What came before a break is kept."""
    writing: asyncio.Task[None] | None = None
    try:
        while True:
            piece, broken = await _piece(request, pace)
            if writing is not None:
                await writing
            if piece:
                writing = asyncio.create_task(staging.write(piece))
            if broken is not None:
                raise broken
            if len(piece) < _PIECE_BYTES:
                break
    finally:
        if writing is not None:
            await asyncio.wait([writing])
    if writing is not None:
        await writing


async def _piece(request: web.Request, pace: Pace) -> tuple[bytes, Exception | None]:
    """The next bytes, fewer than a piece at the end alone, and what broke behind them."""
    parts: list[bytes] = []
    size = 0
    try:
        while size < _PIECE_BYTES:
            async with pace.waiting():
                part = await request.content.readany()
            if not part:
                break
            pace.moved(len(part))
            parts.append(part)
            size += len(part)
    except (ConnectionError, web.RequestPayloadError, Unavailable) as error:
        return b"".join(parts), error
    return b"".join(parts), None


def _standing(ticket: Ticket, offset: int) -> web.Response:
    headers = {"Upload-Offset": str(offset), "Upload-Length": str(ticket.put.size_bytes), "Cache-Control": "no-store"}
    return web.Response(status=HTTPStatus.NO_CONTENT, headers=headers)


def _require_announced(request: web.Request, ticket: Ticket) -> None:
    """`Invalid` unless the request says exactly what was announced (`SIZE_MISMATCH`, `FIELD_INVALID`)."""
    if (size := _number(request, "Content-Length")) != ticket.put.size_bytes:
        raise _other_size(ticket, size)
    wanted = {"Content-Type": ticket.put.content_type, "If-None-Match": "*"}
    if ticket.put.sha256:
        wanted[digest.HEADER] = digest.of(ticket.put.sha256)
    for name, value in wanted.items():
        if request.headers.get(name) != value:
            raise Invalid("FIELD_INVALID", f"the header {name} is not the one that was signed", field=name)


def _number(request: web.Request, name: str) -> int:
    text = request.headers.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise Invalid("FIELD_INVALID", f"the header {name} is missing, or no number", field=name)
    return int(text)


def _other_size(ticket: Ticket, actual: int) -> Invalid:
    message = "the bytes are not as many as announced"
    return Invalid("SIZE_MISMATCH", message, expected=str(ticket.put.size_bytes), actual=str(actual))
