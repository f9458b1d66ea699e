"""The tests of theory/sdk/answering.py."""

import asyncio

import pytest

from theory.core.errors import Conflict, Unavailable
from theory.sdk.answering import answering


async def _cancelled_call() -> None:
    """A call that its server cancelled: the future ends so, and nobody cancelled the task that waits for it."""
    call = asyncio.get_running_loop().create_future()
    call.cancel()
    await call


async def test_what_the_peer_answers_goes_through() -> None:
    with answering("ledger"):
        answer = 7
    assert answer == 7


async def test_an_error_of_the_peer_stays_what_it_is() -> None:
    with pytest.raises(Conflict), answering("ledger"):
        raise Conflict("EPOCH_FENCED", "too late")


async def test_a_call_that_took_too_long_is_a_peer_that_is_away() -> None:
    with pytest.raises(Unavailable) as caught, answering("ledger"):
        raise TimeoutError
    assert caught.value.reason == "SERVICE_UNREACHABLE"
    assert "ledger" in caught.value.message


async def test_a_call_that_the_peer_cancelled_is_a_peer_that_is_away() -> None:
    with pytest.raises(Unavailable), answering("artifacts"):
        await _cancelled_call()


async def test_a_task_that_is_cancelled_ends() -> None:
    entered = asyncio.Event()

    async def wait() -> None:
        with answering("ledger"):
            entered.set()
            await asyncio.get_running_loop().create_future()

    task = asyncio.create_task(wait())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_a_timeout_of_the_caller_is_the_callers() -> None:
    async def wait() -> None:
        with answering("ledger"):
            await asyncio.get_running_loop().create_future()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(wait(), 0.001)
