"""An audit names every fault, and finds none in books that are sound."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from theory.core.audit import Audit, Fault, KeptReceipt
from theory.core.chain import GENESIS, Event, NewEvent, seal
from theory.core.ids import ExecutionId, PlanId
from theory.core.jcs import JSON
from theory.core.ledger import Budget, ChainHead
from theory.core.receipt import AttemptOutcome, Receipt, reserve_receipt, settle_receipt

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TS = "2026-01-02T00:00:00.000000Z"
PLAN = PlanId("p-1")
STEP = ExecutionId("p-1.step")
BUDGET = Budget("p-1", 100, reserved_usd_micro=0, spent_usd_micro=30, debt_usd_micro=0)

RESERVED = reserve_receipt(
    plan_id=PLAN, execution_id=STEP, attempt_idx=0, epoch=1, reserved_usd_micro=40, reserved_at=NOW
)
SETTLED = settle_receipt(
    plan_id=PLAN,
    execution_id=STEP,
    attempt_idx=0,
    epoch=1,
    outcome=AttemptOutcome.SUCCEEDED,
    final=True,
    settled_at=NOW,
    reserved_usd_micro=40,
    spent_usd_micro=30,
)


def chain(*bodies: tuple[str, dict[str, JSON]]) -> list[Event]:
    events: list[Event] = []
    for seq, (kind, body) in enumerate(bodies, start=1):
        events.append(
            seal(NewEvent(f"e{seq}", kind, TS, body), "p-1", seq, events[-1].this_hash if events else GENESIS)
        )
    return events


EVENTS = chain(
    ("budget.opened", {"cap_usd_micro": 100}),
    ("budget.reserved", {"usd_micro": 40, "receipt_id": RESERVED.receipt_id}),
    ("execution.claimed", {}),
    (
        "budget.settled",
        {
            "reserved_usd_micro": 40,
            "spent_usd_micro": 30,
            "debt_usd_micro": 0,
            "receipt_id": SETTLED.receipt_id,
        },
    ),
    ("execution.settled", {"receipt_id": SETTLED.receipt_id}),
    ("memo.hit", {"receipt_id": "of another plan"}),
)


def kept(receipt: Receipt, position: int) -> KeptReceipt:
    return KeptReceipt(receipt.receipt_id, receipt.kind, "p-1", STEP.text, 1, receipt.preimage, position)


RECEIPTS = [kept(RESERVED, 2), kept(SETTLED, 4)]


def head_of(events: list[Event]) -> ChainHead:
    return ChainHead("p-1", events[-1].seq, events[-1].this_hash)


def faults(
    events: list[Event], receipts: list[KeptReceipt], budget: Budget | None = BUDGET, head: ChainHead | None = None
) -> list[Fault]:
    audit = Audit("p-1")
    audit.read_events(events[:2])
    audit.read_events(())
    audit.read_events(events[2:])
    audit.read_receipts(receipts)
    return audit.faults(head or head_of(EVENTS), budget)


def test_sound_books_have_no_fault() -> None:
    assert faults(EVENTS, RECEIPTS) == []


def test_an_empty_chain_is_sound() -> None:
    assert Audit("p-1").faults(ChainHead("p-1", 0, GENESIS), None) == []


def test_a_changed_event_is_named() -> None:
    changed = [*EVENTS[:2], replace(EVENTS[2], preimage=EVENTS[2].preimage + b" "), *EVENTS[3:]]
    assert {(each.what, each.seq) for each in faults(changed, RECEIPTS)} == {("HASH", 3), ("TEXT", 3)}


def test_a_gap_is_named_where_it_ends() -> None:
    gap = [*EVENTS[:2], *EVENTS[3:]]
    assert {(each.what, each.seq) for each in faults(gap, RECEIPTS)} == {("SEQ", 4), ("LINK", 4)}


def test_a_missing_end_is_named() -> None:
    assert faults(EVENTS[:5], RECEIPTS) == [Fault("p-1", "HEAD", 6)]


@pytest.mark.parametrize(
    ("changes", "whats"),
    [
        ({"preimage": RESERVED.preimage + b" "}, {"RECEIPT_HASH", "RECEIPT_TEXT"}),
        ({"preimage": SETTLED.preimage}, {"RECEIPT_HASH", "RECEIPT_FIELDS"}),
        ({"kind": "settle"}, {"RECEIPT_FIELDS"}),
        ({"plan_id": "p-2"}, {"RECEIPT_FIELDS"}),
        ({"execution_id": "p-1.other"}, {"RECEIPT_FIELDS"}),
        ({"epoch": 2}, {"RECEIPT_FIELDS"}),
        ({"position": 3}, {"RECEIPT_POSITION"}),
    ],
)
def test_a_changed_receipt_is_named(changes: dict[str, object], whats: set[str]) -> None:
    found = faults(EVENTS, [RECEIPTS[0]._replace(**changes), RECEIPTS[1]])  # type: ignore[arg-type]
    assert {each.what for each in found} == whats
    assert {(each.seq, each.receipt_id) for each in found} == {(2, RESERVED.receipt_id)}


def test_a_missing_receipt_is_named_where_it_should_be() -> None:
    assert faults(EVENTS, RECEIPTS[:1]) == [Fault("p-1", "RECEIPT_MISSING", 4, SETTLED.receipt_id)]


def test_a_renamed_receipt_is_missing_and_a_stranger() -> None:
    found = faults(EVENTS, [RECEIPTS[0]._replace(receipt_id="b3:x"), RECEIPTS[1]])
    assert {(each.what, each.receipt_id) for each in found} == {
        ("RECEIPT_HASH", "b3:x"),
        ("RECEIPT_UNRECORDED", "b3:x"),
        ("RECEIPT_MISSING", RESERVED.receipt_id),
    }


@pytest.mark.parametrize("budget", [None, replace(BUDGET, spent_usd_micro=29), replace(BUDGET, cap_usd_micro=101)])
def test_an_account_that_the_events_do_not_add_up_to_is_named(budget: Budget | None) -> None:
    assert faults(EVENTS, RECEIPTS, budget) == [Fault("p-1", "BUDGET")]


def money(*movements: tuple[str, dict[str, JSON]]) -> list[Fault]:
    """What an audit says of the events of an account alone."""
    audit, events = Audit("p-1"), chain(*movements)
    audit.read_events(events)
    return audit.faults_of_chain(head_of(events))


def opened(cap: int) -> tuple[str, dict[str, JSON]]:
    return "budget.opened", {"cap_usd_micro": cap, "postings": {"granted": -cap, "available": cap}}


def held(amount: int, **postings: JSON) -> tuple[str, dict[str, JSON]]:
    stated = postings or {"available": -amount, "reserved": amount}
    return "budget.reserved", {"usd_micro": amount, "postings": stated}


def settled(released: int, spent: int, debt: int = 0) -> tuple[str, dict[str, JSON]]:
    amounts = {"available": released - spent, "reserved": -released, "cost": spent + debt, "owed": -debt}
    postings: dict[str, JSON] = {name: amount for name, amount in amounts.items() if amount}
    said: dict[str, JSON] = {
        "reserved_usd_micro": released,
        "spent_usd_micro": spent,
        "debt_usd_micro": debt,
        "postings": postings,
    }
    return "budget.settled", said


def test_postings_that_are_what_the_events_say_are_no_fault() -> None:
    paid: dict[str, JSON] = {"granted": -50, "available": 45, "owed": 5}
    topped_up: tuple[str, dict[str, JSON]] = (
        "budget.topped_up",
        {"usd_micro": 50, "paid_debt_usd_micro": 5, "postings": paid},
    )
    assert money(opened(100), held(60), held(40), settled(40, 40), settled(60, 60, 5), topped_up, held(45)) == []


@pytest.mark.parametrize(
    "stated",
    [
        {"available": -40},
        {"reserved": 40},
        {"available": -41, "reserved": 41},
        {"available": -40, "reserved": 40, "cost": 0},
        {"available": -40, "reserved": 40, "mine": 0},
        {"available": -40, "cost": 40},
        {"available": "-40", "reserved": "40"},
        {"available": 40, "reserved": -40},
    ],
)
def test_postings_that_are_not_what_the_event_says_are_named(stated: dict[str, JSON]) -> None:
    assert money(opened(100), held(40, **stated), ("plan.noted", {})) == [Fault("p-1", "POSTINGS", 2)]


@pytest.mark.parametrize("stated", [{}, [], "", 0, True])
def test_postings_that_are_none_are_named(stated: JSON) -> None:
    assert money(opened(100), ("budget.reserved", {"usd_micro": 40, "postings": stated})) == [
        Fault("p-1", "POSTINGS", 2)
    ]


def test_an_event_that_moves_nothing_states_no_postings() -> None:
    postings: dict[str, JSON] = {"owed": -3, "cost": 3}
    assert money(opened(100), ("budget.overrun", {"usd_micro": 3, "postings": postings})) == [
        Fault("p-1", "POSTINGS", 2)
    ]


@pytest.mark.parametrize("amount", [-40, True, "40", None])
def test_what_is_no_amount_moves_nothing(amount: JSON) -> None:
    said: dict[str, JSON] = {"usd_micro": amount, "postings": {"available": 40, "reserved": -40}}
    assert money(opened(100), held(50), ("budget.reserved", said)) == [Fault("p-1", "POSTINGS", 3)]


def test_an_account_that_was_overdrawn_is_named_where_it_was() -> None:
    """Also where it is in balance at the end."""
    assert money(opened(100), held(60), held(41), settled(41, 0), held(40)) == [Fault("p-1", "POSTINGS", 3)]


@pytest.mark.parametrize("taken", [settled(61, 0), settled(0, 41)])
def test_what_is_taken_and_not_there_is_named(taken: tuple[str, dict[str, JSON]]) -> None:
    assert money(opened(100), held(60), taken) == [Fault("p-1", "POSTINGS", 3)]


def test_an_account_is_opened_once_and_first() -> None:
    assert money(held(1), opened(100)) == [Fault("p-1", "POSTINGS", 1)]
    assert money(opened(100), held(40), opened(100)) == [Fault("p-1", "POSTINGS", 3)]


def test_amounts_of_before_there_were_postings_are_followed() -> None:
    assert money(opened(100), ("budget.reserved", {"usd_micro": 100})) == []
    assert money(opened(100), ("budget.reserved", {"usd_micro": 101})) == [Fault("p-1", "POSTINGS", 2)]


def test_receipts_can_be_read_again() -> None:
    audit = Audit("p-1")
    audit.read_events(EVENTS)
    audit.read_receipts([RECEIPTS[0]._replace(epoch=9)])
    audit.forget_receipts()
    audit.read_receipts(RECEIPTS)
    assert (audit.seq, audit.faults(head_of(EVENTS), BUDGET)) == (6, [])


def test_the_chain_alone_can_be_judged() -> None:
    audit = Audit("p-1")
    audit.read_events(EVENTS)
    assert audit.faults_of_chain(head_of(EVENTS)) == []
    assert audit.faults_of_chain(head_of(EVENTS[:3])) == [Fault("p-1", "HEAD", 3)]


def test_a_fault_says_where_it_is() -> None:
    assert str(Fault("p-1", "HASH", 3)) == "p-1 event 3: HASH"
    assert str(Fault("p-1", "RECEIPT_TEXT", 0, "b3:x")) == "p-1 b3:x: RECEIPT_TEXT"
