"""Streams that outlive their connections: attached again after any break, where they stood."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

from theory.core.clock import Clock
from theory.core.errors import TheoryError, Unavailable

P = TypeVar("P")
T = TypeVar("T")

PATIENCE_S = 60.0
"""How long a stream is asked for again while nothing answers."""

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0


async def followed(
    attach: Callable[[P], AsyncGenerator[tuple[P, T], None]],
    position: P,
    clock: Clock,
    *,
    patience_s: float = PATIENCE_S,
    over: Callable[[T | None], Awaitable[bool]] | None = None,
    on_break: Callable[[Exception], None] | None = None,
) -> AsyncGenerator[T, None]:
    """What `attach` gives from `position` on, each with the position to go on from; again after any break.

    A stream that its server ended is over where `over` says so of its last message, None where it had none; without
    `over` it never is. `on_break` is told of each break. `Unavailable` once nothing has answered for `patience_s`.
    """
    pause_s, heard_at = _FIRST_PAUSE_S, clock.monotonic()
    while True:
        before, last = position, None
        try:
            async with aclosing(attach(position)) as messages:
                async for at, message in messages:
                    position, last = at, message
                    pause_s, heard_at = _FIRST_PAUSE_S, clock.monotonic()
                    yield message
            if over is not None and await over(last):
                return
            heard_at = clock.monotonic()
        except (Unavailable, TimeoutError, asyncio.CancelledError) as error:
            if _cancelled_here():
                raise
            if clock.monotonic() - heard_at >= patience_s:
                raise _lost(error) from error
            if on_break is not None and isinstance(error, Exception):
                on_break(error)
        if position == before:
            # A stream that ends without a word must not be asked again and again at once.
            await clock.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


def _cancelled_here() -> bool:
    """Whether it is this task that is to end; a server that goes away cancels its calls, too."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _lost(error: BaseException) -> TheoryError:
    return error if isinstance(error, TheoryError) else Unavailable("SERVICE_UNREACHABLE", "the service went away")
