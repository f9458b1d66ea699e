"""Uploads under way: bytes that arrive over connections that break, staged until the last one has come."""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from services.artifacts.domain.grants import Ticket
from services.artifacts.domain.store import BlobStore, Upload
from theory.core.clock import Clock
from theory.core.errors import AlreadyExists, Conflict, Exhausted, Invalid, TheoryError

_log = logging.getLogger(__name__)

_SWEEP_S = 20.0


class Uploads:
    """Keeps what has arrived of an upload, for as long as its request holds. Nobody sees it before it is whole.

    One connection at a time sends: whoever comes later is the client that lost the earlier one, which is cut. What is
    staged is in this process alone; after a restart an upload begins again.
    """

    def __init__(self, blobs: BlobStore, clock: Clock, *, most: int = 256) -> None:
        self._blobs = blobs
        self._clock = clock
        self._most = most
        self._staging: dict[str, Staging] = {}

    @property
    def count(self) -> int:
        """How many are under way."""
        return len(self._staging)

    @asynccontextmanager
    async def sending(self, ticket: Ticket, cut: Callable[[], None]) -> AsyncIterator["Staging"]:
        """One connection that asks or sends, inside a block; `cut` ends it from outside.

        `AlreadyExists` (`UPLOAD_COMPLETE`) where the blob is stored; `Exhausted` (`TOO_MANY_CALLS`).
        """
        staging = self._of(ticket)
        staging.users += 1
        staging.cut()
        try:
            async with staging.lock:
                staging.cut = cut
                try:
                    if await self._blobs.holds(ticket.put.cid):
                        await staging.clear()
                        raise complete(ticket)
                    yield staging
                finally:
                    staging.cut = _nothing
        finally:
            staging.users -= 1
            if not staging.users and not staging.offset:
                self._staging.pop(ticket.nonce, None)
                await staging.clear()

    async def run(self) -> None:
        """Drop what has expired, again and again, until cancelled."""
        while True:
            await self._clock.sleep(_SWEEP_S)
            await self.sweep()

    async def sweep(self) -> int:
        """Drop what has expired and nobody sends to; how many those were."""
        now = self._clock.now().timestamp()
        over = [each for each in self._staging.values() if each.ticket.expires < now and not each.users]
        for each in over:
            del self._staging[each.ticket.nonce]
            await each.clear()
        if over:
            _log.info("uploads.expired", extra={"theory_fields": {"count": len(over)}})
        return len(over)

    async def close(self) -> None:
        """Drop all of them."""
        while self._staging:
            _, each = self._staging.popitem()
            each.cut()
            async with each.lock:
                await each.clear()

    def _of(self, ticket: Ticket) -> "Staging":
        found = self._staging.get(ticket.nonce)
        if found is None:
            if len(self._staging) >= self._most:
                raise Exhausted("TOO_MANY_CALLS", f"{self._most} uploads are under way: try again later")
            found = self._staging[ticket.nonce] = Staging(self._blobs, ticket)
        return found


class Staging:
    """What has arrived of one upload. Used by whoever holds `lock`."""

    def __init__(self, blobs: BlobStore, ticket: Ticket) -> None:
        self._blobs = blobs
        self.ticket = ticket
        self.lock = asyncio.Lock()
        self.users = 0
        """How many hold the lock or wait for it."""
        self.cut: Callable[[], None] = _nothing
        """Ends the connection that sends."""
        self._upload: Upload | None = None
        self._sha256 = hashlib.sha256()

    @property
    def offset(self) -> int:
        """How many bytes have arrived."""
        return 0 if self._upload is None else self._upload.size_bytes

    def require(self, offset: int) -> None:
        """`Conflict` (`UPLOAD_OFFSET`) unless the next byte is the one at `offset`."""
        if offset != self.offset:
            message = f"the upload stands at byte {self.offset}"
            raise Conflict("UPLOAD_OFFSET", message, offset=str(self.offset))

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes; after an error none are left. `Invalid` (`SIZE_MISMATCH`); `Exhausted` (`DISK_FULL`)."""
        put = self.ticket.put
        try:
            if self._upload is None:
                self._sha256 = hashlib.sha256()
                self._upload = await self._blobs.begin(expected=put.cid, size_bytes=put.size_bytes)
            await self._upload.write(chunk)
            if put.sha256:
                await asyncio.to_thread(self._sha256.update, chunk)
        except BaseException:
            await self.clear()
            raise

    async def finish(self) -> None:
        """Store what came; whatever becomes of it, nothing of it stays staged.

        `Invalid` (`SIZE_MISMATCH`, `CID_MISMATCH`; `FIELD_INVALID` where the SHA-256 is another).
        """
        try:
            if self._upload is None:
                await self.write(b"")
            announced, actual = self.ticket.put.sha256, self._sha256.hexdigest()
            if announced and not hmac.compare_digest(announced, actual):
                raise Invalid("FIELD_INVALID", "the bytes have another SHA-256 than announced", field="sha256")
            if self._upload is not None:
                await self._upload.commit()
        finally:
            await self.clear()

    async def clear(self) -> None:
        """Forget what came."""
        upload, self._upload = self._upload, None
        if upload is not None:
            await upload.discard()


def complete(ticket: Ticket) -> TheoryError:
    """What whoever sends a blob that is stored is told."""
    return AlreadyExists("UPLOAD_COMPLETE", "the blob is stored: commit the upload", cid=ticket.put.cid.text)


def _nothing() -> None:
    """Nobody sends."""
