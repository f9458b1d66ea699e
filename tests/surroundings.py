"""What adapters are opened with in tests: a clock that is turned by hand, ids that count, a ledger that takes notes."""

from collections.abc import Iterable, Sequence

from services.drivers.opening import Opening
from theory.core.clock import Clock, FakeClock
from theory.core.errors import TheoryError
from theory.core.ids import SequenceIds
from theory.core.ledger import Appended, PlanEvent
from theory.core.secret import Secret


class Notes:
    """A ledger that keeps each event once, in the order in which they came; `away` makes it unreachable."""

    def __init__(self) -> None:
        self.appended: list[PlanEvent] = []
        self.emitted: list[PlanEvent] = []
        self.away: TheoryError | None = None
        self._known: set[tuple[str, str]] = set()

    async def append(self, events: Sequence[PlanEvent]) -> Sequence[Appended | TheoryError]:
        if self.away is not None:
            raise self.away
        for each in events:
            if (each.plan_id, each.event.event_id) not in self._known:
                self._known.add((each.plan_id, each.event.event_id))
                self.appended.append(each)
        return [Appended(idx, "0" * 64) for idx, _ in enumerate(events, 1)]

    def emit(self, events: Iterable[PlanEvent]) -> None:
        self.emitted.extend(events)


def opening(clock: Clock | None = None, notes: Notes | None = None, *, secret: Secret | None = None) -> Opening:
    clock, notes = clock or FakeClock(), notes or Notes()
    return Opening(clock, SequenceIds(), notes.append, notes.emit, secret)
