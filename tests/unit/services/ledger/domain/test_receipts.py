"""Receipts are kept as stated, and found by name."""

import pytest

from services.ledger.adapters.memory import MemoryLedger
from services.ledger.domain.receipts import MAX_RECEIPT_BYTES, Receipts, keep
from tests.unit.services.ledger.books import NOW, PLAN, STEP, Shelf
from theory.core.errors import Invalid, NotFound
from theory.core.receipt import AttemptOutcome, Receipt, settle_receipt


def receipt(log: str = "") -> Receipt:
    return settle_receipt(
        plan_id=PLAN,
        execution_id=STEP,
        attempt_idx=0,
        epoch=3,
        outcome=AttemptOutcome.FAILED,
        final=True,
        settled_at=NOW,
        reserved_usd_micro=0,
        spent_usd_micro=0,
        facts={"log": log},
    )


async def test_a_kept_receipt_is_found_and_another_is_not() -> None:
    shelf, stated = Shelf(), receipt()
    kept = shelf.with_books(lambda books: keep(books, stated, 7))
    assert kept == (stated.receipt_id, PLAN.text, 7, "settle", STEP.text, 3, stated.preimage)
    receipts = Receipts(MemoryLedger(shelf.tables))
    found, unknown = await receipts.get([stated.receipt_id, "b3:x"])
    assert found == kept
    assert isinstance(unknown, NotFound)
    assert await receipts.list_of_plan(PLAN, after_position=0, limit=10) == ([kept], False)
    assert await receipts.list_of_plan(PLAN, after_position=7, limit=10) == ([], False)


def test_a_receipt_that_no_message_holds_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        Shelf().with_books(lambda books: keep(books, receipt("x" * MAX_RECEIPT_BYTES), 1))
    assert caught.value.metadata["field"] == "facts"
