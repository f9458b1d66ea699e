"""The scrubber: finds what is damaged, touches nothing else, and keeps its pace and its place."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from services.artifacts.adapters.bindings.memory import MemoryBindings
from services.artifacts.adapters.blobs.memory import MemoryBlobs
from services.artifacts.ports import BlobReader
from services.artifacts.retention.domain import scrubber as scrubbing
from services.artifacts.retention.domain.counts import DAMAGED, SCRUBBED
from services.artifacts.retention.domain.scrubber import Scrubber
from theory.core.cid import Cid
from theory.core.clock import FakeClock
from theory.core.errors import Unavailable

DATA = [b"%d" % number for number in range(5)]
CIDS = sorted((Cid.of(data) for data in DATA), key=str)


class Blobs(MemoryBlobs):
    """Some cannot be read; one goes while it is read."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.unreadable: set[Cid] = set()
        self.going: Cid | None = None
        self.opened: list[Cid] = []

    async def open(self, cid: Cid) -> BlobReader | None:
        self.opened.append(cid)
        if cid in self.unreadable:
            raise Unavailable("STORE_UNREACHABLE", "the disk does not read it")
        reader = await super().open(cid)
        if cid == self.going and reader is not None:
            self.data_by_cid.pop(cid, None)
            reader._data = b""  # type: ignore[attr-defined]
        return reader


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def blobs(clock: FakeClock) -> Blobs:
    blobs = Blobs(clock)
    await blobs.put_many([(Cid.of(data), data) for data in DATA])
    return blobs


@pytest.fixture
def table(clock: FakeClock) -> MemoryBindings:
    return MemoryBindings(clock)


@pytest.fixture
def counts() -> Counter[str]:
    return Counter()


@pytest.fixture
def scrubber(blobs: Blobs, table: MemoryBindings, clock: FakeClock, counts: Counter[str]) -> Scrubber:
    return Scrubber(
        blobs,
        table,
        clock,
        bytes_per_s=16 * 1024 + 1,
        period=timedelta(days=30),
        removing=asyncio.Lock(),
        count=lambda name, by: counts.update({name: by}),
    )


async def test_what_is_damaged_is_put_aside_and_the_rest_stays(
    scrubber: Scrubber, blobs: Blobs, counts: Counter[str]
) -> None:
    blobs.data_by_cid[CIDS[2]] = b"x"
    blobs.data_by_cid[CIDS[3]] = b""
    found = await scrubber.part(None, for_s=1)
    assert (found.count, [each.cid for each in found.damaged], found.after) == (5, CIDS[2:4], None)
    assert blobs.data_by_cid.keys() == {*CIDS} - {*CIDS[2:4]}
    assert blobs.quarantined == {CIDS[2]: b"x", CIDS[3]: b""}
    assert (counts[SCRUBBED], counts[DAMAGED]) == (5, 2)


async def test_a_damaged_blob_is_healed_by_putting_it(scrubber: Scrubber, blobs: Blobs) -> None:
    blobs.data_by_cid[Cid.of(b"1")] = b"x"
    await scrubber.part(None, for_s=1)
    assert await blobs.missing([Cid.of(b"1")]) == {Cid.of(b"1")}
    await blobs.put_many([(Cid.of(b"1"), b"1")])
    assert (await scrubber.part(None, for_s=1)).damaged == ()


async def test_a_blob_that_goes_while_it_is_read_is_not_damaged(scrubber: Scrubber, blobs: Blobs) -> None:
    blobs.going = CIDS[1]
    found = await scrubber.part(None, for_s=1)
    assert found.damaged == ()
    assert blobs.quarantined == {}


async def test_a_blob_that_cannot_be_read_is_passed_over_and_a_store_that_is_away_is_not(
    scrubber: Scrubber, blobs: Blobs
) -> None:
    blobs.unreadable = {CIDS[0], CIDS[1], CIDS[4]}
    assert (await scrubber.part(None, for_s=1)).damaged == ()
    blobs.unreadable = {*CIDS}
    with pytest.raises(Unavailable):
        await scrubber.part(None, for_s=1)


async def test_a_part_ends_when_its_time_is_over(scrubber: Scrubber, blobs: Blobs) -> None:
    first = await scrubber.part(None, for_s=0)
    assert (first.count, first.after) == (1, CIDS[0])
    rest = await scrubber.part(first.after, for_s=1)
    assert (rest.count, rest.after) == (4, None)


async def test_it_reads_no_faster_than_it_may_and_goes_on_after_a_restart(
    scrubber: Scrubber, blobs: Blobs, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrubbing, "_PAGE", 2)
    background = asyncio.ensure_future(scrubber.run())
    for _ in range(2 * 3):  # a second for each blob: one pause for the blob, one for its byte
        await clock.until_sleepers(1)
        clock.advance(0.999999)
    assert len(blobs.opened) <= 4
    background.cancel()
    await asyncio.gather(background, return_exceptions=True)
    assert await scrubber._table.read(lambda table: table.noted("scrub.place")) == CIDS[1].text
    blobs.opened.clear()
    await scrubber.part(Cid(CIDS[1].text), for_s=1)
    assert blobs.opened == CIDS[2:]


async def test_once_through_it_waits_for_the_next_period(scrubber: Scrubber, blobs: Blobs, clock: FakeClock) -> None:
    began = clock.now()
    turning = asyncio.ensure_future(_turn(clock))
    while not (pause_s := await scrubber._next()):
        pass
    turning.cancel()
    assert blobs.opened == CIDS
    assert clock.now() + timedelta(seconds=pause_s) <= began + scrubber.period + timedelta(seconds=1)
    assert timedelta(seconds=pause_s) > scrubber.period / 2


async def _turn(clock: FakeClock) -> None:
    while True:
        await clock.until_sleepers(1)
        clock.advance(1)


async def test_at_a_rate_of_nothing_it_does_not_look(scrubber: Scrubber, blobs: Blobs, clock: FakeClock) -> None:
    scrubber.bytes_per_s = 0
    background = asyncio.ensure_future(scrubber.run())
    await clock.until_sleepers(1)
    assert blobs.opened == []
    background.cancel()
