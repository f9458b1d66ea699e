"""Dropping what events said: in order, in batches, each with the event that records it."""

from collections.abc import Collection
from typing import NamedTuple

from services.ledger.domain.books import Books
from services.ledger.domain.chain import OWN_IDS
from services.ledger.ports import EventFilter, LedgerStore, LedgerTransaction
from theory.core.chain import NewEvent
from theory.core.clock import Clock, rfc3339
from theory.core.errors import Invalid, NotReady
from theory.core.pruning import KIND, Leftover, prunable_of, record_of

MAX_PRUNED = 10_000
"""How many events one transaction prunes at most: it holds up every append meanwhile."""

_BEGUN = "plan.submitted"
_ENDED = frozenset({"plan.succeeded", "plan.failed", "plan.cancelled"})


class Pruning(NamedTuple):
    """What was dropped, or would be."""

    events: int
    freed_bytes: int
    after_seq: int
    """Up to there nothing is left to drop."""
    more: bool


class Pruner:
    """Prunes chains of plans that have ended, and chains outside plans."""

    def __init__(self, store: LedgerStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def prune(
        self, plan_id: str, *, after_seq: int = 0, to_seq: int = 0, kinds: Collection[str] = (), dry_run: bool = False
    ) -> Pruning:
        """Drop what up to 10,000 events in (`after_seq`, `to_seq`] said; to the head where `to_seq` is 0.

        `Invalid` (`FIELD_INVALID`, `EVENT_KIND_INVALID`); `NotReady` (`PLAN_RUNNING`) for a plan that has not ended.
        """
        if after_seq < 0:
            raise Invalid("FIELD_INVALID", "a position is not negative", field="after_seq")
        if to_seq < 0 or 0 < to_seq < after_seq:
            raise Invalid("FIELD_INVALID", "it ends before it begins", field="to_seq")
        words = prunable_of(kinds)
        now = self._clock.now()

        def run(transaction: LedgerTransaction) -> Pruning:
            found = transaction.kinds(plan_id, {_BEGUN, *_ENDED})
            if _BEGUN in found and not _ENDED & set(found):
                raise NotReady("PLAN_RUNNING", "the plan has not ended: its chain is kept whole", plan_id=plan_id)
            books = Books(transaction, now)
            books.load_chains([plan_id], ())
            books.ready()
            return prune(books, transaction, plan_id, after_seq, to_seq, words, dry_run=dry_run)

        return await self._store.transact(run)


def prune(
    books: Books,
    transaction: LedgerTransaction,
    plan_id: str,
    after_seq: int,
    to_seq: int,
    words: Collection[str],
    *,
    dry_run: bool,
) -> Pruning:
    """One batch: what is dropped, and the record of it."""
    head = books.head(plan_id).seq
    end = min(to_seq or head, head)
    chosen = EventFilter(
        kinds=tuple(each for each in words if not each.endswith("*")),
        families=tuple(each[:-1] for each in words if each.endswith("*")),
    )
    found = transaction.payloads(plan_id, after_seq=after_seq, to_seq=end, chosen=chosen, limit=MAX_PRUNED + 1)
    dropped, more = found[:MAX_PRUNED], len(found) > MAX_PRUNED
    reached = dropped[-1].seq if more else max(end, after_seq)
    freed = sum(each.size_bytes for each in dropped)
    if dropped and not dry_run:
        body = record_of(
            [Leftover(each.seq, each.kind, each.this_hash) for each in dropped],
            after_seq=after_seq,
            to_seq=reached,
            kinds=words,
            freed_bytes=freed,
        )
        event_id = f"{OWN_IDS}pruned/{head + 1}"
        books.record(plan_id, NewEvent(event_id, KIND, rfc3339(books.now), body))
        books.drop(dropped)
        books.close()
    return Pruning(len(dropped), freed, reached, more)
