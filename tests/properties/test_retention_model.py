"""Every interleaving of collectors with those that put, look for, bind, reserve and pin a blob, in the small.

The rules that are driven are those of the service; each statement on a table and each call of a store is a step. A
collector is killed between any two of them, and another one goes on. Days pass at any moment. Rules that are broken on
purpose show that the checks would see it.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import pytest

from services.artifacts.adapters.bindings.memory import MemoryBindings, MemoryTable
from services.artifacts.adapters.blobs.memory import MemoryBlobs
from services.artifacts.adapters.blobs.s3.known import TRUST_S
from services.artifacts.domain import bindings, leases, pinning
from services.artifacts.domain.artifacts import Artifacts, NewArtifact
from services.artifacts.domain.bindings import Written
from services.artifacts.domain.leases import MARGIN, Leases
from services.artifacts.domain.store import BlobStore, NewBlob
from services.artifacts.ports import (
    BindingReader,
    BindingTransaction,
    BlobIndex,
    PathKey,
    Pin,
    PinKind,
    StoredBlob,
)
from services.artifacts.retention.domain.collector import Collector, Times
from tests.properties.interleavings import Work, explore, gate
from theory.core.artifact import Output
from theory.core.binding import Preparation
from theory.core.cid import Cid
from theory.core.clock import FakeClock
from theory.core.errors import TheoryError
from theory.core.ids import ExecutionId, PlanId
from theory.core.world_path import WorldName, WorldPath

_T = TypeVar("_T")

DATA = b"old"
CID = Cid.of(DATA)
W, X = WorldName("w"), ExecutionId("x")
PATH = WorldPath("/artifacts/a")
DAY = timedelta(days=1)


class Clock(FakeClock):
    """Who sleeps lets another step come between, and as much time pass as anybody waits in vain."""

    async def sleep(self, s: float) -> None:
        await gate()
        self.advance(10)


class Blobs(MemoryBlobs):
    """Each call is a step."""

    async def missing(self, cids: Sequence[Cid]) -> set[Cid]:
        await gate()
        return await super().missing(cids)

    async def put_many(self, blobs: Sequence[tuple[Cid, bytes]]) -> list[TheoryError | None]:
        await gate()
        return await super().put_many(blobs)

    async def scan(self, after: Cid | None, limit: int) -> list[StoredBlob]:
        await gate()
        return await super().scan(after, limit)

    async def delete(self, cids: Collection[Cid]) -> None:
        await gate()
        await super().delete(cids)


class Table(MemoryBindings):
    """Each transaction is a step."""

    async def write(self, step: Callable[[BindingTransaction], _T]) -> _T:
        await gate()
        return await super().write(step)

    async def read(self, step: Callable[[BindingReader], _T]) -> _T:
        await gate()
        return await super().read(step)


class Model:
    """One store with one old blob, and what was promised of it."""

    def __init__(self, *, marked: bool) -> None:
        self.clock = Clock()
        self.blobs, self.table = Blobs(self.clock), Table(self.clock)
        self.leases = Leases(self.blobs, self.table, self.clock, lease=DAY)
        self.store = BlobStore(self.blobs, self.leases, max_blob_bytes=100)
        self.artifacts = Artifacts(self.store, self.blobs, self.leases, self.table, self.clock)
        self.promised_until = datetime.min.replace(tzinfo=self.clock.now().tzinfo)
        self.deleted = False
        self.refused = False
        self.blobs.data_by_cid[CID] = DATA
        if marked:
            self.table.table.mark([StoredBlob(CID, len(DATA), self.clock.now())], self.clock.now())
            self.table.table.keep()
            self.clock.advance((DAY + 2 * MARGIN).total_seconds())

    def collector(self) -> Collector:
        """One more process."""
        return Collector(
            self.blobs,
            self.table,
            self.clock,
            name="c",
            times=Times(timedelta(days=7), DAY, DAY),
            removing=asyncio.Lock(),
            count=lambda name, by: None,
        )

    async def collects(self, *, looks: bool = False) -> None:
        collector = self.collector()
        if looks:
            await collector.look(None)
        await collector._delete_due(only_left=False)

    async def collects_and_is_killed(self, steps: int) -> None:
        """Dies after so many steps; the process that follows finishes first what was left, then collects."""
        killed = self.collects()
        with contextlib.suppress(StopIteration):  # it found nothing to do
            killed.send(None)
            for _ in range(steps):
                await gate()
                killed.send(None)
        killed.close()
        await self.collector()._delete_due(only_left=True)
        await self.collects()

    async def time(self) -> None:
        await gate()
        self.clock.advance((DAY + 2 * MARGIN).total_seconds())

    async def puts(self) -> bool:
        """Whether it is stored."""
        expire_time = self.store.expire_time()
        (answer,) = await self.store.put_many([NewBlob(DATA)])
        return self._promised(expire_time, kept=isinstance(answer, Cid))

    async def looks(self) -> bool:
        """Whether it is there."""
        expire_time = self.store.expire_time()
        return self._promised(expire_time, kept=not await self.store.find_missing([CID]))

    def _promised(self, expire_time: datetime, *, kept: bool) -> bool:
        if kept:
            self.promised_until = max(self.promised_until, expire_time)
        self.refused |= not kept
        return kept

    async def binds(self) -> None:
        (answer,) = await self.artifacts.put_many(W, None, [NewArtifact(PATH, CID, "text/plain")])
        self._require(isinstance(answer, Written))

    async def reserves(self) -> None:
        output = Output(PATH, CID, len(DATA))
        (error,) = await self.artifacts.prepare_many([Preparation(W, PlanId("p"), X, 1, (output,))])
        self._require(error is None)

    async def pins(self) -> None:
        await self.leases.recall([CID])
        pin = Pin("x", "w", CID, PinKind.INPUT)
        (error,) = await self.table.write(lambda step: pinning.pin(step, self.blobs, [pin]))
        self._require(error is None)

    def _require(self, done: bool) -> None:
        self.refused |= not done
        assert done or self.clock.now() >= self.promised_until, "who was promised the blob could not refer to it"

    def check(self) -> None:
        """What is true after each step."""
        there = CID in self.blobs.data_by_cid
        self.deleted |= not there
        table = self.table.table
        key = PathKey("w", PATH.text)
        assert there or not (table.holds([key]) or table.pinned("x", [CID])), "what is referred to is gone"
        assert there or self.clock.now() >= self.promised_until, "what was promised is gone"


class Explored:
    """Every interleaving of some work, and how the runs went."""

    def __init__(self, *, marked: bool, **work: Callable[[Model], Work]) -> None:
        self._marked = marked
        self._work = work
        self._models: list[Model] = []
        self.count = explore(self._start, self._check)
        self.deleted = sum(each.deleted for each in self._models)
        self.refused = sum(each.refused for each in self._models)

    def _check(self) -> None:
        self._models[-1].check()

    def _start(self) -> Mapping[str, Work]:
        self._models.append(model := Model(marked=self._marked))
        return {name: work(model) for name, work in self._work.items()}


async def _puts_then(model: Model, then: Callable[[Model], Work]) -> None:
    if await model.puts():
        await then(model)


async def _looks_then(model: Model, then: Callable[[Model], Work]) -> None:
    if await model.looks() or await model.puts():
        await then(model)


REFERRING = {"bind": Model.binds, "reserve": Model.reserves, "pin": Model.pins}
FIRST = {"put": _puts_then, "look": _looks_then}


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("then", REFERRING)
def test_what_is_promised_or_referred_to_is_never_collected(first: str, then: str) -> None:
    explored = Explored(
        marked=True,
        collector=Model.collects,
        client=lambda model: FIRST[first](model, REFERRING[then]),
    )
    assert explored.count > 30
    assert 0 < explored.deleted < explored.count


@pytest.mark.parametrize("then", REFERRING)
def test_who_was_promised_nothing_refers_to_it_or_is_refused(then: str) -> None:
    explored = Explored(marked=True, collector=Model.collects, client=REFERRING[then])
    assert 0 < explored.deleted < explored.count
    assert 0 < explored.refused <= explored.deleted


@pytest.mark.parametrize(
    ("then", "steps"), [("bind", 0), ("reserve", 1), pytest.param("pin", 2, marks=pytest.mark.slow)]
)
def test_a_collector_that_is_killed_loses_nothing_and_the_next_one_goes_on(then: str, steps: int) -> None:
    explored = Explored(
        marked=True,
        collector=lambda model: model.collects_and_is_killed(steps),
        client=lambda model: _looks_then(model, REFERRING[then]),
    )
    assert 0 < explored.deleted < explored.count
    assert not any(model.table.table.deleting(1) for model in explored._models)


@pytest.mark.parametrize("first", FIRST)
def test_time_that_passes_at_any_moment_takes_nothing_that_is_promised(first: str) -> None:
    explored = Explored(
        marked=False,
        collector=partial(Model.collects, looks=True),
        time=Model.time,
        client=lambda model: FIRST[first](model, REFERRING["bind"]),
    )
    assert explored.count > 500
    assert 0 < explored.deleted < explored.count


@pytest.mark.slow
def test_two_clients_at_once_break_nothing() -> None:
    explored = Explored(marked=True, collector=Model.collects, one=Model.puts, other=Model.binds)
    assert 0 < explored.deleted < explored.count


async def _asks_nobody(self: Leases, cids: Collection[Cid]) -> set[Cid]:
    return set()


def _stored(transaction: BindingTransaction, blobs: BlobIndex, cids: Collection[Cid]) -> Mapping[Cid, int]:
    return blobs.sizes(cids)


def _deletes_whatever_is_due(table: BindingTransaction, cids: Collection[Cid]) -> set[Cid]:
    return set()


async def _lets_put_first(self: Collector, *, only_left: bool) -> None:
    leaving, _ = await self._table.write(lambda step: self._condemn(step, only_left=only_left))
    await self._table.write(lambda step: step.unmark(leaving.keys()))
    await self._blobs.delete(leaving.keys())


def _explore_all() -> None:
    for first in FIRST.values():
        Explored(marked=True, collector=Model.collects, client=partial(first, then=Model.binds))
    Explored(marked=True, collector=Model.collects, client=Model.binds)
    looks = partial(Model.collects, looks=True)
    Explored(marked=False, collector=looks, time=Model.time, client=Model.binds)


@pytest.mark.parametrize(
    ("of", "name", "rule"),
    [
        (Leases, "renew", _asks_nobody),
        (bindings, "available", _stored),
        (MemoryTable, "referenced", _deletes_whatever_is_due),
        (Collector, "_delete_due", _lets_put_first),
    ],
    ids=["put asks nobody", "bind asks nobody", "references are not looked at", "the mark goes before the bytes"],
)
def test_a_broken_rule_is_noticed(monkeypatch: pytest.MonkeyPatch, of: object, name: str, rule: object) -> None:
    monkeypatch.setattr(of, name, rule)
    with pytest.raises(AssertionError, match="the way there"):
        _explore_all()


def test_the_margin_covers_what_is_believed_a_while() -> None:
    assert leases._CLEAR + timedelta(seconds=TRUST_S) < leases.MARGIN
