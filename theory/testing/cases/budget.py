"""What every ledger promises of accounts, over the wire."""

import asyncio
from collections.abc import Mapping

from theory.api.ledger.v1 import ledger_pb2 as pb
from theory.api.ledger.v1.ledger_pb2_grpc import LedgerServiceStub
from theory.core.errors import AlreadyExists, Invalid, NotFound, NotReady
from theory.core.ids import PlanId, RequestId
from theory.core.ledger import Budget
from theory.core.postings import ACCOUNTS, balances
from theory.core.settle import Claimed
from theory.sdk.ledger import LedgerClient
from theory.testing.case import Target, case
from theory.testing.cases.ledger_plan import LedgerPlan, charge
from theory.testing.refusals import refusal, refused
from theory.wire.channel import call
from theory.wire.identity import Role


@case()
async def an_account_is_opened_once(target: Target) -> None:
    """Opening an account again with its cap changes nothing; another cap is `AlreadyExists` `BUDGET_OPEN` (I-57)."""
    plan = LedgerPlan(target)
    await refusal(plan.ledger.get_budget(plan.plan_id), NotFound, "BUDGET_UNKNOWN")
    for _ in range(2):
        assert await plan.ledger.open_budget(plan.plan_id, 100) == Budget(plan.plan_id.text, 100)
    error = await refusal(plan.ledger.open_budget(plan.plan_id, 101), AlreadyExists, "BUDGET_OPEN")
    assert error.metadata == {"cap_usd_micro": "100"}
    assert await plan.kinds() == ["budget.opened"]
    await plan.check()


@case()
async def an_account_is_never_overdrawn(target: Target) -> None:
    """Concurrent claims reserve no more than the cap; the others are `NotReady` `BUDGET_INSUFFICIENT` (I-57)."""
    plan = LedgerPlan(target)
    await plan.ledger.open_budget(plan.plan_id, 100)
    tried = await asyncio.gather(*(plan.ledger.claim_many([plan.request(f"s{at}", 30)]) for at in range(10)))
    won = [answer for [answer] in tried if isinstance(answer, Claimed)]
    assert len(won) == 3
    for answer in (answer for [answer] in tried if not isinstance(answer, Claimed)):
        error = refused(answer, NotReady, "BUDGET_INSUFFICIENT")
        assert error.metadata == {"available_usd_micro": "10", "required_usd_micro": "30"}
    assert await plan.held() == (90, 0, 0)
    await plan.check()


@case()
async def a_reservation_needs_an_account(target: Target) -> None:
    """A claim that reserves is `NotFound` `BUDGET_UNKNOWN` without an account; one that does not needs none (I-57)."""
    plan = LedgerPlan(target)
    [refused_claim] = await plan.ledger.claim_many([plan.request(reserve=1)])
    refused(refused_claim, NotFound, "BUDGET_UNKNOWN")
    claimed = await plan.claim()
    assert (claimed.epoch, claimed.reserve_receipt, claimed.settled) == (1, None, None)
    await plan.ledger.settle(plan.end(1, cost=7))
    assert await plan.kinds() == ["execution.claimed", "execution.settled"]
    await plan.check()


@case()
async def a_settlement_releases_what_was_not_spent(target: Target) -> None:
    """A settle moves the reservation to what the attempt cost and frees the rest (I-60)."""
    plan = LedgerPlan(target)
    await plan.ledger.open_budget(plan.plan_id, 100)
    claimed = await plan.claim(reserve=80)
    assert await plan.held() == (80, 0, 0)
    settled = await plan.ledger.settle(plan.end(claimed.epoch, cost=25))
    assert await plan.held() == (0, 25, 0)
    assert charge(settled.receipt) == (80, 25, 0)
    await plan.check()


@case()
async def an_overrun_takes_what_the_cap_admits_and_owes_the_rest(target: Target) -> None:
    """Cost beyond the reservation is spent up to the cap, the rest is debt; other reservations stay whole (I-60)."""
    plan = LedgerPlan(target)
    await plan.ledger.open_budget(plan.plan_id, 100)
    first, other = await plan.claim("a", 30), await plan.claim("b", 40)
    settled = await plan.ledger.settle(plan.end(first.epoch, "a", cost=75))
    assert charge(settled.receipt) == (30, 60, 15)
    assert await plan.held() == (40, 60, 15)
    assert "budget.overrun" in await plan.kinds()
    await plan.ledger.settle(plan.end(other.epoch, "b", cost=0))
    assert await plan.held() == (0, 60, 15)
    await plan.check()


@case()
async def a_plan_in_debt_reserves_nothing(target: Target) -> None:
    """While a plan owes, a claim that reserves is refused, and one that reserves nothing is not (I-60)."""
    plan = LedgerPlan(target)
    await plan.ledger.open_budget(plan.plan_id, 10)
    await plan.ledger.settle(plan.end((await plan.claim("a")).epoch, "a", cost=5))
    await plan.ledger.settle(plan.end((await plan.claim("b")).epoch, "b", cost=6))
    assert await plan.held() == (0, 10, 1)
    [refused_claim, free] = await plan.ledger.claim_many([plan.request("c", 1), plan.request("d")])
    assert refused(refused_claim, NotReady, "BUDGET_INSUFFICIENT").metadata["available_usd_micro"] == "0"
    assert isinstance(free, Claimed)
    await plan.check()


@case()
async def a_top_up_pays_debt_first_and_counts_once(target: Target) -> None:
    """A top-up raises the cap once per request id, ends debt as far as it goes, and then it can be reserved (I-157)."""
    plan = LedgerPlan(target)
    await plan.ledger.open_budget(plan.plan_id, 10)
    await plan.ledger.settle(plan.end((await plan.claim("a")).epoch, "a", cost=16))
    client, once = LedgerClient(target.channel()), RequestId.parse(target.fresh("r")[:36])
    for _ in range(2):
        assert await client.top_up_budget(plan.plan_id, 4, once) == Budget(plan.plan_id.text, 14, 0, 14, 2)
    await refusal(client.top_up_budget(plan.plan_id, 5, once), AlreadyExists, "REQUEST_ID_TAKEN")
    await client.top_up_budget(plan.plan_id, 12)
    assert await plan.held() == (0, 16, 0)
    assert isinstance(await plan.claim("b", 10), Claimed)
    await refusal(client.top_up_budget(PlanId.parse(target.fresh("nobody")), 1), NotFound, "BUDGET_UNKNOWN")
    stub = LedgerServiceStub(target.channel())
    for wrong in (0, -1, (1 << 53) - 1, (1 << 63) - 1):
        request = pb.TopUpBudgetRequest(plan_id=plan.plan_id.text, usd_micro=wrong, request_id="r")
        await refusal(call(stub.TopUpBudget, request), Invalid, "MONEY_INVALID")
    await plan.check()


@case()
async def every_movement_of_money_sums_to_zero(target: Target) -> None:
    """Each event of an account states postings that sum to zero, and together they are the account (I-157)."""
    plan = LedgerPlan(target)
    await plan.ledger.open_budget(plan.plan_id, 100)
    first, other = await plan.claim("a", 60), await plan.claim("b", 30)
    await plan.ledger.settle(plan.end(first.epoch, "a", cost=95))
    await plan.ledger.top_up_budget(plan.plan_id, 40)
    await plan.ledger.settle(plan.end(other.epoch, "b", cost=10))
    sums = dict.fromkeys(ACCOUNTS, 0)
    async for page in plan.ledger.events(plan.plan_id.text, kinds=["budget.*"]):
        for event in page.events:
            postings = event.body.get("postings", {})
            assert isinstance(postings, Mapping)
            amounts = {name: amount for name, amount in postings.items() if isinstance(amount, int)}
            assert sum(amounts.values()) == 0
            sums = {name: total + amounts.get(name, 0) for name, total in sums.items()}
    account = balances(await plan.ledger.get_budget(plan.plan_id))
    assert sums == {name: getattr(account, name) for name in ACCOUNTS}
    await plan.check()


@case()
async def money_is_not_negative(target: Target) -> None:
    """A negative amount is `Invalid` `MONEY_INVALID` wherever it stands (I-59)."""
    plan, stub = LedgerPlan(target), LedgerServiceStub(target.channel(Role.EXECUTOR))
    await refusal(plan.ledger.open_budget(plan.plan_id, -1), Invalid, "MONEY_INVALID")
    claims = await plan.ledger.claim_many([plan.request("a", -1), plan.request("b", lost_cost=-1), plan.request("c")])
    for answer in claims[:2]:
        refused(answer, Invalid, "MONEY_INVALID")
    assert isinstance(claims[2], Claimed)
    [settled] = await plan.ledger.settle_many([plan.end(1, "c", cost=-1)])
    assert refused(settled, Invalid, "MONEY_INVALID").metadata["field"] == "cost_usd_micro"
    largest = pb.OpenBudgetRequest(plan_id=plan.plan_id.text, cap_usd_micro=(1 << 63) - 1)
    await refusal(call(stub.OpenBudget, largest), Invalid, "MONEY_INVALID")
