"""Work on one name at a time."""

import asyncio

import pytest

from services.artifacts.adapters.blobs.s3.flights import Flights, Outcome
from theory.core.cid import Cid
from theory.core.errors import Unavailable

ONE, TWO = Cid.of(b"one"), Cid.of(b"two")


class Work:
    """Counts how often it was begun, and ends when it is told."""

    def __init__(self, outcome: Outcome = None) -> None:
        self.begun = self.cancelled = 0
        self.end = asyncio.Event()
        self._outcome = outcome

    async def __call__(self) -> Outcome:
        self.begun += 1
        try:
            await self.end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self._outcome


async def _turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_all_that_come_meanwhile_get_the_outcome_of_the_first() -> None:
    flights, work = Flights(), Work(Unavailable("STORE_UNREACHABLE", "away"))
    joined = [asyncio.create_task(flights.join(ONE, work)) for _ in range(8)]
    await _turns()
    work.end.set()
    assert {type(each) for each in await asyncio.gather(*joined)} == {Unavailable}
    assert work.begun == 1


async def test_other_names_and_later_work_go_their_own_way() -> None:
    flights, work = Flights(), Work()
    work.end.set()
    await asyncio.gather(flights.join(ONE, work), flights.join(TWO, work))
    await flights.join(ONE, work)
    assert work.begun == 3


async def test_work_goes_on_while_anybody_waits_and_ends_with_the_last() -> None:
    flights, work = Flights(), Work()
    first, second = (asyncio.create_task(flights.join(ONE, work)) for _ in range(2))
    await _turns()
    first.cancel()
    await _turns()
    assert (work.begun, work.cancelled) == (1, 0)
    second.cancel()
    await _turns()
    assert (work.begun, work.cancelled) == (1, 1)


async def test_nobody_joins_what_is_being_cancelled() -> None:
    flights, work = Flights(), Work()
    first = asyncio.create_task(flights.join(ONE, work))
    await _turns()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    later = asyncio.create_task(flights.join(ONE, work))
    await _turns()
    work.end.set()
    assert await later is None
    assert work.begun == 2


async def test_closing_waits_for_what_is_under_way() -> None:
    flights, work = Flights(), Work()
    flights.start(work())
    closing = asyncio.create_task(flights.close())
    await _turns()
    assert not closing.done()
    work.end.set()
    await closing
