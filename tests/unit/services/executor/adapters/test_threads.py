"""The pool: what a call promises about the function it runs."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from services.executor.adapters.threads import Threads


@pytest.fixture
def threads() -> Iterator[Threads]:
    pool = Threads("test", 2)
    yield pool
    pool.close()


async def test_a_call_returns_what_its_function_returns(threads: Threads) -> None:
    assert await threads.run(divmod, 7, 2) == (3, 1)


async def test_a_call_raises_what_its_function_raises(threads: Threads) -> None:
    with pytest.raises(ZeroDivisionError):
        await threads.run(divmod, 7, 0)


async def test_a_cancelled_caller_leaves_only_once_its_function_has_ended(threads: Threads) -> None:
    begun, may_end = threading.Event(), threading.Event()
    ended: list[str] = []

    def slow() -> None:
        begun.set()
        may_end.wait()
        ended.append("function")

    call = asyncio.create_task(threads.run(slow))
    await asyncio.to_thread(begun.wait)
    call.cancel()
    await asyncio.sleep(0)
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert ended == ["function"]
