"""The two stores of the settle protocol as values, and the real rules of ledger and artifacts asked about them.

What was asked of one state of a store once is remembered: interleavings ask the same again and again.
"""

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple, TypeVar

from services.artifacts.adapters.bindings.memory import MemoryTable
from services.artifacts.domain import bindings
from services.artifacts.ports import BindingTransaction, Fence, Hold
from services.ledger.adapters.memory import MemoryTransaction, Tables
from services.ledger.domain import settle as settlement
from services.ledger.domain.books import Books
from services.ledger.domain.settle import ClaimAnswer, SettleAnswer
from services.ledger.ports import Attempt, Changes, Execution, StoredReceipt
from theory.core.binding import Abortion, Commitment, Preparation
from theory.core.cid import Cid
from theory.core.errors import TheoryError
from theory.core.ids import ExecutionId
from theory.core.jcs import parse_object
from theory.core.ledger import Budget
from theory.core.receipt import Receipt
from theory.core.settle import ClaimRequest, SettleRequest

_T = TypeVar("_T")
_Request = TypeVar("_Request", ClaimRequest, SettleRequest)
_Answer = TypeVar("_Answer")

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules that are driven. A broken one takes the place of the real one to show that it would be noticed."""

    claim: Callable[[Books, ClaimRequest], ClaimAnswer] = settlement.claim
    settle: Callable[[Books, SettleRequest], SettleAnswer] = settlement.settle
    resolve: Callable[[Books, ExecutionId, int], StoredReceipt | None] = settlement.resolve
    table: Callable[[MemoryTable], BindingTransaction] = lambda table: table
    """What the rules of artifacts are shown of the table."""


class Ledger(NamedTuple):
    """What the ledger holds, but for the chain: it is checked step by step, and tells only how a state was reached."""

    budget: Budget
    executions: tuple[Execution, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    receipts: tuple[StoredReceipt, ...] = ()

    def execution(self, name: str) -> Execution | None:
        return next((each for each in self.executions if each.execution_id == name), None)

    def receipt(self, receipt_id: str) -> Receipt:
        return next(parsed(each.preimage) for each in self.receipts if each.receipt_id == receipt_id)


class Table(NamedTuple):
    """What artifacts holds."""

    holds: tuple[Hold, ...] = ()
    fences: tuple[Fence, ...] = ()


@cache
def parsed(preimage: bytes) -> Receipt:
    return Receipt.parse(preimage)


class Stores:
    """Every state of either store that was seen, each under a number, and what the rules answer to it."""

    def __init__(self, budget: Budget, rules: Rules) -> None:
        self._rules = rules
        self._numbers: dict[Hashable, int] = {}
        self._values: list[Any] = []
        self._asked: dict[Hashable, tuple[int, Any]] = {}
        self.first_ledger = self._number(Ledger(budget))
        self.first_table = self._number(Table())

    def ledger(self, number: int) -> Ledger:
        value = self._values[number]
        assert isinstance(value, Ledger)
        return value

    def table(self, number: int) -> Table:
        value = self._values[number]
        assert isinstance(value, Table)
        return value

    def with_table(self, table: Table) -> int:
        """The number of a table that no rule made."""
        return self._number(table)

    def claim(self, ledger: int, request: ClaimRequest) -> tuple[int, ClaimAnswer | TheoryError]:
        return self._remembered(("claim", ledger, request), lambda: self._ask(ledger, request, self._rules.claim))

    def settle(self, ledger: int, request: SettleRequest) -> tuple[int, SettleAnswer | TheoryError]:
        key = ("settle", ledger, request.execution_id, request.epoch, request.outcome, request.outputs)
        return self._remembered(key, lambda: self._ask(ledger, request, self._rules.settle))

    def resolve(self, ledger: int, execution_id: ExecutionId, epoch: int) -> tuple[int, StoredReceipt | None]:
        def ask() -> tuple[int, StoredReceipt | None]:
            tables = _tables(self.ledger(ledger))
            books = settlement.open_books_of(_Watched(tables), execution_id, NOW)
            receipt = self._rules.resolve(books, execution_id, epoch)
            books.close()
            return self._number(_ledger(tables)), receipt

        return self._remembered(("resolve", ledger, execution_id, epoch), ask)

    def prepare(self, table: int, item: Preparation) -> tuple[int, TheoryError | None]:
        return self._change(table, item, lambda at: bindings.prepare(at, _BLOBS, [item], now=NOW)[0])

    def commit(self, table: int, item: Commitment) -> tuple[int, TheoryError | None]:
        return self._change(table, item, lambda at: bindings.commit(at, [item], now=NOW)[0])

    def abort(self, table: int, item: Abortion) -> int:
        return self._change(table, item, lambda at: bindings.abort(at, [item], now=NOW))[0]

    def _ask(
        self, ledger: int, request: _Request, rule: Callable[[Books, _Request], _Answer]
    ) -> tuple[int, _Answer | TheoryError]:
        tables = _tables(self.ledger(ledger))
        books = settlement.open_books(_Watched(tables), [request], NOW)
        [answer] = books.answer_each([request], rule)
        books.close()
        return self._number(_ledger(tables)), answer

    def _change(self, table: int, item: Hashable, step: Callable[[BindingTransaction], _T]) -> tuple[int, _T]:
        def ask() -> tuple[int, _T]:
            before, memory = self.table(table), MemoryTable()
            memory.reserve(before.holds)
            memory.fence(before.fences)
            answer = step(self._rules.table(memory))
            holds = tuple(sorted(memory._holds.values(), key=lambda each: each.key))
            fences = tuple(sorted(memory._fences.values(), key=lambda each: each.execution_id))
            return self._number(Table(holds, fences)), answer

        return self._remembered((table, item), ask)

    def _remembered(self, key: Hashable, ask: Callable[[], tuple[int, _T]]) -> tuple[int, _T]:
        found = self._asked.get(key)
        if found is None:
            found = self._asked[key] = ask()
        return found

    def _number(self, value: Hashable) -> int:
        number = self._numbers.setdefault(value, len(self._values))
        if number == len(self._values):
            self._values.append(value)
        return number


class _Blobs:
    """A store that has whatever it is asked for."""

    def sizes(self, cids: Collection[Cid]) -> Mapping[Cid, int]:
        return dict.fromkeys(cids, 1)


_BLOBS = _Blobs()


class _Watched(MemoryTransaction):
    """Checks that the events of each transaction account for what it did to the account."""

    def write(self, changes: Changes) -> None:
        super().write(changes)
        for before, after in changes.budgets:
            assert before is not None
            assert _replayed(before, changes) == after, "the events do not add up to the account"


def _replayed(budget: Budget, changes: Changes) -> Budget:
    reserved, spent, debt = budget.reserved_usd_micro, budget.spent_usd_micro, budget.debt_usd_micro
    for event in changes.events:
        body: Any = parse_object(event.preimage)["body"]
        if event.kind == "budget.reserved":
            reserved += body["usd_micro"]
        elif event.kind == "budget.settled":
            reserved -= body["reserved_usd_micro"]
            spent += body["spent_usd_micro"]
            debt += body["debt_usd_micro"]
    return Budget(budget.plan_id, budget.cap_usd_micro, reserved, spent, debt)


def _tables(ledger: Ledger) -> Tables:
    return Tables(
        budgets={ledger.budget.plan_id: ledger.budget},
        executions={each.execution_id: each for each in ledger.executions},
        attempts={(each.execution_id, each.epoch): each for each in ledger.attempts},
        receipts={each.receipt_id: each for each in ledger.receipts},
    )


def _ledger(tables: Tables) -> Ledger:
    [budget] = tables.budgets.values()
    return Ledger(
        budget,
        tuple(sorted(tables.executions.values(), key=lambda each: each.execution_id)),
        tuple(sorted(tables.attempts.values(), key=lambda each: (each.execution_id, each.epoch))),
        tuple(sorted(each._replace(position=0) for each in tables.receipts.values())),
    )
