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


async def test_a_detached_caller_leaves_at_once() -> None:
    pool = Threads("test", 1, detached=True)
    begun, may_end = threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        may_end.wait()

    call = asyncio.create_task(pool.run(slow))
    await asyncio.to_thread(begun.wait)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    pool.close()
    may_end.set()


async def test_no_more_run_at_once_than_the_pool_has_threads(threads: Threads) -> None:
    running, most = 0, 0
    lock, together = threading.Lock(), threading.Barrier(2)

    def busy() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait()
        with lock:
            running -= 1

    await asyncio.gather(*(threads.run(busy) for _ in range(6)))
    assert most == 2


async def test_who_left_before_the_work_began_asked_for_nothing() -> None:
    pool = Threads("test", 1, detached=True)
    may_end = threading.Event()
    ran: list[int] = []

    def work(number: int) -> None:
        may_end.wait()
        ran.append(number)

    calls = [asyncio.create_task(pool.run(work, number)) for number in (1, 2, 3)]
    await asyncio.sleep(0)
    calls[1].cancel()
    await asyncio.gather(calls[1], return_exceptions=True)
    may_end.set()
    await asyncio.gather(calls[0], calls[2])
    assert ran == [1, 3]
    pool.close()


async def test_a_closed_pool_takes_nothing() -> None:
    pool = Threads("test", 1)
    await pool.run(int)
    pool.close()
    with pytest.raises(RuntimeError):
        await pool.run(int)
