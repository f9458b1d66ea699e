"""Garbage collection: marks old blobs that nothing refers to, and deletes them once their lease is over.

Three steps, each of which a crash may follow. A blob is marked in a transaction that sees that nothing refers to it.
After the lease a second transaction looks again and says that it is being deleted: from there on nobody can refer to
it, nor put it. Then its bytes go, and in a third transaction the mark. Whoever wants the blob before the second
transaction takes the mark away (`Leases`, `available`); whoever comes later finds it missing, or waits until it may be
put again. No request to delete may outlive the third transaction: it would take the bytes of whoever put them again.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta

from services.artifacts.domain.leases import MARGIN
from services.artifacts.ports import BindingAdapter, BindingReader, BindingTransaction, BlobAdapter, Mark, StoredBlob
from services.artifacts.retention.domain.counts import COLLECTED, COLLECTED_BYTES, Count
from theory.core.cid import Cid
from theory.core.clock import Clock, parse_rfc3339, rfc3339
from theory.core.errors import Conflict, NotReady, TheoryError

_log = logging.getLogger(__name__)

_PAGE = 1_000
"""Blobs of one look at the store, and of one transaction."""
_BATCH = 100
"""Blobs that are deleted between two transactions."""
_COUNTED = 100_000
"""Where nothing is deleted, more than those that are due are not counted."""
_TURN = timedelta(minutes=15)
"""Longer than a store takes for that, with all its tries: two replicas never delete at once."""
_AGAIN_S = 60.0
"""The pause before another try, where another replica was at it or the store did not answer."""

_TURN_NOTE = "collection.turn"
_LAST_NOTE = "collection.last"


@dataclass(frozen=True, slots=True)
class Times:
    """When things happen in a collection."""

    age: timedelta
    """How old a blob is before it may be marked."""
    lease: timedelta
    """How long a mark stands at least before the blob goes."""
    period: timedelta
    """How often a service collects by itself; never where it is zero."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What a part of a collection came to."""

    seen: int = 0
    seen_bytes: int = 0
    marked: int = 0
    marked_bytes: int = 0
    deleted: int = 0
    deleted_bytes: int = 0

    def __add__(self, other: "Collected") -> "Collected":
        """Both together."""
        return Collected(*(getattr(self, each) + getattr(other, each) for each in _FIGURES))


_FIGURES = tuple(each.name for each in fields(Collected))


class Collector:
    """Collects, by itself or when asked. One part at a time; of several replicas one has the turn."""

    def __init__(
        self,
        blobs: BlobAdapter,
        table: BindingAdapter,
        clock: Clock,
        *,
        name: str,
        times: Times,
        removing: asyncio.Lock,
        count: Count,
    ) -> None:
        """`name` is that of no other process; `removing` is held while bytes go, and by nobody who waits for them."""
        self._blobs = blobs
        self._table = table
        self._clock = clock
        self._name = name
        self._removing = removing
        self._count = count
        self._removals: set[asyncio.Task[tuple[Collected, bool]]] = set()
        self.times = times
        """When things happen."""

    async def run(self) -> None:
        """Finish what an earlier process left half deleted, then collect once a period, until cancelled."""
        unfinished = True
        while True:
            pause_s = _AGAIN_S
            try:
                while unfinished:
                    _, unfinished = await self.delete_due(only_left=True)
                pause_s = await self._until_next_s()
                if pause_s <= 0:
                    await self.once()
                    pause_s = self.times.period.total_seconds()
            except TheoryError as error:
                unfinished, pause_s = True, _AGAIN_S
                _log.warning("collection.failed", extra={"theory_fields": {"reason": error.reason}})
            except Exception:  # noqa: BLE001 - nobody waits for this task: unseen, garbage would stay for ever
                unfinished, pause_s = True, _AGAIN_S
                _log.exception("collection.broke")
            await self._clock.sleep(pause_s)

    async def once(self) -> Collected:
        """A whole collection. Raises what the stores raise; what was done before stays done."""
        total, more = Collected(), True
        while more:
            part, more = await self.delete_due()
            total += part
        part, after = await self.look(None)
        total += part
        while after is not None:
            part, after = await self.look(after)
            total += part
        now = rfc3339(self._clock.now())
        await self._table.write(lambda step: step.note(_LAST_NOTE, now))
        _log.info("collection.ended", extra={"theory_fields": asdict(total)})
        return total

    async def look(self, after: Cid | None, *, dry_run: bool = False) -> tuple[Collected, Cid | None]:
        """Look at a page of blobs behind `after` and mark what may go; where the next page begins, if there is one."""
        page = await self._blobs.scan(after, _PAGE)
        old = [blob for blob in page if blob.time < self._clock.now() - self.times.age]
        found = await self._table.read(lambda table: _unwanted(table, old)) if old else []
        if found and not dry_run:
            found = await self._table.write(lambda step: self._mark(step, found))
        looked = Collected(len(page), sum(blob.size_bytes for blob in page))
        part = replace(looked, marked=len(found), marked_bytes=sum(blob.size_bytes for blob in found))
        return part, page[-1].cid if page else None

    async def delete_due(self, *, dry_run: bool = False, only_left: bool = False) -> tuple[Collected, bool]:
        """Delete some of the blobs whose lease is over; whether there are more.

        `only_left`: of those alone that are half deleted already. `Conflict` (`COLLECTION_RUNNING`).
        """
        if dry_run:
            before = self._clock.now() - self.times.lease - MARGIN
            due = await self._table.read(lambda table: _unreferred(table, table.due(before, _COUNTED)))
            return _deleted(due), False
        removal = asyncio.create_task(self._delete_due(only_left=only_left), name="blob-removal")
        self._removals.add(removal)
        removal.add_done_callback(self._ended)
        return await asyncio.shield(removal)  # whoever asked may go away: what is under way ends in order

    async def close(self) -> None:
        """Return once nothing is being deleted."""
        await asyncio.gather(*self._removals, return_exceptions=True)

    def _ended(self, removal: asyncio.Task[tuple[Collected, bool]]) -> None:
        self._removals.discard(removal)
        if not removal.cancelled():
            removal.exception()  # told to whoever waits; where nobody does, the next collection meets it again

    async def _delete_due(self, *, only_left: bool) -> tuple[Collected, bool]:
        async with self._removing:
            leaving, more = await self._table.write(lambda step: self._condemn(step, only_left=only_left))
            if leaving:
                await self._delete(leaving.keys())
                await self._table.write(lambda step: step.unmark(leaving.keys()))
        self._count(COLLECTED, len(leaving))
        self._count(COLLECTED_BYTES, sum(mark.size_bytes for mark in leaving.values()))
        return _deleted(leaving), more

    async def _delete(self, cids: Collection[Cid]) -> None:
        try:
            await self._blobs.delete(cids)
        except NotReady:
            # The store may not delete here, and will not the next time: they are let go, or nobody could put them.
            await self._table.write(lambda step: step.unmark(cids))
            raise

    def _mark(self, step: BindingTransaction, blobs: list[StoredBlob]) -> list[StoredBlob]:
        found = _unwanted(step, blobs)
        step.mark(found, self._clock.now())
        return found

    def _condemn(self, step: BindingTransaction, *, only_left: bool) -> tuple[Mapping[Cid, Mark], bool]:
        """What is to be deleted now, to which nobody can refer from here on; whether there may be more."""
        now = self._clock.now()
        if left := step.deleting(_BATCH):
            self._take_turn(step, now)
            return left, True
        due = {} if only_left else step.due(now - self.times.lease - MARGIN, _BATCH)
        if not due:
            return {}, False
        self._take_turn(step, now)
        unwanted = _unreferred(step, due)
        step.unmark(due.keys() - unwanted.keys())
        step.condemn(unwanted.keys())
        return unwanted, True

    def _take_turn(self, step: BindingTransaction, now: datetime) -> None:
        """Where others may delete from the same store, one does; a turn that was not ended is over after a while."""
        if self._blobs.exclusive:
            return
        holder, _, until = (step.noted(_TURN_NOTE) or "").partition(" ")
        if holder not in ("", self._name) and parse_rfc3339(until) > now:
            raise Conflict("COLLECTION_RUNNING", "another replica collects blobs: try again later")
        step.note(_TURN_NOTE, f"{self._name} {rfc3339(now + _TURN)}")

    async def _until_next_s(self) -> float:
        """How long it is to the next collection; none ever comes where there is no period."""
        if not self.times.period:
            return timedelta(days=1).total_seconds()
        last = await self._table.read(lambda table: table.noted(_LAST_NOTE))
        now = self._clock.now()
        if last is None:
            await self._table.write(lambda step: step.note(_LAST_NOTE, rfc3339(now)))
            return self.times.period.total_seconds()
        return (parse_rfc3339(last) + self.times.period - now).total_seconds()


def _unwanted(table: BindingReader, blobs: list[StoredBlob]) -> list[StoredBlob]:
    """Those that nothing refers to and that have no mark."""
    cids = [blob.cid for blob in blobs]
    passed = table.referenced(cids) | table.marks(cids).keys()
    return [blob for blob in blobs if blob.cid not in passed]


def _unreferred(table: BindingReader, marks: Mapping[Cid, Mark]) -> Mapping[Cid, Mark]:
    wanted = table.referenced(marks.keys())
    return {cid: mark for cid, mark in marks.items() if cid not in wanted}


def _deleted(marks: Mapping[Cid, Mark]) -> Collected:
    return Collected(deleted=len(marks), deleted_bytes=sum(mark.size_bytes for mark in marks.values()))
