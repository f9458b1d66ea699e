"""Leases: marks are taken away by whoever wants a blob, and what is being deleted is nobody's."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import pytest

from services.artifacts.adapters.bindings.memory import MemoryBindings
from services.artifacts.adapters.blobs.memory import MemoryBlobs
from services.artifacts.domain.leases import Leases, available, condemned
from services.artifacts.ports import BindingReader, StoredBlob
from tests.leases import LEASE, leases_of
from theory.core.cid import Cid
from theory.core.clock import FakeClock
from theory.core.errors import Unavailable

_T = TypeVar("_T")

ONE, TWO = Cid.of(b"one"), Cid.of(b"two")


class Table(MemoryBindings):
    """Counts how often it is asked."""

    reads = 0

    async def read(self, step: Callable[[BindingReader], _T]) -> _T:
        self.reads += 1
        return await super().read(step)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def table(clock: FakeClock) -> Table:
    return Table(clock)


@pytest.fixture
def leases(table: Table, clock: FakeClock) -> Leases:
    blobs = MemoryBlobs()
    blobs.data_by_cid.update({ONE: b"one", TWO: b"two"})
    return leases_of(blobs, table, clock)


async def mark(table: Table, *cids: Cid, deleting: bool = False) -> None:
    await table.write(
        lambda step: step.mark([StoredBlob(cid, 3, FakeClock().now()) for cid in cids], FakeClock().now())
    )
    if deleting:
        await table.write(lambda step: step.condemn(cids))


async def test_a_mark_is_taken_away_from_what_is_asked_for(leases: Leases, table: Table) -> None:
    await mark(table, ONE, TWO)
    assert await leases.renew([ONE]) == set()
    assert table.table.marks([ONE, TWO]).keys() == {TWO}


async def test_what_is_being_deleted_stays_so(leases: Leases, table: Table) -> None:
    await mark(table, ONE, TWO)
    await table.write(lambda step: step.condemn([TWO]))
    assert await leases.renew([ONE, TWO]) == {TWO}
    assert table.table.marks([ONE, TWO]).keys() == {TWO}


async def test_where_nothing_is_marked_nobody_is_asked_for_a_while(
    leases: Leases, table: Table, clock: FakeClock
) -> None:
    for _ in range(3):
        assert await leases.renew([ONE]) == set()
    assert table.reads == 1
    clock.advance(31)
    await leases.renew([ONE])
    assert table.reads == 2


async def test_a_machine_that_slept_asks_again(leases: Leases, table: Table, clock: FakeClock) -> None:
    await leases.renew([ONE])
    clock._now += timedelta(hours=25)  # the monotonic clock stood still
    await leases.renew([ONE])
    assert table.reads == 2


async def test_asking_for_nothing_asks_nobody(leases: Leases, table: Table) -> None:
    await leases.recall([])
    assert table.reads == 0


async def test_who_puts_waits_until_the_bytes_are_gone(leases: Leases, table: Table, clock: FakeClock) -> None:
    await mark(table, ONE, deleting=True)
    claiming = asyncio.ensure_future(leases.claim([ONE]))
    await clock.until_sleepers(1)
    await table.write(lambda step: step.unmark([ONE]))
    clock.advance(0.05)
    assert await claiming == set()


async def test_who_waits_in_vain_is_told_so(leases: Leases, table: Table, clock: FakeClock) -> None:
    await mark(table, ONE, deleting=True)
    claiming = asyncio.ensure_future(leases.claim([ONE]))
    await clock.until_sleepers(1)
    clock.advance(11)
    assert await claiming == {ONE}
    error = condemned(ONE)
    assert isinstance(error, Unavailable)
    assert (error.reason, error.metadata) == ("BLOB_CONDEMNED", {"cid": ONE.text})


async def test_a_transaction_refers_only_to_what_is_not_being_deleted(leases: Leases, table: Table) -> None:
    blobs = MemoryBlobs()
    blobs.data_by_cid.update({ONE: b"one", TWO: b"two"})
    await mark(table, ONE, TWO)
    await table.write(lambda step: step.condemn([TWO]))
    assert await table.write(lambda step: available(step, blobs, [ONE, TWO])) == {ONE: 3}
    assert table.table.marks([ONE, TWO]).keys() == {TWO}


def test_a_lease_is_counted_from_now_on(leases: Leases, clock: FakeClock) -> None:
    clock.advance(5)
    assert leases.expire_time() == clock.now() + LEASE
