"""Work that goes on by itself, and pauses that grow."""

import asyncio

import pytest

from services.drivers.background import Background, Pauses
from theory.core.clock import FakeClock


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_it_runs_once_until_it_is_closed_and_may_be_started_again() -> None:
    begun: list[int] = []

    async def run() -> None:
        begun.append(len(begun))
        await asyncio.Event().wait()

    background = Background("work", run)
    await background.close()
    for expected in ([0], [0, 1]):
        background.start()
        background.start()
        await settle()
        assert background.started
        assert begun == expected
        await background.close()
        assert not background.started


async def test_what_broke_it_is_raised_where_it_is_closed() -> None:
    async def run() -> None:
        raise LookupError("broken")

    background = Background("work", run)
    background.start()
    await settle()
    with pytest.raises(LookupError):
        await background.close()


async def test_pauses_double_up_to_the_longest_and_begin_anew() -> None:
    clock = FakeClock()
    pauses = Pauses(clock, longest_s=0.3)
    for expected in (0.1, 0.2, 0.3, 0.3):
        assert pauses.next_s == pytest.approx(expected)
        pause = asyncio.ensure_future(pauses.make())
        await settle()
        clock.advance(expected - 0.01)
        await settle()
        assert not pause.done()
        clock.advance(0.02)
        await pause
    pauses.reset()
    assert pauses.next_s == pytest.approx(0.1)
