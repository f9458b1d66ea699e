"""Work that is done once for all who ask."""

import asyncio

import pytest

from services.executor.adapters.flight import Flights


class _Work:
    def __init__(self) -> None:
        self.calls = 0
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()

    async def __call__(self) -> int:
        self.calls += 1
        self.begun.set()
        await self.may_end.wait()
        return self.calls


async def test_who_asks_meanwhile_shares_the_work() -> None:
    flights, work = Flights[int](), _Work()
    asking = [asyncio.create_task(flights.join("a", work)) for _ in range(3)]
    await work.begun.wait()
    work.may_end.set()
    assert await asyncio.gather(*asking) == [1, 1, 1]
    assert await flights.join("a", work) == 2


async def test_a_caller_that_leaves_does_not_end_the_work() -> None:
    flights, work = Flights[int](), _Work()
    leaving = asyncio.create_task(flights.join("a", work))
    await work.begun.wait()
    leaving.cancel()
    staying = asyncio.create_task(flights.join("a", work))
    await asyncio.gather(leaving, return_exceptions=True)
    work.may_end.set()
    assert await staying == 1


async def test_a_failure_reaches_everyone_and_is_not_kept() -> None:
    flights = Flights[int]()

    async def fail() -> int:
        raise ValueError

    for _ in range(2):
        with pytest.raises(ValueError, match=r"^$"):
            await flights.join("a", fail)


async def test_closing_ends_what_is_under_way() -> None:
    flights, work = Flights[int](), _Work()
    asking = asyncio.create_task(flights.join("a", work))
    await work.begun.wait()
    await flights.close()
    with pytest.raises(asyncio.CancelledError):
        await asking
