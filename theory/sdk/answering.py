"""What a service that calls a peer must not mistake: a peer that went away for a task that was cancelled."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from theory.core.errors import Unavailable


@contextmanager
def answering(peer: str) -> Iterator[None]:
    """Inside it, whatever keeps `peer` from answering is `Unavailable` (`SERVICE_UNREACHABLE`), to be tried again.

    A server that shuts down cancels its calls, and a call that takes too long times out: neither may look as if the
    caller's own task had been cancelled.
    """
    message = f"the service {peer} did not answer"
    try:
        yield
    except TimeoutError as error:
        raise Unavailable("SERVICE_UNREACHABLE", message) from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise Unavailable("SERVICE_UNREACHABLE", message) from error
