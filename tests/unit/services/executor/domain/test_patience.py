"""The tests of services/executor/domain/patience.py."""

import asyncio

import pytest

from services.executor.domain.patience import FIRST_PAUSE_S, LONGEST_PAUSE_S, patiently
from theory.core.clock import FakeClock
from theory.core.errors import Conflict, Unavailable


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
