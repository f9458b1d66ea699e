"""Changes that a process counts, and the events that it makes of them."""

from services.drivers.teller import Teller
from tests.surroundings import Notes, opening
from theory.core.scratch import kv_changed

CHANGES = [kv_changed(f"k{idx}", "put") for idx in range(3)]


def numbers(notes: Notes) -> list[str]:
    return [each.event.event_id.rpartition("/")[2] for each in notes.emitted]


def test_changes_are_counted_by_plan_from_one() -> None:
    notes = Notes()
    teller = Teller("kv", opening(notes=notes))
    teller.tell("p", CHANGES, every=2)
    teller.tell("q", CHANGES, every=2)
    teller.tell("p", CHANGES, every=2)
    assert [(each.plan_id, number) for each, number in zip(notes.emitted, numbers(notes), strict=True)] == [
        ("p", "2"),
        ("q", "2"),
        ("p", "4"),
        ("p", "6"),
    ]


def test_what_nobody_asks_for_is_not_counted() -> None:
    notes = Notes()
    teller = Teller("kv", opening(notes=notes))
    teller.tell("p", CHANGES, every=0)
    teller.tell("p", [], every=1)
    teller.tell("p", CHANGES[:1], every=1)
    assert numbers(notes) == ["1"]


def test_each_process_counts_under_a_name_of_its_own() -> None:
    notes = Notes()
    surroundings = opening(notes=notes)
    for _ in range(2):
        Teller("kv", surroundings).tell("p", CHANGES[:1], every=1)
    first, second = (each.event.event_id for each in notes.emitted)
    assert first != second
    assert first.startswith("kv/")


def test_an_ended_plan_is_forgotten() -> None:
    teller = Teller("kv", opening())
    teller.tell("p", CHANGES, every=1)
    teller.forget("p")
    teller.forget("p")
    assert teller._counted == {}
