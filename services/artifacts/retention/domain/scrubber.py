"""The scrubber: reads stored blobs again, hashes them, and puts into quarantine what is not what its name says."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from services.artifacts.domain.limits import CHUNK_BYTES
from services.artifacts.ports import BindingAdapter, BindingTransaction, BlobAdapter, StoredBlob
from services.artifacts.retention.domain.counts import DAMAGED, SCRUBBED, SCRUBBED_BYTES, Count
from theory.core.cid import Cid, CidHasher
from theory.core.clock import Clock, parse_rfc3339, rfc3339
from theory.core.errors import TheoryError

_log = logging.getLogger(__name__)

_PAGE = 100
_COST_BYTES = 16 * 1024
"""What each blob counts beside its bytes: small ones cost more than their bytes do."""
_UNREAD_IN_A_ROW = 3
"""So many blobs that cannot be read are a store that is away; fewer are passed over."""
_AGAIN_S = 60.0
_OFF_S = timedelta(days=1).total_seconds()
_PLACE_NOTE = "scrub.place"
_BEGUN_NOTE = "scrub.begun"

_Pace = Callable[[int], Awaitable[None]]
"""Waits as long as so many bytes may take."""


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """What a part of the store came to."""

    count: int
    size_bytes: int
    damaged: tuple[StoredBlob, ...]
    """What is in quarantine now, with the lengths that were found."""
    after: Cid | None
    """Where the next part begins; None at the end."""


class Scrubber:
    """Looks for damage, by itself at a bounded rate, or when asked."""

    def __init__(
        self,
        blobs: BlobAdapter,
        table: BindingAdapter,
        clock: Clock,
        *,
        bytes_per_s: int,
        period: timedelta,
        removing: asyncio.Lock,
        count: Count,
    ) -> None:
        """`removing` is held while bytes are taken away."""
        self._blobs = blobs
        self._table = table
        self._clock = clock
        self._removing = removing
        self._count = count
        self.bytes_per_s = bytes_per_s
        """What `run` reads in a second; 0 keeps it from looking."""
        self.period = period
        """In how much time `run` looks at each blob once, if the rate is enough for it."""

    async def run(self) -> None:
        """Look at every blob once a period, from where an earlier process was, until cancelled."""
        while True:
            pause_s = _AGAIN_S
            try:
                pause_s = await self._next() if self.bytes_per_s else _OFF_S
            except TheoryError as error:
                _log.warning("scrub.failed", extra={"theory_fields": {"reason": error.reason}})
            except Exception:  # noqa: BLE001 - nobody waits for this task: unseen, damage would stay unseen
                _log.exception("scrub.broke")
            await self._clock.sleep(pause_s)

    async def part(self, after: Cid | None, *, for_s: float) -> Scrubbed:
        """Look at blobs behind `after` for about so long, as fast as they are read. Raises what the store raises."""
        until = self._clock.monotonic() + for_s
        total = Scrubbed(0, 0, (), after)
        while True:
            found = await self._page(total.after, _unhurried, until)
            total = Scrubbed(
                total.count + found.count,
                total.size_bytes + found.size_bytes,
                total.damaged + found.damaged,
                found.after,
            )
            if total.after is None or self._clock.monotonic() >= until:
                return total

    async def _next(self) -> float:
        """Look at the next page of this period; how long to wait before the one after it."""
        place, begun = await self._table.read(lambda table: (table.noted(_PLACE_NOTE), table.noted(_BEGUN_NOTE)))
        now = self._clock.now()
        if not place and begun is not None and (over := parse_rfc3339(begun) + self.period) > now:
            return (over - now).total_seconds()
        found = await self._page(Cid(place) if place else None, self._pace, None)

        notes = {_PLACE_NOTE: found.after.text if found.after else ""}
        if not place:
            notes[_BEGUN_NOTE] = rfc3339(now)

        def remember(step: BindingTransaction) -> None:
            for name, text in notes.items():
                step.note(name, text)

        await self._table.write(remember)
        return 0.0

    async def _page(self, after: Cid | None, pace: _Pace, until: float | None) -> Scrubbed:
        """Look at a page, or at the part of it that comes before a moment of the monotonic clock."""
        page = await self._blobs.scan(after, _PAGE)
        count, size_bytes, unread = 0, 0, 0
        damaged: list[StoredBlob] = []
        for blob in page:
            if until is not None and count and self._clock.monotonic() >= until:
                break
            count, after, size_bytes = count + 1, blob.cid, size_bytes + blob.size_bytes
            try:
                await pace(_COST_BYTES)
                if not await self._sound(blob.cid, pace) and await self._put_aside(blob):
                    damaged.append(blob)
            except TheoryError as error:
                unread += 1
                if unread == _UNREAD_IN_A_ROW:
                    raise
                _log.warning("blob.unread", extra={"theory_fields": {"cid": blob.cid.text, "reason": error.reason}})
            else:
                unread = 0
        self._count(SCRUBBED, count)
        self._count(SCRUBBED_BYTES, size_bytes)
        return Scrubbed(count, size_bytes, tuple(damaged), after if page else None)

    async def _put_aside(self, blob: StoredBlob) -> bool:
        """Whether it is damaged indeed, and in quarantine now: what was deleted under the reader is not."""
        async with self._removing:
            if await self._sound(blob.cid, _unhurried) or await self._blobs.missing([blob.cid]):
                return False
            await self._blobs.quarantine(blob.cid)
        self._count(DAMAGED, 1)
        facts = {"cid": blob.cid.text, "size_bytes": blob.size_bytes}
        _log.error("blob.damaged", extra={"theory_fields": facts})
        return True

    async def _sound(self, cid: Cid, pace: _Pace) -> bool:
        """Whether the bytes are those of the name; what is not there has none that are wrong."""
        reader = await self._blobs.open(cid)
        if reader is None:
            return True
        hasher = CidHasher()
        try:
            while hasher.size_bytes < reader.size_bytes:
                chunk = await reader.read(hasher.size_bytes, min(CHUNK_BYTES, reader.size_bytes - hasher.size_bytes))
                if not chunk:
                    break
                await asyncio.to_thread(hasher.update, chunk)
                await pace(len(chunk))
        finally:
            with suppress(TheoryError):
                await reader.close()
        return hasher.cid() == cid

    async def _pace(self, size_bytes: int) -> None:
        await self._clock.sleep(size_bytes / self.bytes_per_s)


async def _unhurried(size_bytes: int) -> None:
    """Whoever asks waits for nothing else."""
