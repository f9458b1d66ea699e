"""The other services that this one calls: the ledger, which takes events and decides what is in doubt."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import grpc

from theory.core.errors import TheoryError, Unavailable
from theory.core.ids import ExecutionId
from theory.core.ledger import Appended, PlanEvent
from theory.core.settle import Resolution
from theory.sdk.ledger import LedgerClient


class LedgerPeer:
    """`EventSink` and `Resolver` over the wire; whatever keeps the ledger from answering is `Unavailable`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._ledger = LedgerClient(channel)

    async def append(self, events: Sequence[PlanEvent]) -> Sequence[Appended | TheoryError]:
        with _answering():
            return await self._ledger.append_many(events)

    async def resolve(self, execution_id: ExecutionId, epoch: int) -> Resolution:
        with _answering():
            return await self._ledger.resolve(execution_id, epoch)


@contextmanager
def _answering() -> Iterator[None]:
    message = "the ledger did not answer"
    try:
        yield
    except TimeoutError as error:
        raise Unavailable("SERVICE_UNREACHABLE", message) from error
    except asyncio.CancelledError as error:
        # A ledger that shuts down cancels its calls. That must not look as if this task had been cancelled.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise Unavailable("SERVICE_UNREACHABLE", message) from error
