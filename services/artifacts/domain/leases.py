"""Leases: how long somebody may rely on a blob that nothing refers to yet, and who has to be asked first.

A blob that goes is marked first, at least a lease and `MARGIN` before its bytes go. So whoever finds no mark may rely
on the blob for a lease from then on, whatever happens later; whoever finds one takes it away. That is asked *before*
the store is: between the two the bytes cannot go.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from services.artifacts.ports import BindingAdapter, BindingTransaction, BlobAdapter, BlobIndex
from theory.core.cid import Cid
from theory.core.clock import Clock
from theory.core.errors import Unavailable

MARGIN = timedelta(minutes=5)
"""What the bytes of a marked blob stay beyond the lease: for clocks that differ, and for what is believed a while."""

_CLEAR = timedelta(seconds=30)
"""How long it is believed that no blob is marked. What is marked meanwhile stays for longer than that."""
_PATIENCE_S = 10.0
_PAUSE_S = 0.05


class Leases:
    """Asked by everything that tells somebody that a blob is there, before it looks."""

    def __init__(self, blobs: BlobAdapter, table: BindingAdapter, clock: Clock, *, lease: timedelta) -> None:
        self._blobs = blobs
        self._table = table
        self._clock = clock
        self._lease = lease
        self._clear: tuple[datetime, float] | None = None
        """When no blob was marked, by both clocks: a machine that slept knows it by one of them alone."""

    def expire_time(self) -> datetime:
        """Until when blobs may be relied on that are told to be there from now on."""
        return self._clock.now() + self._lease

    async def renew(self, cids: Collection[Cid]) -> set[Cid]:
        """Take the marks of these blobs away; those of them that are being deleted, whom that came too late for.

        Costs nothing where no blob was marked a moment ago.
        """
        if not cids or self._still_clear():
            return set()
        began = self._clock.now(), self._clock.monotonic()
        marks = await self._table.read(lambda reader: reader.marks(cids) if reader.marked() else None)
        if marks is None:
            self._clear = began
            return set()
        return await self._table.write(lambda step: _renewed(step, marks)) if marks else set()

    async def claim(self, cids: Collection[Cid]) -> set[Cid]:
        """As `renew`, and wait for those that are being deleted, so that they may be put again.

        What is returned is being deleted still, after 10 seconds: `condemned` says so.
        """
        until = self._clock.monotonic() + _PATIENCE_S
        while (leaving := await self.renew(cids)) and self._clock.monotonic() < until:
            await self._clock.sleep(_PAUSE_S)
        return leaving

    async def recall(self, cids: Collection[Cid]) -> None:
        """Before a transaction that will ask for these blobs with `available`. Errors as `BlobAdapter.recall`."""
        if cids:
            await self.renew(cids)
            await self._blobs.recall(cids)

    def _still_clear(self) -> bool:
        if self._clear is None:
            return False
        seen, elapsed = self._clear
        passed = timedelta(seconds=self._clock.monotonic() - elapsed)
        return passed < _CLEAR and timedelta(0) <= self._clock.now() - seen < _CLEAR


def available(transaction: BindingTransaction, blobs: BlobIndex, cids: Collection[Cid]) -> Mapping[Cid, int]:
    """The lengths of the blobs that this transaction may refer to: those that are stored, and are not being deleted.

    They were recalled before (`Leases.recall`). Their marks are taken away.
    """
    sizes = blobs.sizes(cids)
    marks = transaction.marks(cids)
    if not marks:
        return sizes
    transaction.unmark([cid for cid, mark in marks.items() if not mark.deleting])
    return {cid: size for cid, size in sizes.items() if cid not in marks or not marks[cid].deleting}


def condemned(cid: Cid) -> Unavailable:
    """What whoever puts a blob is told that is being deleted at this moment."""
    return Unavailable("BLOB_CONDEMNED", "the blob is being deleted at this moment: put it again", cid=cid.text)


def _renewed(transaction: BindingTransaction, cids: Collection[Cid]) -> set[Cid]:
    marks = transaction.marks(cids)
    leaving = {cid for cid, mark in marks.items() if mark.deleting}
    transaction.unmark(marks.keys() - leaving)
    return leaving
