"""Events of stores that cannot keep them: counted by the process, handed over after the change, best effort."""

from collections.abc import Sequence

from services.drivers.opening import Opening
from theory.core.clock import rfc3339
from theory.core.scratch import Change, sampled

_NAME_BYTES = 4


class Teller:
    """Counts the changes of plans, and hands those over that become events."""

    def __init__(self, area: str, opening: Opening) -> None:
        # Counts begin anew with each process; the ledger, which outlives it, must not take them for repeats.
        self._area = f"{area}/{opening.ids.token_hex(_NAME_BYTES)}"
        self._clock = opening.clock
        self._emit = opening.emit
        self._counted: dict[str, int] = {}

    def tell(self, plan_id: str, changes: Sequence[Change], *, every: int) -> None:
        """Hand over each `every`-th change of the plan; where that is 0, nothing is counted either."""
        if every and changes:
            counted = self._counted.get(plan_id, 0)
            self._counted[plan_id] = counted + len(changes)
            ts = rfc3339(self._clock.now())
            self._emit(sampled(plan_id, self._area, changes, counted=counted, every=every, ts=ts))

    def forget(self, plan_id: str) -> None:
        """The plan has ended."""
        self._counted.pop(plan_id, None)
