"""Pruned events and the records of them: each is checked against the other."""

from dataclasses import replace

import pytest

from tests.unit.theory.core.refusal import refused
from theory.core.audit import Audit
from theory.core.chain import GENESIS, Event, NewEvent, seal
from theory.core.errors import Invalid
from theory.core.jcs import JSON
from theory.core.ledger import ChainHead
from theory.core.pruning import KIND, PRUNABLE, Leftover, Pruned, prunable_of, record_of

TS = "2026-01-02T00:00:00.000000Z"
KINDS = ("plan.submitted", "scratch.kv.changed", "streams.sampled", "execution.started", "scratch.queue.retry")


def chain(*records: dict[str, JSON]) -> list[Event]:
    events: list[Event] = []
    bodies: list[tuple[str, dict[str, JSON]]] = [(kind, {"n": at}) for at, kind in enumerate(KINDS)]
    for seq, (kind, body) in enumerate([*bodies, *((KIND, each) for each in records)], start=1):
        before = events[-1].this_hash if events else GENESIS
        events.append(seal(NewEvent(f"e{seq}", kind, TS, body), "p-1", seq, before))
    return events


def pruned(events: list[Event], *seqs: int) -> list[Event]:
    return [replace(each, preimage=b"", event_id="", body={}) if each.seq in seqs else each for each in events]


def record(*seqs: int, after: int = 0, to: int = 5, kinds: tuple[str, ...] = PRUNABLE) -> dict[str, JSON]:
    left = [Leftover(each.seq, each.kind, each.this_hash) for each in chain() if each.seq in seqs]
    return record_of(left, after_seq=after, to_seq=to, kinds=kinds, freed_bytes=9)


def faults(events: list[Event]) -> list[str]:
    audit = Audit("p-1")
    audit.read_events(events[:3])
    audit.read_events(events[3:])
    return [
        f"{each.what} {each.seq}" for each in audit.faults(ChainHead("p-1", len(events), events[-1].this_hash), None)
    ]


def test_what_a_record_stands_for_is_no_fault() -> None:
    events = chain(record(2, 5, kinds=("scratch.*",)), record(3, 4))
    assert faults(pruned(events, 2, 3, 4, 5)) == []
    assert faults(chain()) == []
    audit = Audit("p-1")
    audit.read_events(pruned(events, 2, 3, 4, 5))
    assert audit.pruned == 4


def test_parts_of_a_chain_are_pruned_one_after_the_other() -> None:
    assert faults(pruned(chain(record(2, to=2), record(3, 4, 5, after=2)), 2, 3, 4, 5)) == []


@pytest.mark.parametrize("seqs", [(2,), (1,), (5,)])
def test_an_event_that_no_record_stands_for_is_a_fault(seqs: tuple[int, ...]) -> None:
    assert faults(pruned(chain(), *seqs)) == [f"PRUNED {each}" for each in seqs]


def test_an_event_that_is_never_pruned_is_a_fault_even_within_a_record() -> None:
    assert faults(pruned(chain(record(2, 3, 4, 5)), 1, 2, 3, 4, 5)) == ["PRUNED 1"]


def test_one_more_or_one_fewer_than_were_pruned_is_a_fault_of_the_record() -> None:
    assert faults(pruned(chain(record(2, 3)), 2, 3, 4)) == ["PRUNED 6"]
    assert faults(pruned(chain(record(2, 3, 4)), 2, 3)) == ["PRUNED 6"]


def test_another_event_cannot_be_passed_off_as_one_that_was_pruned() -> None:
    """Its kind is the ledger's word alone, its hash is not."""
    events = pruned(chain(record(2)), 2)
    events[0] = replace(events[0], preimage=b"", kind="scratch.kv.changed")
    assert faults(events) == ["PRUNED 6"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        record(2) | {"to_seq": 6},
        record(2) | {"after_seq": "0"},
        record(2) | {"kinds": ["plan.*"]},
        record(2) | {"kinds": [1]},
        record(2) | {"kinds": "scratch.*"},
        record(2) | {"events": 2},
        record(2) | {"digest": "b3:" + "0" * 64},
    ],
)
def test_a_record_that_says_nothing_of_use_is_a_fault(body: dict[str, JSON]) -> None:
    assert "PRUNED 6" in faults(pruned(chain(body), 2))


def test_a_record_that_reaches_behind_itself_or_backwards_takes_nothing() -> None:
    assert faults(pruned(chain(record(2, after=5, to=1)), 2)) == ["PRUNED 2", "PRUNED 6"]


def test_a_pruned_event_still_has_to_follow_the_one_before_it() -> None:
    events = pruned(chain(record(2)), 2)
    events[1] = replace(events[1], prev_hash=GENESIS)
    assert faults(events) == ["LINK 2"]


def test_kinds_and_families_are_chosen_among_those_that_prove_nothing() -> None:
    assert prunable_of(()) == PRUNABLE
    assert prunable_of(["scratch.queue.*", "execution.started", "scratch.queue.*"]) == (
        "execution.started",
        "scratch.queue.*",
    )


@pytest.mark.parametrize("kind", ["", "*", "scratch", "execution.*", "execution.settled", "budget.*", "ledger.pruned"])
def test_what_proves_something_is_never_chosen(kind: str) -> None:
    with refused(Invalid, "EVENT_KIND_INVALID"):
        prunable_of([kind])


def test_none_is_counted_where_none_is_pruned() -> None:
    found = Pruned()
    for each in chain():
        found.read(each)
    assert (found.count, found.faults()) == (0, [])
