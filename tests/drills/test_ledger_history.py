"""The judge of the ledger's drills finds every fault that it is there for, and none where there is none."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.drills.ledger_history import Key, LedgerHistory, Place
from theory.core.chain import GENESIS, Event, NewEvent, seal

TS = "2026-01-02T03:04:05.000006Z"


def chain(*ids: str) -> list[Event]:
    events: list[Event] = []
    for seq, event_id in enumerate(ids, start=1):
        before = events[-1].this_hash if events else GENESIS
        events.append(seal(NewEvent(event_id, "scratch.a", TS, {}), "p", seq, before))
    return events


def told(events: list[Event]) -> LedgerHistory:
    """A client that was told of all of them but the last, and saw the head grow."""
    history = LedgerHistory({Key("p", each.event_id) for each in events})
    history.acked = {Key("p", each.event_id): Place(each.seq, each.this_hash) for each in events[:-1]}
    history.heads = [{"p": Place(each.seq, each.this_hash)} for each in events]
    return history


def test_what_was_answered_and_is_there_is_no_fault() -> None:
    assert told(chain("a", "b", "c")).faults(chain("a", "b", "c")) == []


def test_what_was_not_answered_may_be_there_or_not() -> None:
    history = told(chain("a", "b", "c"))
    history.tried.add(Key("p", "d"))
    history.heads.pop()
    assert history.faults(chain("a", "b")) == []
    assert history.faults(chain("a", "b", "d")) == []


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda events: events[:1], "acknowledged, and lost"),
        (lambda events: [events[1], events[0], events[2]], ""),
        (lambda _: chain("b", "a", "c"), "acknowledged at"),
        (lambda events: [*events, events[0]], "stored twice"),
        (lambda events: chain(*(each.event_id for each in events), "x"), "never sent"),
        (lambda events: [events[0], events[1], replace(events[2], seq=4)], "has gaps"),
        (lambda events: [*events[:2], replace(events[2], this_hash=GENESIS)], "is not in the chain"),
    ],
)
def test_each_fault_is_found(damage: Callable[[list[Event]], list[Event]], fault: str) -> None:
    events = chain("a", "b", "c")
    found = told(events).faults(damage(events))
    assert any(fault in each for each in found) if fault else found == []


def test_a_head_that_goes_back_is_found() -> None:
    events = chain("a", "b", "c")
    history = told(events)
    history.heads.reverse()
    assert any("went back" in each for each in history.faults(events))


def test_a_state_that_does_not_contain_one_before_is_found() -> None:
    history = told(chain("a"))
    history.refused.append("LOG_FORKED")
    assert history.faults(chain("a")) == ["LOG_FORKED"]
