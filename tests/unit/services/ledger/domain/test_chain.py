"""Who may say what, once."""

import pytest

from services.ledger.domain.books import Books
from services.ledger.domain.chain import KINDS_OF_SETTLEMENT, append_event, check_event, record_given
from tests.unit.services.ledger.books import NOW, PLAN, TS, Shelf, event
from theory.core.chain import NewEvent
from theory.core.errors import AlreadyExists, Conflict, Denied, Invalid
from theory.core.ledger import Appended, PlanEvent


def append(shelf: Shelf, item: PlanEvent, role: str = "executor") -> Appended:
    books = Books(shelf.transaction(), NOW)
    books.load_chains([item.plan_id], [(item.plan_id, item.event.event_id)])
    books.ready()
    place = append_event(books, item, role=role)
    books.close()
    return place


def of_plan(new: NewEvent, seq: int | None = None) -> PlanEvent:
    return PlanEvent(PLAN.text, new, seq)


def test_a_repeat_gets_the_first_place_even_where_another_was_expected() -> None:
    shelf = Shelf()
    first = append(shelf, of_plan(event("a"), seq=0))
    append(shelf, of_plan(event("b")))
    assert append(shelf, of_plan(event("a"), seq=0)) == first
    assert append(shelf, of_plan(event("a"))) == first


@pytest.mark.parametrize(
    "other",
    [
        event("a", "execution.finished"),
        NewEvent("a", "execution.started", "2026-01-02T03:04:05.000007Z", {"id": "a"}),
        NewEvent("a", "execution.started", TS, {"id": "b"}),
    ],
)
def test_an_id_names_one_content(other: NewEvent) -> None:
    shelf = Shelf()
    append(shelf, of_plan(event("a")))
    with pytest.raises(AlreadyExists):
        append(shelf, of_plan(other))


def test_an_expected_position_that_is_not_the_head_is_a_conflict() -> None:
    with pytest.raises(Conflict) as caught:
        append(Shelf(), of_plan(event("a"), seq=1))
    assert caught.value.metadata == {"seq": "0"}


@pytest.mark.parametrize("chain", ["system.executor", PLAN.text])
def test_a_service_writes_to_plans_and_to_its_own_chain(chain: str) -> None:
    assert append(Shelf(), PlanEvent(chain, event("a"))).seq == 1


def test_the_chain_of_another_service_is_denied() -> None:
    with pytest.raises(Denied):
        append(Shelf(), PlanEvent("system.registry", event("a")))


@pytest.mark.parametrize("role", ["client", "ledger", "artifacts", "registry", "resources"])
def test_only_the_executor_starts_executions(role: str) -> None:
    with pytest.raises(Denied) as caught:
        append(Shelf(), of_plan(event("a")), role)
    assert caught.value.metadata == {"kind": "execution.started", "role": role}


@pytest.mark.parametrize("kind", ["execution.claimed", "execution.settled", "execution.lost", "budget.reserved"])
def test_the_ledgers_own_kinds_are_nobody_elses(kind: str) -> None:
    with pytest.raises(Denied):
        check_event(event("a", kind), KINDS_OF_SETTLEMENT, role="executor")


@pytest.mark.parametrize("event_id", ["", "a b", "a\n", "\u00e9", "x" * 129, 'a"b', "ledger/claim/x/1"])
def test_an_event_id_has_one_form(event_id: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_event(event(event_id), KINDS_OF_SETTLEMENT, role="executor")
    assert caught.value.reason == "EVENT_ID_INVALID"


@pytest.mark.parametrize(
    "kind", ["", "plan", "plan.", "plan.Done", "plan.a b", "plan.\u00e9", "plan.a\n", "plan." + "a" * 64]
)
def test_a_kind_has_one_form(kind: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_event(event("a", kind), KINDS_OF_SETTLEMENT, role="executor")
    assert caught.value.reason == "EVENT_KIND_INVALID"


def test_given_events_are_recorded_once() -> None:
    shelf = Shelf()
    shelf.with_books(
        lambda books: record_given(books, PLAN.text, [event("a"), event("a"), event("b", "artifact.written")])
    )
    assert shelf.kinds() == ["execution.started", "artifact.written"]
