"""The other service that this one calls: the ledger, which takes events."""

import asyncio
from collections.abc import Sequence

import grpc

from theory.core.errors import TheoryError, Unavailable
from theory.core.ledger import Appended, PlanEvent
from theory.sdk.ledger import LedgerClient


class LedgerPeer:
    """`EventSink` over the wire; whatever keeps the ledger from answering is `Unavailable`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._ledger = LedgerClient(channel)

    async def append(self, events: Sequence[PlanEvent]) -> Sequence[Appended | TheoryError]:
        try:
            return await self._ledger.append_many(events)
        except TimeoutError as error:
            raise _silent() from error
        except asyncio.CancelledError as error:
            # A ledger that shuts down cancels its calls. That must not look as if this task had been cancelled.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise _silent() from error


def _silent() -> Unavailable:
    return Unavailable("SERVICE_UNREACHABLE", "the ledger did not answer")
