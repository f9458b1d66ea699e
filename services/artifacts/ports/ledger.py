"""Where events go, and who decides what is in doubt: the ledger."""

from collections.abc import Sequence
from typing import Protocol

from theory.core.errors import TheoryError
from theory.core.ids import ExecutionId
from theory.core.ledger import Appended, PlanEvent
from theory.core.settle import Resolution


class EventSink(Protocol):
    """Where events go: the ledger."""

    async def append(self, events: Sequence[PlanEvent]) -> Sequence[Appended | TheoryError]:
        """Append each event to its chain; one answer each, in order. A repeat changes nothing."""
        ...


class Resolver(Protocol):
    """Who decides an execution that is in doubt: the ledger."""

    async def resolve(self, execution_id: ExecutionId, epoch: int) -> Resolution:
        """The final receipt, or the promise that `epoch` never settles. Both are for ever."""
        ...
