"""Batches of pruning: how far each reaches, and what it records."""

from functools import partial

import pytest

from services.ledger.adapters.memory import MemoryLedger
from services.ledger.domain import prune as pruning
from services.ledger.domain.books import Books
from services.ledger.domain.prune import Pruner
from tests.unit.services.ledger.books import PLAN, TS, Shelf
from theory.core.chain import NewEvent
from theory.core.clock import SystemClock
from theory.core.errors import NotReady
from theory.core.pruning import KIND


def shelf(*kinds: str) -> Shelf:
    filled = Shelf()
    for at, kind in enumerate(kinds):
        filled.with_books(partial(_record, NewEvent(f"e{at}", kind, TS, {})))
    return filled


def _record(event: NewEvent, books: Books) -> None:
    books.record(PLAN.text, event)


def pruner(filled: Shelf) -> Pruner:
    return Pruner(MemoryLedger(filled.tables), SystemClock())


async def test_a_batch_ends_at_its_last_event_and_the_next_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "MAX_PRUNED", 2)
    filled = shelf("scratch.a", "plan.noted", "scratch.a", "scratch.a", "plan.noted")
    first = await pruner(filled).prune(PLAN.text)
    assert (first.events, first.after_seq, first.more) == (2, 3, True)
    second = await pruner(filled).prune(PLAN.text, after_seq=first.after_seq)
    assert (second.events, second.more) == (1, False)
    assert second.after_seq == 6  # the record of the first is the sixth
    assert filled.kinds()[5:] == [KIND, KIND]


async def test_a_batch_that_fits_exactly_is_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "MAX_PRUNED", 2)
    found = await pruner(shelf("scratch.a", "scratch.a")).prune(PLAN.text)
    assert (found.events, found.after_seq, found.more) == (2, 2, False)


@pytest.mark.parametrize("end", ["plan.succeeded", "plan.failed", "plan.cancelled"])
async def test_a_plan_is_pruned_once_it_has_ended(end: str) -> None:
    with pytest.raises(NotReady) as caught:
        await pruner(shelf("plan.submitted", "scratch.a")).prune(PLAN.text)
    assert caught.value.reason == "PLAN_RUNNING"
    assert (await pruner(shelf("plan.submitted", "scratch.a", end)).prune(PLAN.text)).events == 1


async def test_what_is_only_counted_stays_and_is_not_recorded() -> None:
    filled = shelf("scratch.a")
    assert (await pruner(filled).prune(PLAN.text, dry_run=True)).events == 1
    assert filled.kinds() == ["scratch.a"]


async def test_an_empty_chain_has_nothing_to_prune() -> None:
    assert await pruner(Shelf()).prune(PLAN.text) == (0, 0, 0, False)
