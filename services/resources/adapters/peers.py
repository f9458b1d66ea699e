"""The one service that this one calls: the ledger, which takes the events of scratch."""

from collections.abc import Sequence

import grpc

from theory.core.errors import TheoryError
from theory.core.ledger import Appended, PlanEvent
from theory.sdk.answering import answering
from theory.sdk.ledger import LedgerClient


class LedgerPeer:
    """Appends over the wire; whatever keeps the ledger from answering is `Unavailable`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._ledger = LedgerClient(channel)

    async def append(self, events: Sequence[PlanEvent]) -> Sequence[Appended | TheoryError]:
        """One answer per event, in order."""
        with answering("ledger"):
            return await self._ledger.append_many(events)
