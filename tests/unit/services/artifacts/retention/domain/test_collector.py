"""Collections: what goes, when, and who goes on where one was killed."""

import asyncio
from collections import Counter
from collections.abc import Collection
from datetime import timedelta

import pytest

from services.artifacts.adapters.bindings.memory import MemoryBindings
from services.artifacts.adapters.blobs.memory import MemoryBlobs
from services.artifacts.domain.leases import MARGIN
from services.artifacts.ports import Hold, PathKey, Pin, PinKind
from services.artifacts.retention.domain import collector as collection
from services.artifacts.retention.domain.collector import Collected, Collector, Times
from services.artifacts.retention.domain.counts import COLLECTED, COLLECTED_BYTES
from theory.core.cid import Cid
from theory.core.clock import FakeClock
from theory.core.errors import Conflict, NotReady, TheoryError, Unavailable

DAY = timedelta(days=1)
BLOBS = {Cid.of(data): data for data in (b"bound", b"reserved", b"input", b"upload", b"free")}
BOUND, RESERVED, INPUT, UPLOAD, FREE = BLOBS
OVER_S = (DAY + MARGIN).total_seconds() + 1


class Blobs(MemoryBlobs):
    """Fails to delete, if it was told to; and may be one that others have open, too."""

    failure: TheoryError | None = None

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.exclusive = True

    async def delete(self, cids: Collection[Cid]) -> None:
        if self.failure is not None:
            raise self.failure
        await super().delete(cids)


class Store:
    """Blobs of all kinds, in a table that refers to some of them."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.blobs, self.table = Blobs(self.clock), MemoryBindings(self.clock)
        self.counts: Counter[str] = Counter()

    def collector(self, name: str = "c", *, period: timedelta = DAY) -> Collector:
        return Collector(
            self.blobs,
            self.table,
            self.clock,
            name=name,
            times=Times(7 * DAY, DAY, period),
            removing=asyncio.Lock(),
            count=lambda name, by: self.counts.update({name: by}),
        )

    async def fill(self) -> None:
        await self.blobs.put_many(list(BLOBS.items()))
        holds = [
            Hold(PathKey("w", f"/artifacts/{cid.hex}"), cid, 3, "text/plain", self.clock.now(), owner)
            for cid, owner in ((BOUND, None), (RESERVED, "x"))
        ]
        await self.table.write(lambda step: step.bind(holds[:1]))
        await self.table.write(lambda step: step.reserve(holds[1:]))
        pins = [Pin("x", "w", INPUT, PinKind.INPUT), Pin("x", "w", UPLOAD, PinKind.UPLOAD)]
        await self.table.write(lambda step: step.pin(pins))

    @property
    def gone(self) -> set[Cid]:
        return BLOBS.keys() - self.blobs.data_by_cid.keys()


@pytest.fixture
async def store() -> Store:
    store = Store()
    await store.fill()
    return store


async def test_what_is_old_and_free_is_marked_and_goes_a_lease_later(store: Store) -> None:
    collector = store.collector()
    young = await collector.once()
    assert (young.seen, young.seen_bytes, young.marked) == (5, 28, 0)
    store.clock.advance(8 * DAY.total_seconds())
    first = await collector.once()
    assert (first.marked, first.marked_bytes, first.deleted) == (1, 4, 0)
    assert await collector.once() == Collected(seen=5, seen_bytes=28)
    store.clock.advance(DAY.total_seconds())
    assert (await collector.once()).deleted == 0
    store.clock.advance(MARGIN.total_seconds() + 1)
    last = await collector.once()
    assert (last.deleted, last.deleted_bytes, last.seen) == (1, 4, 4)
    assert store.gone == {FREE}
    assert store.counts == {COLLECTED: 1, COLLECTED_BYTES: 4}


async def test_a_blob_that_is_referred_to_after_it_was_marked_stays(store: Store) -> None:
    collector = store.collector()
    store.clock.advance(8 * DAY.total_seconds())
    await collector.once()
    hold = Hold(PathKey("w", "/artifacts/late"), FREE, 4, "text/plain", store.clock.now(), None)
    store.table.table.bind([hold])  # as by a program that knows nothing of marks
    store.clock.advance(OVER_S)
    assert (await collector.once()).deleted == 0
    assert store.gone == set()
    assert not store.table.table.marked()


async def test_marks_of_what_is_wanted_again_do_not_end_a_collection(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection, "_BATCH", 2)
    long_ago = store.clock.now()
    found = await store.blobs.scan(None, 9)
    await store.table.write(lambda step: step.mark(found, long_ago))
    store.clock.advance(OVER_S)
    assert (await store.collector().once()).deleted == 1
    assert store.gone == {FREE}
    assert not store.table.table.marked()


async def test_a_dry_run_counts_and_changes_nothing(store: Store) -> None:
    collector = store.collector()
    store.clock.advance(8 * DAY.total_seconds())
    part, after = await collector.look(None, dry_run=True)
    assert (part.marked, after) == (1, max(BLOBS, key=str))
    assert not store.table.table.marked()
    await collector.once()
    store.clock.advance(OVER_S)
    assert await collector.delete_due(dry_run=True) == (Collected(deleted=1, deleted_bytes=4), False)
    assert store.gone == set()


async def test_what_a_store_did_not_delete_is_deleted_by_the_next_process(store: Store) -> None:
    store.clock.advance(8 * DAY.total_seconds())
    await store.collector().once()
    store.clock.advance(OVER_S)
    store.blobs.failure = Unavailable("STORE_UNREACHABLE", "away")
    with pytest.raises(Unavailable):
        await store.collector().once()
    assert store.table.table.deleting(9).keys() == {FREE}
    store.blobs.failure = None
    background = asyncio.ensure_future(store.collector(period=timedelta(0)).run())
    await store.clock.until_sleepers(1)
    assert store.gone == {FREE}
    assert not store.table.table.marked()
    background.cancel()


async def test_a_store_that_may_not_delete_keeps_nobody_from_putting(store: Store) -> None:
    store.clock.advance(8 * DAY.total_seconds())
    await store.collector().once()
    store.clock.advance(OVER_S)
    store.blobs.failure = NotReady("STORE_DENIED", "the policy of the bucket")
    with pytest.raises(NotReady):
        await store.collector().once()
    assert not store.table.table.marked()
    assert store.gone == set()


async def test_a_service_collects_by_itself_once_a_period_across_restarts(store: Store) -> None:
    store.clock.advance(8 * DAY.total_seconds())
    for _ in range(2):
        background = asyncio.ensure_future(store.collector().run())
        await store.clock.until_sleepers(1)
        assert not store.table.table.marked()
        store.clock.advance(DAY.total_seconds() / 2)
        background.cancel()
        await asyncio.gather(background, return_exceptions=True)
    background = asyncio.ensure_future(store.collector().run())
    await store.clock.until_sleepers(1)
    assert store.table.table.marked()
    background.cancel()


async def test_of_replicas_one_has_the_turn_until_it_is_over(store: Store) -> None:
    store.blobs.exclusive = False
    store.clock.advance(8 * DAY.total_seconds())
    await store.collector().once()
    store.clock.advance(OVER_S)
    store.blobs.failure = Unavailable("STORE_UNREACHABLE", "away")
    with pytest.raises(Unavailable):
        await store.collector("one").once()
    store.blobs.failure = None
    with pytest.raises(Conflict) as refused:
        await store.collector("two").once()
    assert refused.value.reason == "COLLECTION_RUNNING"
    store.clock.advance(15 * 60 + 1)
    assert (await store.collector("two").once()).deleted == 1


async def test_what_is_under_way_ends_though_nobody_waits_for_it(store: Store) -> None:
    store.clock.advance(8 * DAY.total_seconds())
    collector = store.collector()
    await collector.once()
    store.clock.advance(OVER_S)
    asking = asyncio.ensure_future(collector.delete_due())
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await collector.close()
    assert store.gone == {FREE}
    assert not store.table.table.marked()


def test_parts_add_up() -> None:
    assert Collected(1, 2, 3, 4, 5, 6) + Collected(1, 1, 1, 1, 1, 1) == Collected(2, 3, 4, 5, 6, 7)
