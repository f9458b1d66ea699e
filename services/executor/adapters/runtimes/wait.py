"""Waiting with a limit, on a clock that tests turn by hand."""

import asyncio

from theory.core.clock import Clock


async def until_set(event: asyncio.Event, clock: Clock, limit_s: float) -> bool:
    """Return True once the event is set, or False once `limit_s` seconds have passed without."""
    if event.is_set():
        return True
    waits = (asyncio.ensure_future(event.wait()), asyncio.ensure_future(clock.sleep(limit_s)))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    return event.is_set()
