"""Any history of a ledger reads the same from every store as from a few dictionaries, and verifies."""

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.ledger.adapters import open_store
from services.ledger.domain.budget import Accounts
from services.ledger.domain.chain import Chains
from services.ledger.domain.receipts import Receipts
from services.ledger.domain.settle import Settlements
from services.ledger.ports import EventFilter, StoredReceipt
from theory.core.audit import Audit, KeptReceipt
from theory.core.chain import NewEvent, unseal
from theory.core.clock import FakeClock
from theory.core.errors import TheoryError
from theory.core.ids import ExecutionId, PlanId
from theory.core.ledger import Appended, Budget, PlanEvent
from theory.core.receipt import AttemptOutcome
from theory.core.settle import ClaimRequest, SettleRequest

PLANS = (PlanId("p-1"), PlanId("p-2"))
CAP = 100
TS = "2026-01-02T03:04:05.000006Z"
EVERYTHING = 10_000

plans = st.sampled_from(PLANS)
names = st.sampled_from(["a", "b"])
epochs = st.integers(0, 4)
money = st.integers(0, 70)
failures = st.sampled_from([AttemptOutcome.FAILED, AttemptOutcome.OOM, AttemptOutcome.LOST])


@dataclass
class Try:
    """An attempt of the model."""

    reserved: int
    closed: bool = False
    receipt_id: str | None = None
    """Set where its executor settled it."""


@dataclass
class Execution:
    """An execution of the model."""

    epoch: int = 0
    fenced: int = 0
    final: str | None = None
    tries: dict[int, Try] = field(default_factory=dict)


@dataclass
class Account:
    """An account of the model."""

    reserved: int = 0
    spent: int = 0
    debt: int = 0

    def close(self, reserved: int, cost: int) -> None:
        self.reserved -= reserved
        paid = min(cost, CAP - self.reserved - self.spent)
        self.spent += paid
        self.debt += cost - paid


class LedgerMachine(RuleBasedStateMachine):
    """The model: what the promises say, one request after the other."""

    url = "memory:"

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.store = self.runner.run(open_store(self.url))
        self.clock = FakeClock()
        self.chains = Chains(self.store, self.clock)
        self.accounts = Accounts(self.store, self.clock)
        self.settlements = Settlements(self.store, self.clock)
        self.receipts = Receipts(self.store)
        self.account_by_plan = {plan: Account() for plan in PLANS}
        self.executions: dict[tuple[PlanId, str], Execution] = {}
        self.appended: dict[tuple[PlanId, str], Appended] = {}

    def teardown(self) -> None:
        self.runner.run(self.store.close())
        self.runner.close()

    @initialize()
    def open_accounts(self) -> None:
        for plan in PLANS:
            assert self.runner.run(self.accounts.open(plan, CAP)) == Budget(plan.text, CAP)

    @rule(plan=plans, name=names, reserve=money, lost_cost=money)
    def claim(self, plan: PlanId, name: str, reserve: int, lost_cost: int) -> None:
        self.clock.advance(1)
        [answer] = self.runner.run(self.settlements.claim([_claim(plan, name, reserve, lost_cost)]))
        known, account = self._execution(plan, name), self.account_by_plan[plan]
        if known.final is not None:
            assert not isinstance(answer, TheoryError)
            assert answer.settled_receipt is not None
            assert answer.settled_receipt.receipt_id == known.final
            return
        newest = known.tries.get(known.epoch)
        after = Account(account.reserved, account.spent, account.debt)
        if newest is not None and not newest.closed:
            after.close(newest.reserved, lost_cost)
        if reserve and (after.debt or after.reserved + after.spent + reserve > CAP):
            assert isinstance(answer, TheoryError)
            assert answer.reason == "BUDGET_INSUFFICIENT"
            return
        if newest is not None:
            newest.closed = True
        after.reserved += reserve
        self.account_by_plan[plan] = after
        known.epoch = max(known.epoch, known.fenced) + 1
        known.tries[known.epoch] = Try(reserve)
        assert not isinstance(answer, TheoryError)
        assert (answer.epoch, answer.settled_receipt) == (known.epoch, None)
        assert (answer.reserve_receipt is not None) == (reserve > 0)

    @rule(plan=plans, name=names, epoch=epochs, cost=money, outcome=failures, final=st.booleans())
    def settle(self, plan: PlanId, name: str, epoch: int, cost: int, outcome: AttemptOutcome, *, final: bool) -> None:
        request = SettleRequest(plan, _execution_id(plan, name), epoch, 0, outcome, final, cost)
        [answer] = self.runner.run(self.settlements.settle([request]))
        known = self._execution(plan, name)
        current = known.tries.get(epoch)
        if not known.epoch:
            assert isinstance(answer, TheoryError)
            assert answer.reason == "EXECUTION_UNKNOWN"
        elif current is not None and current.receipt_id is not None:
            assert not isinstance(answer, TheoryError)
            assert (answer.receipt.receipt_id, answer.repeated) == (current.receipt_id, True)
        elif current is None or current.closed:
            assert isinstance(answer, TheoryError)
            assert answer.reason == "EPOCH_FENCED"
        else:
            assert not isinstance(answer, TheoryError)
            assert not answer.repeated
            current.closed, current.receipt_id = True, answer.receipt.receipt_id
            self.account_by_plan[plan].close(current.reserved, cost)
            if final:
                known.final = answer.receipt.receipt_id

    @rule(plan=plans, name=names, epoch=epochs)
    def resolve(self, plan: PlanId, name: str, epoch: int) -> None:
        if not epoch:
            return
        receipt = self.runner.run(self.settlements.resolve(_execution_id(plan, name), epoch))
        known = self._execution(plan, name)
        assert (None if receipt is None else receipt.receipt_id) == known.final
        if known.final is not None:
            return
        known.fenced = max(known.fenced, epoch)
        for at, each in known.tries.items():
            if at <= known.fenced and not each.closed:
                each.closed = True
                self.account_by_plan[plan].close(each.reserved, 0)

    @rule(plan=plans, ids=st.lists(st.sampled_from(["e1", "e2", "e3"]), min_size=1, max_size=4))
    def append(self, plan: PlanId, ids: list[str]) -> None:
        events = [PlanEvent(plan.text, NewEvent(each, "scratch.kv.changed", TS, {"key": each})) for each in ids]
        for event_id, answer in zip(ids, self.runner.run(self.chains.append(events, role="resources")), strict=True):
            assert isinstance(answer, Appended)
            assert self.appended.setdefault((plan, event_id), answer) == answer

    @invariant()
    def accounts_agree(self) -> None:
        for plan, account in self.account_by_plan.items():
            held = self.runner.run(self.accounts.get(plan))
            assert held == Budget(plan.text, CAP, account.reserved, account.spent, account.debt)
            assert held.reserved_usd_micro + held.spent_usd_micro <= CAP

    @invariant()
    def everything_verifies(self) -> None:
        for plan in PLANS:
            events, head, _ = self.runner.run(
                self.chains.list_events(plan.text, after_seq=0, chosen=EventFilter(), limit=EVERYTHING)
            )
            receipts, _ = self.runner.run(self.receipts.list_of_plan(plan, after_position=0, limit=EVERYTHING))
            audit = Audit(plan.text)
            audit.read_events([unseal(each.preimage, each.this_hash) for each in events])
            audit.read_receipts(map(_kept, receipts))
            assert audit.faults(head, self.runner.run(self.accounts.get(plan))) == []

    def _execution(self, plan: PlanId, name: str) -> Execution:
        return self.executions.setdefault((plan, name), Execution())


def _execution_id(plan: PlanId, name: str) -> ExecutionId:
    return ExecutionId(f"{plan}.{name}")


def _claim(plan: PlanId, name: str, reserve: int, lost_cost: int) -> ClaimRequest:
    return ClaimRequest(plan, _execution_id(plan, name), 0, reserve, lost_cost)


def _kept(receipt: StoredReceipt) -> KeptReceipt:
    return KeptReceipt(
        receipt.receipt_id,
        receipt.kind,
        receipt.plan_id,
        receipt.execution_id,
        receipt.epoch,
        receipt.preimage,
        receipt.position,
    )


class SqlMachine(LedgerMachine):
    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.url = f"sqlite:///{Path(self.folder.name)}/ledger.db"
        super().__init__()

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


TestMemory = LedgerMachine.TestCase
TestMemory.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
TestSql = SqlMachine.TestCase
TestSql.settings = settings(max_examples=10, stateful_step_count=30, deadline=None)
