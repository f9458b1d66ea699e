"""Blobs on their way out over HTTP. They are not verified here: whoever reads them knows their CID."""

import asyncio
import io
import re
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web

from services.artifacts.domain.limits import CHUNK_BYTES
from services.artifacts.domain.store import BlobStore
from services.artifacts.plane.pace import Pace
from services.artifacts.plane.presigner import LocalPresigner
from services.artifacts.ports import BlobReader
from theory.core.cid import Cid
from theory.core.clock import Clock
from theory.core.errors import OutOfRange

_SEGMENT_BYTES = 1024 * 1024
"""What the kernel sends at a time, unseen: how long a client that takes nothing is waited for hangs on it."""
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})").fullmatch


class Downloads:
    """`GET` and `HEAD` of a blob."""

    def __init__(self, store: BlobStore, presigner: LocalPresigner, clock: Clock, *, idle_s: float) -> None:
        self._store = store
        self._presigner = presigner
        self._clock = clock
        self._idle_s = idle_s

    async def get(self, request: web.Request) -> web.StreamResponse:
        """The blob, or one range of it."""
        cid = Cid.parse(request.match_info["cid"])
        content_type = self._presigner.check_get(cid, request.query, self._clock.now())
        headers = {
            "ETag": f'"{cid.text}"',
            "Accept-Ranges": "bytes",
            "Cache-Control": "private, immutable",
            "Content-Disposition": "attachment",
            "Content-Type": content_type,
            "X-Content-Type-Options": "nosniff",
        }
        async with self._store.reading(cid) as reader:
            if _names(request.headers.get("If-None-Match", ""), cid):
                return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
            size = reader.size_bytes
            wanted = _range_of(request.headers, cid, size)
            offset, end = wanted or (0, size)
            status = HTTPStatus.OK
            if wanted:
                status, headers["Content-Range"] = HTTPStatus.PARTIAL_CONTENT, f"bytes {offset}-{end - 1}/{size}"
            response = web.StreamResponse(status=status, headers=headers)
            response.content_length = end - offset
            await response.prepare(request)
            if request.method == "GET":
                await _send(request, response, reader, offset, end, Pace(self._idle_s))
            await response.write_eof()
            return response


async def _send(
    request: web.Request, response: web.StreamResponse, reader: BlobReader, offset: int, end: int, pace: Pace
) -> None:
    try:
        if reader.descriptor is None:
            await _send_pieces(response, reader, offset, end, pace)
        else:
            await _send_file(request, reader.descriptor, offset, end, pace)
    except BaseException:
        # The length was told: whoever reads learns by the break that it did not get everything.
        if request.transport is not None:
            request.transport.abort()
        raise


async def _send_file(request: web.Request, descriptor: int, offset: int, end: int, pace: Pace) -> None:
    loop = asyncio.get_running_loop()
    with io.FileIO(descriptor, closefd=False) as file:
        while offset < end:
            if request.transport is None:
                raise ConnectionResetError("the client went away")
            count = min(_SEGMENT_BYTES, end - offset)
            async with pace.waiting(count):
                sent = await loop.sendfile(request.transport, file, offset, count)
            if sent < count:
                raise ConnectionResetError("the file is shorter than it was")
            pace.moved(sent)
            offset += sent


async def _send_pieces(response: web.StreamResponse, reader: BlobReader, offset: int, end: int, pace: Pace) -> None:
    while offset < end:
        piece = await reader.read(offset, min(CHUNK_BYTES, end - offset))
        if not piece:
            raise ConnectionResetError("the blob is shorter than it was")
        async with pace.waiting(len(piece)):
            await response.write(piece)
        pace.moved(len(piece))
        offset += len(piece)


def _names(tags: str, cid: Cid) -> bool:
    listed = (tag.strip().removeprefix("W/") for tag in tags.split(","))
    return any(tag in ("*", f'"{cid.text}"') for tag in listed)


def _range_of(headers: Mapping[str, str], cid: Cid, size: int) -> tuple[int, int] | None:
    """First byte and end of the one range that is asked for; any other text asks for the whole blob, as HTTP has it.

    `OutOfRange` (`RANGE_PAST_END`) where no byte of it exists.
    """
    found = _RANGE(headers.get("Range", ""))
    if found is None or found.group() == "bytes=-" or not _names(headers.get("If-Range", "*"), cid):
        return None
    first, last = found.groups()
    begin = int(first) if first else max(0, size - int(last))
    end = min(int(last) + 1, size) if first and last else size
    if first and last and int(last) < begin:
        return None
    if begin >= size:
        raise OutOfRange("RANGE_PAST_END", f"the blob ends before byte {begin}", size_bytes=str(size))
    return begin, end
