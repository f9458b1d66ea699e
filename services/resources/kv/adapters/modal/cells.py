"""A register for each key on a Dict, whose one atomic write is put-if-absent: linearizable, a call for each operation.

Each write makes the next version of its key, so of two writers one wins and the other learns of it; none ever writes
over what it has not seen. A version never changes, so what is remembered of a key is current as long as the next
version is not there.

    v:<key>:<n>   version n, written once
    h:<key>       a version from which to walk, or the number above which a new chain begins

Entries that nobody touches for seven days are gone, one by one. So that no chain breaks in the middle, whoever uses a
key renews what it walks from once a day; a chain without a beginning is never resumed: a new one begins above it, at
the time, which those who begin it at once agree upon by put-if-absent.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from struct import Struct, error
from typing import NamedTuple, Self, TypeAlias
from weakref import WeakValueDictionary

from services.drivers.modal import foreign
from services.drivers.modal_objects import Dictionary, together
from services.drivers.moments import to_us
from theory.core.clock import Clock
from theory.core.errors import TheoryError

OP_BYTES = 16

_FORM = 1
_HEAD = Struct(">B?QQ16s")
_NUMBER_BYTES = 8

_HINT_EVERY = 8
_FAR = 8
_RENEW_S = 86_400.0
_EARLIER_US = 60_000_000
"""More than the clocks of replicas differ."""
_HEADS = 100_000
_HEAD_BYTES = 64 << 20


class Write(NamedTuple):
    """What a change makes of a key: a value, or nothing where it is deleted."""

    value: bytes | None
    expire_us: int = 0
    """0 where it does not expire."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One version of a key. The one below all others holds nothing."""

    version: int
    value: bytes | None = None
    expire_us: int = 0
    write_us: int = 0
    op: bytes = bytes(OP_BYTES)
    """Whose write it is."""

    def live(self, now_us: int) -> bool:
        """Whether a reader finds a value."""
        return self.value is not None and not 0 < self.expire_us <= now_us

    def pack(self) -> bytes:
        """As a Dict holds it."""
        kept = self.value is not None
        return _HEAD.pack(_FORM, kept, self.expire_us, self.write_us, self.op) + (self.value or b"")

    @classmethod
    def unpack(cls, version: int, data: bytes) -> Self:
        """What `pack` was given; `Corrupt` (`STORE_CORRUPT`)."""
        try:
            form, kept, expire_us, write_us, op = _HEAD.unpack_from(data)
        except error:
            raise foreign() from None
        if form != _FORM:
            raise foreign()
        return cls(version, data[_HEAD.size :] if kept else None, expire_us, write_us, op)


Change: TypeAlias = Callable[[Cell, int], Write | None]
"""What becomes of a cell at a moment, in microseconds; None where it stays. May be asked more than once."""


class Applied(NamedTuple):
    """A change that is done: what it was applied to, and when. The same change says from that what it did."""

    before: Cell
    at_us: int


@dataclass(slots=True)
class _Head:
    cell: Cell
    seen: float
    """When it was the newest, by the monotonic clock."""
    hint: int
    hinted: float


class Heads:
    """The newest known versions of all keys of a process: so many, and so heavy, at most. Shared by its `Cells`."""

    def __init__(self) -> None:
        self._heads: OrderedDict[tuple[object, str], _Head] = OrderedDict()
        self._weight = 0

    def get(self, place: object, key: str) -> _Head | None:
        """What is remembered."""
        found = self._heads.get((place, key))
        if found is not None:
            self._heads.move_to_end((place, key))
        return found

    def put(self, place: object, key: str, head: _Head) -> None:
        """Remember."""
        self.drop(place, key)
        self._heads[place, key] = head
        self._weight += len(head.cell.value or b"")
        while len(self._heads) > _HEADS or self._weight > _HEAD_BYTES:
            self.drop(*next(iter(self._heads)))

    def drop(self, place: object, key: str) -> None:
        """Forget."""
        found = self._heads.pop((place, key), None)
        if found is not None:
            self._weight -= len(found.cell.value or b"")


class Cells:
    """The keys of one Dict. What is absent is a cell without a value."""

    def __init__(self, dictionary: Dictionary, heads: Heads, clock: Clock) -> None:
        self._dictionary = dictionary
        self._heads = heads
        self._clock = clock
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def read(self, key: str) -> Cell | None:
        """The newest version; None where there never was one."""
        return await self._newest(key)

    async def update(
        self, key: str, change: Change, op: bytes, *, begin: bool = True, since_us: int | None = None
    ) -> Applied | None:
        """Apply a change to the newest version, once, whatever answers are lost.

        With `since_us` a write of this `op` may have been done by somebody else from that time on; then that one
        counts. Without `begin` a key that never was stays so, and the answer is None.
        """
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:  # writers of this process wait for each other instead of racing
            head = None if since_us is not None else self._trusted(key)
            sure = head is None
            cell = head.cell if head else await (self._begin(key) if begin else self._newest(key))
            if cell is None:
                return None
            if since_us is not None and (done := await self._earlier(key, cell, op, since_us)):
                return done
            lost = 0
            while True:
                now_us = to_us(self._clock.now())
                write = change(cell, now_us)
                if write is None:
                    if sure:
                        return Applied(cell, now_us)
                    cell, sure = await self._newest(key) or cell, True
                    if since_us is not None and (done := await self._earlier(key, cell, op, since_us)):
                        return done
                    continue
                mine = Cell(cell.version + 1, write.value, write.expire_us, now_us, op)
                held = await self._claimed(key, mine)
                await self._remember(key, held)
                if held.op == op:
                    return Applied(cell, held.write_us)
                lost += 1
                # Far behind one walks; but who else may write for this `op` is found only version by version.
                walk = lost > 1 and since_us is None
                cell, sure = (await self._newest(key) or held, True) if walk else (held, False)

    async def _claimed(self, key: str, mine: Cell) -> Cell:
        """Who has the version, for ever."""
        try:
            held = await self._dictionary.claim(f"v:{key}:{mine.version}", mine.pack())
        except TheoryError:
            self._heads.drop(self, key)
            raise
        return Cell.unpack(mine.version, held)

    async def _earlier(self, key: str, cell: Cell, op: bytes, since_us: int) -> Applied | None:
        """A write of this `op` among the versions up to `cell`."""
        while cell.write_us >= since_us - _EARLIER_US:
            versions = range(cell.version - 1, cell.version - 1 - _FAR, -1)
            found = await together(self._fetch(key, version) for version in versions)
            for version, below in zip(versions, found, strict=True):
                before = below or Cell(version)
                if cell.op == op:
                    return Applied(before, cell.write_us)
                cell = before
        return None

    async def _newest(self, key: str, hint: int | None = None) -> Cell | None:
        """From what is trusted, or from the hint."""
        head = self._trusted(key)
        if head is not None:
            cell = head.cell
        else:
            hint = hint or await self._hint(key)
            if hint is None:
                return None
            cell = await self._fetch(key, hint) or Cell(hint)
        steps = 0
        while (newer := await self._fetch(key, cell.version + 1)) is not None:
            cell = newer
            steps += 1
            if steps % _FAR == 0 and (far := await self._hint(key)) is not None and far > cell.version:
                hint, cell = far, await self._fetch(key, far) or cell
        await self._remember(key, cell, hint)
        return cell

    async def _begin(self, key: str) -> Cell:
        """Agree with whoever else begins on where the chain does."""
        mine = to_us(self._clock.now()).to_bytes(_NUMBER_BYTES)
        held = await self._dictionary.claim(f"h:{key}", mine)
        if held != mine:
            return await self._newest(key, _number(held)) or Cell(_number(held))
        now, base = self._clock.monotonic(), Cell(_number(held))
        self._heads.put(self, key, _Head(base, now, base.version, now))
        return base

    def _trusted(self, key: str) -> _Head | None:
        head = self._heads.get(self, key)
        return head if head is not None and self._clock.monotonic() - head.seen < _RENEW_S else None

    async def _remember(self, key: str, cell: Cell, hint: int | None = None) -> None:
        """Keep the head; move the hint along where the walk from it would be long, or its entries old."""
        now = self._clock.monotonic()
        head = self._heads.get(self, key) or _Head(cell, now, hint or cell.version, now)
        if head.cell.version <= cell.version:
            head = _Head(cell, now, head.hint, head.hinted)
            self._heads.put(self, key, head)
        old = now - head.hinted >= _RENEW_S
        if old or cell.version - head.hint >= _HINT_EVERY:
            with suppress(TheoryError):  # the next one does it
                if old:
                    await self._dictionary.has(f"v:{key}:{cell.version}")
                await self._dictionary.put(f"h:{key}", cell.version.to_bytes(_NUMBER_BYTES))
                head.hint, head.hinted = cell.version, now

    async def _hint(self, key: str) -> int | None:
        data = await self._dictionary.get(f"h:{key}")
        return None if data is None else _number(data)

    async def _fetch(self, key: str, version: int) -> Cell | None:
        data = await self._dictionary.get(f"v:{key}:{version}")
        return None if data is None else Cell.unpack(version, data)


def _number(data: bytes) -> int:
    if len(data) != _NUMBER_BYTES:
        raise foreign()
    return int.from_bytes(data)
