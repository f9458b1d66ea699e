"""The tests of services/executor/domain/patience.py."""

import asyncio
from typing import Any

import pytest

from services.executor.domain.patience import FIRST_PAUSE_S, LONGEST_PAUSE_S, patiently, persistently
from theory.core.clock import FakeClock
from theory.core.errors import Conflict, Exhausted, TheoryError, Unavailable


class _Peer:
    """Away for some calls, then there."""

    def __init__(self, *faults: BaseException) -> None:
        self.faults = list(faults)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.faults:
            raise self.faults.pop(0)
        return "answer"


async def test_a_peer_that_answers_is_asked_once() -> None:
    peer = _Peer()
    assert await patiently(FakeClock(), peer) == "answer"
    assert peer.calls == 1


async def test_a_peer_that_is_away_is_asked_again_until_it_is_back() -> None:
    clock, peer = FakeClock(), _Peer(Unavailable("SERVICE_UNREACHABLE", "away"), TimeoutError(), TimeoutError())
    asking = asyncio.create_task(patiently(clock, peer))
    pause_s = FIRST_PAUSE_S
    for _ in range(3):
        await clock.until_sleepers(1)
        clock.advance(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        await asyncio.sleep(0)
    assert await asking == "answer"
    assert peer.calls == 4


async def test_a_refusal_is_not_asked_again() -> None:
    peer = _Peer(Conflict("EPOCH_FENCED", "too late"))
    with pytest.raises(Conflict):
        await patiently(FakeClock(), peer)
    assert peer.calls == 1


async def test_a_peer_that_is_flooded_is_asked_again() -> None:
    clock, peer = FakeClock(), _Peer(Exhausted("TOO_MANY_CALLS", "the server is full"))
    asking = asyncio.create_task(patiently(clock, peer))
    await clock.until_sleepers(1)
    clock.advance(FIRST_PAUSE_S)
    assert await asking == "answer"


async def test_a_full_disk_is_waited_for_where_something_must_be_written_down() -> None:
    clock, peer = FakeClock(), _Peer(Exhausted("DISK_FULL", "full"), Unavailable("SERVICE_UNREACHABLE", "away"))
    asking = asyncio.create_task(persistently(clock, peer))
    for pause_s in (FIRST_PAUSE_S, 2 * FIRST_PAUSE_S):
        await clock.until_sleepers(1)
        clock.advance(pause_s)
        await asyncio.sleep(0)
    assert await asking == "answer"


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (patiently, Exhausted("DISK_FULL", "full")),
        (persistently, Exhausted("FOREIGN_STATUS", "the message is too large")),
        (persistently, Conflict("EPOCH_FENCED", "too late")),
    ],
)
async def test_what_does_not_pass_by_waiting_is_raised(ask: Any, error: TheoryError) -> None:
    peer = _Peer(error)
    with pytest.raises(type(error)) as caught:
        await ask(FakeClock(), peer)
    assert (caught.value, peer.calls) == (error, 1)


async def test_a_peer_that_stays_away_is_told_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    clock, peer = FakeClock(), _Peer(*[Unavailable("SERVICE_UNREACHABLE", "away")] * 9)
    asking = asyncio.create_task(patiently(clock, peer))
    for _ in range(9):
        await clock.until_sleepers(1)
        clock.advance(LONGEST_PAUSE_S)
        await asyncio.sleep(0)
    assert await asking == "answer"
    assert [record.message for record in caplog.records] == ["peer.away", "peer.away"]
