"""The table in memory: steps that fail leave nothing, and its events reach the ledger."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from services.artifacts.adapters.bindings.memory import MemoryBindings
from services.artifacts.ports import BindingTransaction, Fence, Hold, PathKey, Pin, PinKind
from theory.core.chain import NewEvent
from theory.core.cid import Cid
from theory.core.clock import FakeClock
from theory.core.errors import Invalid, TheoryError, Unavailable
from theory.core.ids import ExecutionId
from theory.core.ledger import Appended, PlanEvent

NOW = datetime(2026, 1, 1, tzinfo=UTC)
A, B = PathKey("w", "/artifacts/a"), PathKey("w", "/artifacts/b")
X = ExecutionId("x")


def hold(key: PathKey, owner: str | None) -> Hold:
    return Hold(key, Cid.of(b""), 0, "text/plain", NOW, owner)


def event(name: str) -> PlanEvent:
    return PlanEvent("p-1", NewEvent(name, "artifact.written", "2026-01-01T00:00:00.000000Z", {}))


class Ledger:
    """Takes events, unless it was told to fail."""

    def __init__(self, *failures: TheoryError) -> None:
        self.taken: list[str] = []
        self.failures = list(failures)
        self.full = asyncio.Event()
        self.refused = asyncio.Event()

    async def append(self, events: Sequence[PlanEvent]) -> list[Appended | TheoryError]:
        if self.failures:
            failure = self.failures.pop()
            if failure.reason == "EVENT_BODY_INVALID":
                self.refused.set()
                return [failure] * len(events)
            raise failure
        self.taken += [each.event.event_id for each in events]
        self.full.set()
        return [Appended(1, "0" * 64)] * len(events)


async def test_a_step_that_raises_leaves_nothing() -> None:
    bindings = MemoryBindings(FakeClock())
    table = bindings.table
    await bindings.write(lambda step: step.reserve([hold(A, "x")]))
    await bindings.write(lambda step: step.pin([Pin("x", "w", Cid.of(b""), PinKind.INPUT)]))

    def fails(step: BindingTransaction) -> None:
        step.bind([hold(A, None), hold(B, None)])
        step.release([X])
        step.fence([Fence(X, None, None, 1, open=False, time=NOW)])
        step.unpin(["x"], PinKind.INPUT)
        step.pin([Pin("y", "w", Cid.of(b""), PinKind.INPUT)])
        step.record([event("e")])
        raise Invalid("FIELD_INVALID", "no")

    with pytest.raises(Invalid):
        await bindings.write(fails)
    assert table.holds([A, B]) == {A: hold(A, "x")}
    assert table.fences([X]) == {}
    assert [table.pinned(holder, [Cid.of(b"")]) for holder in "xy"] == [{Cid.of(b"")}, set()]
    assert table.events == []
    await bindings.write(lambda step: step.release([X]))
    assert table.holds([A, B]) == {}


async def test_events_are_handed_over_in_order() -> None:
    bindings, ledger = MemoryBindings(FakeClock()), Ledger()
    await bindings.write(lambda step: step.record([event("1"), event("2")]))
    bindings.start(ledger)
    await ledger.full.wait()
    assert ledger.taken == ["1", "2"]
    await bindings.close()


async def test_events_wait_for_a_ledger_that_is_away() -> None:
    clock = FakeClock()
    bindings, ledger = MemoryBindings(clock), Ledger(Unavailable("SERVICE_UNREACHABLE", "away"))
    bindings.start(ledger)
    await bindings.write(lambda step: step.record([event("1")]))
    await clock.until_sleepers(1)
    assert ledger.taken == []
    clock.advance(1)
    await ledger.full.wait()
    assert ledger.taken == ["1"]
    await bindings.close()


async def test_an_event_that_is_refused_for_ever_holds_up_nobody() -> None:
    bindings, ledger = MemoryBindings(FakeClock()), Ledger(Invalid("EVENT_BODY_INVALID", "no"))
    bindings.start(ledger)
    await bindings.write(lambda step: step.record([event("1")]))
    await ledger.refused.wait()
    await bindings.write(lambda step: step.record([event("2")]))
    await ledger.full.wait()
    assert ledger.taken == ["2"]
    await bindings.close()
