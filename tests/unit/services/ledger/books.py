"""A ledger without a server: rules over tables in memory, one transaction at a time."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from services.ledger.adapters.memory import MemoryTransaction, Tables
from services.ledger.domain import settle as settlement
from services.ledger.domain.books import Books
from services.ledger.domain.settle import ClaimAnswer, SettleAnswer
from theory.core.chain import NewEvent
from theory.core.errors import TheoryError
from theory.core.ids import ExecutionId, PlanId
from theory.core.ledger import Budget
from theory.core.receipt import AttemptOutcome
from theory.core.settle import ClaimRequest, SettleRequest

T = TypeVar("T")

NOW = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
TS = "2026-01-02T03:04:05.000006Z"
PLAN = PlanId("p-1")
STEP = ExecutionId("p-1.step")


class Shelf:
    """Tables, and what is done to them."""

    def __init__(self, cap: int | None = None) -> None:
        self.tables = Tables()
        if cap is not None:
            self.tables.budgets[PLAN.text] = Budget(PLAN.text, cap)

    def transaction(self) -> MemoryTransaction:
        return MemoryTransaction(self.tables)

    def with_books(self, step: Callable[[Books], T]) -> T:
        """What `step` does to books of the plan."""
        books = Books(self.transaction(), NOW)
        books.load_budgets([PLAN.text])
        books.load_chains([PLAN.text], ())
        books.ready()
        answer = step(books)
        books.close()
        return answer

    def claim(self, *requests: ClaimRequest) -> list[ClaimAnswer | TheoryError]:
        books = settlement.open_books(self.transaction(), requests, NOW)
        answers = books.answer_each(requests, settlement.claim)
        books.close()
        return answers

    def settle(self, *requests: SettleRequest) -> list[SettleAnswer | TheoryError]:
        books = settlement.open_books(self.transaction(), requests, NOW)
        answers = books.answer_each(requests, settlement.settle)
        books.close()
        return answers

    def kinds(self) -> list[str]:
        return [event.kind for event in self.tables.events.get(PLAN.text, [])]

    @property
    def budget(self) -> Budget:
        return self.tables.budgets[PLAN.text]


def claim(reserve: int = 0, *, execution_id: ExecutionId = STEP, idx: int = 0, lost_cost: int = 0) -> ClaimRequest:
    return ClaimRequest(PLAN, execution_id, idx, reserve, lost_cost)


def end(epoch: int = 1, cost: int = 0, *, execution_id: ExecutionId = STEP, final: bool = True) -> SettleRequest:
    outcome = AttemptOutcome.SUCCEEDED if final else AttemptOutcome.FAILED
    return SettleRequest(PLAN, execution_id, epoch, 0, outcome, final, cost)


def event(event_id: str, kind: str = "execution.started") -> NewEvent:
    return NewEvent(event_id, kind, TS, {"id": event_id})
