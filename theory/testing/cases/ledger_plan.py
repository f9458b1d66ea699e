"""A plan of its own at a ledger under test: what the cases of accounts and settlements ask and look at."""

from collections.abc import Mapping, Sequence

from theory.core.artifact import Output
from theory.core.chain import NewEvent
from theory.core.cid import Cid
from theory.core.ids import ExecutionId, PlanId
from theory.core.jcs import JSON
from theory.core.receipt import AttemptOutcome, Receipt
from theory.core.settle import Claimed, ClaimRequest, SettleRequest
from theory.core.world_path import WorldPath
from theory.sdk.ledger import LedgerClient
from theory.testing.case import Target
from theory.wire.identity import Role

_TS = "2026-01-02T03:04:05.000006Z"


class LedgerPlan:
    """A plan of its own, and the executor's view of the ledger."""

    def __init__(self, target: Target) -> None:
        self.plan_id = PlanId.parse(target.fresh("plan"))
        self.ledger = LedgerClient(target.channel(Role.EXECUTOR))

    def execution(self, name: str = "step") -> ExecutionId:
        """The execution of a step."""
        return ExecutionId.parse(f"{self.plan_id}.{name}")

    def request(
        self, name: str = "step", reserve: int = 0, *, idx: int = 0, lost_cost: int = 0, events: Sequence[NewEvent] = ()
    ) -> ClaimRequest:
        """What claims an execution."""
        return ClaimRequest(self.plan_id, self.execution(name), idx, reserve, lost_cost, tuple(events))

    async def claim(self, name: str = "step", reserve: int = 0, *, idx: int = 0, lost_cost: int = 0) -> Claimed:
        """Claim an execution."""
        return await self.ledger.claim(self.request(name, reserve, idx=idx, lost_cost=lost_cost))

    def end(  # noqa: PLR0913 - each is a field of the request
        self,
        epoch: int,
        name: str = "step",
        *,
        idx: int = 0,
        outcome: AttemptOutcome = AttemptOutcome.SUCCEEDED,
        final: bool = True,
        cost: int = 0,
        outputs: Sequence[Output] = (),
        facts: Mapping[str, JSON] | None = None,
        events: Sequence[NewEvent] = (),
    ) -> SettleRequest:
        """What settles an attempt."""
        return SettleRequest(
            self.plan_id,
            self.execution(name),
            epoch,
            idx,
            outcome,
            final,
            cost,
            tuple(outputs),
            facts or {},
            tuple(events),
        )

    async def held(self) -> tuple[int, int, int]:
        """Reserved, spent and debt."""
        found = await self.ledger.get_budget(self.plan_id)
        return found.reserved_usd_micro, found.spent_usd_micro, found.debt_usd_micro

    async def kinds(self) -> list[str]:
        """What the chain records, in order."""
        pages = [page async for page in self.ledger.events(self.plan_id.text)]
        return [event.kind for page in pages for event in page.events]

    async def check(self) -> None:
        """Chain, receipts and account must agree."""
        assert await self.ledger.verify_plan(self.plan_id.text) == []


def event(event_id: str, *, kind: str = "execution.started") -> NewEvent:
    """An event that may come with a claim or a settlement."""
    return NewEvent(event_id, kind, _TS, {"event": event_id})


def output(name: str) -> Output:
    """A file whose bytes are its name."""
    return Output(WorldPath.parse(f"/artifacts/outputs/{name}"), Cid.of(name.encode()), len(name))


def charge(receipt: Receipt) -> tuple[int, int, int]:
    """What a settle receipt says was reserved, spent and owed."""
    budget = receipt.document["budget"]
    assert isinstance(budget, Mapping)
    reserved, spent, debt = (budget[f"{name}_usd_micro"] for name in ("reserved", "spent", "debt"))
    assert isinstance(reserved, int)
    assert isinstance(spent, int)
    assert isinstance(debt, int)
    return reserved, spent, debt
