"""A batch works on one copy: items see each other, a failing one leaves no trace, and only changes are written."""

import pytest

from services.ledger.domain.books import Books
from services.ledger.ports import Attempt, Execution, StoredReceipt
from tests.unit.services.ledger.books import NOW, PLAN, Shelf, event
from theory.core.chain import GENESIS
from theory.core.errors import Conflict, Invalid, TheoryError
from theory.core.ledger import Budget, ChainHead


def books_of(shelf: Shelf) -> Books:
    books = Books(shelf.transaction(), NOW)
    books.load_budgets([PLAN.text])
    books.load_chains([PLAN.text], [(PLAN.text, "a")])
    books.ready()
    return books


def test_an_unknown_chain_stands_at_zero() -> None:
    assert books_of(Shelf()).head(PLAN.text) == ChainHead(PLAN.text, 0, GENESIS)


def test_events_follow_each_other_within_a_batch_and_across() -> None:
    shelf = Shelf()
    for names in (("a", "b"), ("c",)):
        books = books_of(shelf)
        for name in names:
            books.record(PLAN.text, event(name))
        books.close()
    kept = shelf.tables.events[PLAN.text]
    assert [each.seq for each in kept] == [1, 2, 3]
    assert [each.prev_hash for each in kept] == [GENESIS, kept[0].this_hash, kept[1].this_hash]
    assert shelf.tables.heads[PLAN.text] == ChainHead(PLAN.text, 3, kept[2].this_hash)


def test_an_item_that_fails_leaves_no_trace() -> None:
    shelf = Shelf(cap=10)
    books = books_of(shelf)

    def rule(books: Books, name: str) -> int:
        stored = books.record(PLAN.text, event(name))
        books.put_budget(Budget(PLAN.text, 10, reserved_usd_micro=stored.seq))
        books.put_execution(Execution(name, PLAN.text, 1))
        books.put_attempt(Attempt(name, 1, 0, 0))
        books.put_receipt(StoredReceipt(f"r-{name}", PLAN.text, stored.seq, "settle", name, 1, b""))
        if name == "bad":
            raise Conflict("X", "no")
        return stored.seq

    requests: list[str | TheoryError] = ["a", "bad", Invalid("Y", "malformed"), "b"]
    answers = books.answer_each(requests, rule)
    books.close()
    assert [each if isinstance(each, int) else each.reason for each in answers] == [1, "X", "Y", 2]
    assert [each.event_id for each in shelf.tables.events[PLAN.text]] == ["a", "b"]
    assert shelf.budget.reserved_usd_micro == 2
    assert set(shelf.tables.executions) == {"a", "b"}
    assert set(shelf.tables.attempts) == {("a", 1), ("b", 1)}
    assert set(shelf.tables.receipts) == {"r-a", "r-b"}


def test_a_bug_in_a_rule_is_not_taken_for_a_refusal() -> None:
    def rule(books: Books, _: str) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        books_of(Shelf()).answer_each(["a"], rule)


def test_nothing_is_written_where_nothing_changed() -> None:
    shelf = Shelf(cap=10)
    books_of(shelf).close()
    assert (shelf.tables.heads, shelf.tables.events) == ({}, {})


def test_what_a_chain_holds_is_found_by_id() -> None:
    shelf = Shelf()
    shelf.with_books(lambda books: books.record(PLAN.text, event("a")))
    books = books_of(shelf)
    found = books.event(PLAN.text, "a")
    assert found == shelf.tables.events[PLAN.text][0]
    assert books.event(PLAN.text, "b") is None
