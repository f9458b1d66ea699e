"""No change to a chain goes unseen: bytes, order, gaps, ends."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.core import jcs
from theory.core.chain import GENESIS, Event, NewEvent, seal, unseal, verify_chain
from theory.core.jcs import JSON

pytestmark = pytest.mark.slow

TS = "2026-01-02T03:04:05.000006Z"
BODIES = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=10),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=5,
    ),
    max_size=4,
)


def _chain(bodies: list[dict[str, JSON]]) -> list[Event]:
    events: list[Event] = []
    for seq, body in enumerate(bodies, start=1):
        prev_hash = events[-1].this_hash if events else GENESIS
        events.append(seal(NewEvent(f"e-{seq}", "a.b", TS, body), "p-1", seq, prev_hash))
    return events


CHAINS = st.lists(BODIES, min_size=1, max_size=6).map(lambda bodies: _chain([dict(body) for body in bodies]))


def _sound(events: list[Event], head: tuple[int, str]) -> bool:
    return verify_chain(events, plan_id="p-1", head=head) == []


@given(CHAINS)
@settings(deadline=None)
def test_a_chain_that_was_sealed_is_sound_and_reads_back(events: list[Event]) -> None:
    assert _sound(events, (len(events), events[-1].this_hash))
    for event in events:
        assert unseal(event.preimage, event.this_hash) == event
        document: JSON = {
            name: getattr(event, name) for name in ("body", "event_id", "kind", "plan_id", "prev_hash", "seq", "ts")
        }
        assert event.preimage == jcs.canonical(document)


@given(CHAINS, st.data())
@settings(deadline=None, max_examples=300)
def test_a_changed_byte_is_found(events: list[Event], data: st.DataObject) -> None:
    head = (len(events), events[-1].this_hash)
    at = data.draw(st.integers(0, len(events) - 1))
    stored = bytearray(events[at].preimage)
    place = data.draw(st.integers(0, len(stored) - 1))
    stored[place] ^= data.draw(st.integers(1, 255))
    events[at] = dataclasses.replace(events[at], preimage=bytes(stored))
    assert not _sound(events, head)


@given(CHAINS, st.data())
@settings(deadline=None, max_examples=300)
def test_any_other_order_selection_or_repetition_is_found(events: list[Event], data: st.DataObject) -> None:
    head = (len(events), events[-1].this_hash)
    other = data.draw(st.lists(st.sampled_from(events), max_size=len(events) + 2))
    assert _sound(other, head) == (other == events)


@given(CHAINS, BODIES, st.data())
@settings(deadline=None, max_examples=200)
def test_history_cannot_be_rewritten_under_a_known_head(
    events: list[Event], body: dict[str, JSON], data: st.DataObject
) -> None:
    head = (len(events), events[-1].this_hash)
    at = data.draw(st.integers(0, len(events) - 1))
    rewritten = _chain([body if place == at else dict(event.body) for place, event in enumerate(events)])
    assert _sound(rewritten, (len(rewritten), rewritten[-1].this_hash))
    assert _sound(rewritten, head) == (jcs.canonical(body) == jcs.canonical(dict(events[at].body)))
