"""A bounded pool of threads for libraries and system calls that block."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """Runs blocking functions beside the event loop, at most `size` at once; the others wait their turn."""

    def __init__(self, name: str, size: int) -> None:
        self._pool = ThreadPoolExecutor(size, thread_name_prefix=name)

    async def run(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What `fn` returns or raises.

        A caller that is cancelled leaves only once `fn` has ended: whatever comes next, such as a removal, cannot meet
        it half-way.
        """
        work = asyncio.get_running_loop().run_in_executor(self._pool, partial(fn, *args, **kwargs))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            if not work.cancelled():
                await asyncio.wait([work])
            if not work.cancelled():
                work.exception()  # taken note of: nobody else will ask
            raise

    def close(self) -> None:
        """Finish what runs, drop what waits."""
        self._pool.shutdown(wait=True, cancel_futures=True)
