"""A bounded pool of threads for libraries and system calls that block."""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_LAST_S = 5.0


class Threads:
    """Runs blocking functions beside the event loop, at most `size` at once; the others wait their turn.

    A caller that is cancelled leaves only once its function has ended, so that whatever comes next, such as a removal,
    cannot meet it half-way. Of a `detached` pool it leaves at once, and the function goes on unheard: for calls that
    may take minutes and may be made again. The process never waits for either when it exits.
    """

    def __init__(self, name: str, size: int, *, detached: bool = False) -> None:
        self._name = name
        self._size = size
        self._detached = detached
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._busy = 0
        self._closed = False

    async def run(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What `fn` returns or raises."""
        if self._closed:
            message = f"the pool {self._name} is closed"
            raise RuntimeError(message)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._jobs.put(partial(_work, partial(fn, *args, **kwargs), answer, loop))
        self._busy += 1
        answer.add_done_callback(self._answered)
        if len(self._threads) < min(self._size, self._busy):
            thread = threading.Thread(target=self._take, name=f"{self._name}-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        return await (answer if self._detached else _to_the_end(answer))

    def close(self) -> None:
        """Take nothing more; wait a little for what runs."""
        self._closed = True
        for _ in self._threads:
            self._jobs.put(None)
        if not self._detached:
            for thread in self._threads:
                thread.join(_LAST_S)

    def _answered(self, _: asyncio.Future[Any]) -> None:
        self._busy -= 1

    def _take(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


async def _to_the_end(answer: "asyncio.Future[T]") -> T:
    try:
        return await asyncio.shield(answer)
    except asyncio.CancelledError:
        if not answer.cancelled():
            await asyncio.wait([answer])
        if not answer.cancelled():
            answer.exception()  # taken note of: nobody else will ask
        raise


def _work(fn: Callable[[], T], answer: "asyncio.Future[T]", loop: asyncio.AbstractEventLoop) -> None:
    result: T | None = None
    error: BaseException | None = None
    if answer.cancelled():  # who left before the work began asked for nothing
        return
    try:
        result = fn()
    except BaseException as caught:  # noqa: BLE001 - it is the caller's; the thread has to go on
        error = caught
    with suppress(RuntimeError):  # the loop has closed: nobody waits
        loop.call_soon_threadsafe(_tell, answer, result, error)


def _tell(answer: "asyncio.Future[Any]", result: object, error: BaseException | None) -> None:
    if answer.done():  # its caller left
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(result)
