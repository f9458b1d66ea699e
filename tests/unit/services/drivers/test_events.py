"""Events that are sent best effort: in order, again after a pause, dropped and counted where the line is full."""

import asyncio
import logging

import pytest

from services.drivers import events
from services.drivers.events import BestEffort
from tests.surroundings import Notes
from theory.core.chain import NewEvent
from theory.core.clock import FakeClock
from theory.core.errors import Unavailable
from theory.core.ledger import PlanEvent


def event(number: int) -> PlanEvent:
    ts = "2026-01-01T00:00:00.000000Z"
    return PlanEvent("p", NewEvent(f"kv/{number}", "scratch.kv.changed", ts, {"key": "k", "op": "put"}))


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_events_arrive_in_their_order() -> None:
    notes = Notes()
    line = BestEffort(notes.append, FakeClock())
    line.start()
    line.emit([event(1), event(2)])
    line.emit([event(3)])
    await settle()
    assert notes.appended == [event(1), event(2), event(3)]
    await line.close()


async def test_what_the_ledger_missed_is_sent_again(caplog: pytest.LogCaptureFixture) -> None:
    notes, clock = Notes(), FakeClock()
    line = BestEffort(notes.append, clock)
    line.start()
    notes.away = Unavailable("STORE_UNREACHABLE", "the ledger is away")
    line.emit([event(1)])
    await settle()
    line.emit([event(2)])
    notes.away = None
    clock.advance(1)
    await settle()
    assert notes.appended == [event(1), event(2)]
    assert any(record.message == "events.wait" for record in caplog.records)
    await line.close()


async def test_a_full_line_drops_the_oldest_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    notes = Notes()
    line = BestEffort(notes.append, FakeClock())
    with caplog.at_level(logging.WARNING):
        line.emit(event(number) for number in range(events.MAX_WAITING + 3))
    assert line.dropped == 3
    line.start()
    await line.close()
    assert notes.appended[0] == event(3)
    assert len(notes.appended) == events.MAX_WAITING


async def test_a_close_does_not_wait_for_a_ledger_that_is_away() -> None:
    notes = Notes()
    notes.away = Unavailable("STORE_UNREACHABLE", "the ledger is away")
    line = BestEffort(notes.append, FakeClock())
    line.start()
    line.emit([event(1)])
    await line.close()
    assert line.dropped == 1
