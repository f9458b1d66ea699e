"""Work that many may ask for at once and that is done once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Flights(Generic[T]):
    """Runs one task per key; whoever asks meanwhile waits for the same one. Nothing is remembered afterwards."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[T]] = {}

    async def join(self, key: str, make: Callable[[], Awaitable[T]]) -> T:
        """What `make` returns or raises for this key. A caller that is cancelled leaves the work to the others."""
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(_awaited(make))
            task.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End what is under way."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _landed(self, key: str, task: asyncio.Task[T]) -> None:
        del self._tasks[key]
        if not task.cancelled():
            task.exception()  # taken note of: whoever waited may have gone


async def _awaited(make: Callable[[], Awaitable[T]]) -> T:
    return await make()
