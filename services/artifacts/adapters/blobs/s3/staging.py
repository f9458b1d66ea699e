"""Blobs on their way into a bucket: in memory while they are short, then in parts under a name of their own."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from services.artifacts.adapters.blobs.s3.faults import refused
from services.artifacts.adapters.blobs.s3.flights import Flights, Outcome
from services.artifacts.adapters.blobs.s3.multipart import Multipart, Upload
from theory.core.cid import Cid
from theory.core.errors import TheoryError, Unavailable

if TYPE_CHECKING:  # types of boto3 are a package of development
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

_log = logging.getLogger(__name__)

STAGING = "staging/"
"""The folder of what has no CID yet."""
PART_BYTES = 8 * 1024 * 1024
"""What an upload keeps in memory, and the length of its first parts."""
_PARTS_OF_A_SIZE = 2_500
"""An object has at most 10,000 parts: each so many, they get twice as long."""


class Staged:
    """Bytes that have no name. Short ones never leave the memory before their name is known."""

    def __init__(
        self,
        multipart: Multipart,
        key: str,
        flights: Flights,
        *,
        put: Callable[[Cid, bytes], Coroutine[object, object, Outcome]],
        promote: Callable[[str, int, Cid], Coroutine[object, object, Outcome]],
    ) -> None:
        self._multipart = multipart
        self._key = key
        self._flights = flights
        self._put = put
        self._promote = promote
        self._buffer = bytearray()
        self._size_bytes = 0
        self._upload: Upload | None = None
        self._parts: list[CompletedPartTypeDef] = []
        # What is sent or copied goes on when its caller goes away: nothing is removed under it.
        self._busy = asyncio.Lock()

    async def write(self, chunk: bytes) -> None:
        self._buffer += chunk
        self._size_bytes += len(chunk)
        while len(self._buffer) > (length := PART_BYTES << len(self._parts) // _PARTS_OF_A_SIZE):
            part = bytes(memoryview(self._buffer)[:length])
            del self._buffer[:length]
            _raise(await asyncio.shield(self._flights.start(self._send(part))))

    async def commit(self, cid: Cid) -> None:
        if self._upload is None:
            _raise(await self._put(cid, bytes(self._buffer)))
            return
        _raise(await asyncio.shield(self._flights.start(self._complete(self._upload))))
        _raise(await self._flights.join(cid, lambda: self._promoted(cid)))

    async def discard(self) -> None:
        await asyncio.shield(self._flights.start(self._forget()))

    async def _send(self, part: bytes) -> Outcome:
        async with self._busy:
            try:
                if self._upload is None:
                    self._upload = await self._multipart.begin(self._key, checked=True)
                self._parts.append(await self._multipart.send(self._upload, len(self._parts) + 1, part))
            except TheoryError as error:
                return error
            except ClientError as error:
                return _given_up(error)
        return None

    async def _complete(self, upload: Upload) -> Outcome:
        outcome = await self._send(bytes(self._buffer)) if self._buffer else None
        if outcome is not None:
            return outcome
        async with self._busy:
            try:
                await self._multipart.complete(upload, self._parts)
            except TheoryError as error:
                return error
        return None

    async def _promoted(self, cid: Cid) -> Outcome:
        async with self._busy:
            return await self._promote(self._key, self._size_bytes, cid)

    async def _forget(self) -> Outcome:
        async with self._busy:
            self._buffer.clear()
            upload, self._upload = self._upload, None
            if upload is not None:
                try:
                    await self._multipart.forget(upload)
                except TheoryError as error:  # the sweep finds it
                    _log.warning("staging.left", extra={"theory_fields": {"reason": error.reason}})
        return None


def _given_up(error: ClientError) -> TheoryError:
    if not refused(error, HTTPStatus.NOT_FOUND):
        raise error
    return Unavailable("STORE_UNREACHABLE", "the upload took so long that it was given up")


def _raise(outcome: Outcome) -> None:
    if outcome is not None:
        raise outcome
