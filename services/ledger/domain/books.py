"""The working copy of one transaction: everything a batch reads, and everything it will write, item by item."""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from services.ledger.ports import Attempt, Changes, Execution, LedgerTransaction, Payload, StoredEvent, StoredReceipt
from theory.core.chain import GENESIS, NewEvent, event_hash_of, preimage_of
from theory.core.errors import TheoryError
from theory.core.ledger import Budget, ChainHead
from theory.core.tiles import TileKey, edge, grown, leaf_of

_Request = TypeVar("_Request")
_Answer = TypeVar("_Answer")


class Books:
    """What a batch works on.

    The keys that its items need are loaded in bulk first. The rules then read and write here, so an item sees what the
    items before it did. An item that fails leaves no trace. `close` hands everything that changed to the transaction.
    """

    def __init__(self, transaction: LedgerTransaction, now: datetime) -> None:
        self.now = now
        self._transaction = transaction
        self._heads: dict[str, ChainHead] = {}
        self._events: dict[tuple[str, str], StoredEvent] = {}
        self._budgets: dict[str, Budget] = {}
        self._executions: dict[str, Execution] = {}
        self._attempts: dict[tuple[str, int], Attempt] = {}
        self._receipts: dict[str, StoredReceipt] = {}
        self._undo: list[tuple[dict[Any, Any], Hashable, object]] = []
        self._loaded: list[dict[Any, Any]] = []
        self._log_size: int | None = None
        self._dropped: Sequence[Payload] = ()

    def load_chains(self, plan_ids: Collection[str], event_ids: Collection[tuple[str, str]]) -> None:
        """Read the heads of these chains, and which of these events they hold."""
        self._heads |= {each: ChainHead(each, 0, GENESIS) for each in plan_ids}
        self._heads |= self._transaction.heads(plan_ids)
        if event_ids:
            self._events |= self._transaction.events(event_ids)

    def load_budgets(self, plan_ids: Collection[str]) -> None:
        """Read these accounts."""
        self._budgets |= self._transaction.budgets(plan_ids)

    def load_executions(self, execution_ids: Collection[str], epochs: Iterable[tuple[str, int]] = ()) -> None:
        """Read these executions with their newest attempts, the attempts at `epochs`, and what closed them."""
        self._executions |= self._transaction.executions(execution_ids)
        newest = ((each.execution_id, each.epoch) for each in self._executions.values() if each.epoch)
        if keys := {*newest, *epochs}:
            self._attempts |= self._transaction.attempts(keys)
        named = {each.settled_receipt_id for each in self._executions.values()}
        named |= {each.receipt_id for each in self._attempts.values()}
        if receipt_ids := named - {None}:
            self._receipts |= self._transaction.receipts([each for each in receipt_ids if each is not None])

    def ready(self) -> None:
        """All is loaded: what differs from now on is a change."""
        self._loaded = [dict(table) for table in self._tables()]

    def answer_each(
        self, requests: Sequence[_Request | TheoryError], rule: Callable[["Books", _Request], _Answer]
    ) -> list[_Answer | TheoryError]:
        """What `rule` says to each request, in order; one that it refuses, or that was wrong already, is its error."""
        answers: list[_Answer | TheoryError] = []
        for request in requests:
            if isinstance(request, TheoryError):
                answers.append(request)
                continue
            self._undo.clear()
            try:
                answers.append(rule(self, request))
            except TheoryError as error:
                self._undo_item()
                answers.append(error)
        return answers

    def close(self) -> None:
        """Write what changed."""
        changed = [
            [(before.get(key), value) for key, value in table.items() if before.get(key) is not value]
            for table, before in zip(self._tables(), self._loaded, strict=True)
        ]
        if any(changed):
            heads, events, budgets, executions, attempts, receipts = changed
            added = [after for _, after in events]
            self._transaction.write(
                Changes(
                    events=added,
                    heads=[after for _, after in heads],
                    tiles=self._tiles_with(added),
                    receipts=[after for _, after in receipts],
                    budgets=budgets,
                    executions=[after for _, after in executions],
                    attempts=[after for _, after in attempts],
                    pruned=self._dropped,
                )
            )

    def _next_leaf(self) -> int:
        """How many leaves the tree has with the events that were recorded."""
        if self._log_size is None:
            self._log_size = self._transaction.log_size()
        return self._log_size

    def _tiles_with(self, events: Sequence[StoredEvent]) -> Mapping[TileKey, bytes]:
        """The tiles of the Merkle tree that these events make longer."""
        if not events:
            return {}
        size = events[0].log_index
        begun = self._transaction.tiles(edge(size))
        return grown(size, begun, [leaf_of(each.this_hash) for each in events])

    def head(self, plan_id: str) -> ChainHead:
        """Where a chain stands."""
        return self._heads[plan_id]

    def event(self, plan_id: str, event_id: str) -> StoredEvent | None:
        """An event of a chain, by its id."""
        return self._events.get((plan_id, event_id))

    def budget(self, plan_id: str) -> Budget | None:
        """The account of a plan."""
        return self._budgets.get(plan_id)

    def execution(self, execution_id: str) -> Execution | None:
        """What is known of an execution."""
        return self._executions.get(execution_id)

    def attempt(self, execution_id: str, epoch: int) -> Attempt | None:
        """The attempt that an epoch was issued for."""
        return self._attempts.get((execution_id, epoch))

    def receipt(self, receipt_id: str) -> StoredReceipt | None:
        """A receipt that an execution or an attempt names."""
        return self._receipts.get(receipt_id)

    def record(self, plan_id: str, new: NewEvent) -> StoredEvent:
        """Seal `new` behind the head of its chain."""
        head = self._heads[plan_id]
        seq = head.seq + 1
        preimage = preimage_of(new, plan_id, seq, head.this_hash)
        this_hash, leaf = event_hash_of(preimage), self._next_leaf()
        stored = StoredEvent(plan_id, seq, new.event_id, new.kind, new.ts, head.this_hash, this_hash, preimage, leaf)
        self._log_size = leaf + 1
        self._put(self._events, (plan_id, new.event_id), stored)
        self._put(self._heads, plan_id, ChainHead(plan_id, seq, this_hash))
        return stored

    def drop(self, payloads: Sequence[Payload]) -> None:
        """Let events lose what they said; some event must be recorded with it."""
        self._dropped = payloads

    def put_budget(self, budget: Budget) -> None:
        """Replace an account."""
        self._put(self._budgets, budget.plan_id, budget)

    def put_execution(self, execution: Execution) -> None:
        """Replace an execution."""
        self._put(self._executions, execution.execution_id, execution)

    def put_attempt(self, attempt: Attempt) -> None:
        """Replace an attempt."""
        self._put(self._attempts, (attempt.execution_id, attempt.epoch), attempt)

    def put_receipt(self, receipt: StoredReceipt) -> None:
        """Add a receipt."""
        self._put(self._receipts, receipt.receipt_id, receipt)

    def _undo_item(self) -> None:
        for table, key, before in reversed(self._undo):
            if table is self._events:  # they are only ever added
                self._log_size = self._next_leaf() - 1
            if before is None:
                del table[key]
            else:
                table[key] = before

    def _put(self, table: dict[Any, Any], key: Hashable, value: object) -> None:
        self._undo.append((table, key, table.get(key)))
        table[key] = value

    def _tables(self) -> tuple[dict[Any, Any], ...]:
        return self._heads, self._events, self._budgets, self._executions, self._attempts, self._receipts
