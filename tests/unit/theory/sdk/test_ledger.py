"""The client of the ledger against a real one: batches, what cannot be sent, and damage on the way."""

import asyncio
import dataclasses
import sqlite3

import pytest

from tests.unit.theory.sdk.conftest import Installation
from theory.core.chain import NewEvent
from theory.core.errors import Corrupt, Denied, Invalid, NotFound, TheoryError
from theory.core.ids import ExecutionId, PlanId
from theory.core.ledger import Appended, PlanEvent
from theory.core.receipt import AttemptOutcome
from theory.core.settle import ClaimRequest, SettleRequest
from theory.sdk.ledger import LedgerClient

TS = "2026-01-02T03:04:05.000006Z"
PLAN = PlanId("p-1")


@pytest.fixture
def ledger(installation: Installation) -> LedgerClient:
    return installation.as_executor.ledger


def event(event_id: str) -> PlanEvent:
    return PlanEvent(PLAN.text, NewEvent(event_id, "plan.noted", TS, {"id": event_id}))


def claim(name: str) -> ClaimRequest:
    return ClaimRequest(PLAN, ExecutionId(f"p-1.{name}"), 0, 0)


def end(name: str, epoch: int = 1) -> SettleRequest:
    return SettleRequest(
        PLAN, ExecutionId(f"p-1.{name}"), epoch, 0, AttemptOutcome.FAILED, final=True, cost_usd_micro=0
    )


async def test_single_calls_of_one_turn_travel_together(ledger: LedgerClient) -> None:
    places = await asyncio.gather(*(ledger.append(event(str(at))) for at in range(50)))
    assert sorted(place.seq for place in places) == list(range(1, 51))
    claimed = await asyncio.gather(*(ledger.claim(claim(str(at))) for at in range(20)))
    assert {each.epoch for each in claimed} == {1}
    settled = await asyncio.gather(*(ledger.settle(end(str(at))) for at in range(20)))
    assert len({each.receipt.receipt_id for each in settled}) == 20


async def test_a_single_call_raises_its_own_error_alone(ledger: LedgerClient) -> None:
    good, bad = await asyncio.gather(ledger.append(event("a")), ledger.append(event("a b")), return_exceptions=True)
    assert isinstance(good, Appended)
    assert isinstance(bad, Invalid)


async def test_more_than_one_batch_is_sent_in_order(ledger: LedgerClient) -> None:
    places = await ledger.append_many([event(str(at)) for at in range(2_500)])
    assert [each.seq for each in places if isinstance(each, Appended)] == list(range(1, 2_501))
    claimed = await ledger.claim_many([claim(str(at)) for at in range(250)])
    assert all(not isinstance(each, TheoryError) for each in claimed)
    pages = [page async for page in ledger.events(PLAN.text)]
    assert [len(page.events) for page in pages] == [1000, 1000, 750]
    assert [page.head.seq for page in pages] == [2_750] * 3


async def test_what_fits_into_no_message_is_answered_without_being_sent(ledger: LedgerClient) -> None:
    answers = await ledger.append_many(
        [
            PlanEvent(PLAN.text, NewEvent("\ud800", "plan.noted", TS, {})),
            PlanEvent(PLAN.text, NewEvent("f", "plan.noted", TS, {"ratio": 0.5})),
            PlanEvent(PLAN.text, NewEvent("n", "plan.noted", TS, {}), 1 << 63),
            event("good"),
        ]
    )
    assert [type(each) for each in answers] == [Invalid, Invalid, Invalid, Appended]
    claimed = await ledger.claim_many([ClaimRequest(PLAN, ExecutionId("p-1.x"), 1 << 31, 0), claim("y")])
    assert isinstance(claimed[0], Invalid)
    assert not isinstance(claimed[1], TheoryError)


@pytest.mark.slow
async def test_what_is_more_than_a_message_is_refused_alone(ledger: LedgerClient) -> None:
    await ledger.claim_many([claim("a"), claim("b"), claim("c")])
    large = dataclasses.replace(end("b"), facts={"text": "x" * (9 << 20)})
    first, refused, last = await ledger.settle_many([end("a"), large, end("c")])
    assert isinstance(refused, Invalid)
    assert refused.reason == "MESSAGE_TOO_LARGE"
    assert not isinstance(first, TheoryError)
    assert not isinstance(last, TheoryError)


async def test_nothing_is_sent_for_nothing(ledger: LedgerClient) -> None:
    assert await ledger.append_many([]) == []
    assert await ledger.get_receipts([]) == []


async def test_a_client_may_read_and_not_write(installation: Installation, ledger: LedgerClient) -> None:
    anyone = installation.theory.ledger
    await ledger.open_budget(PLAN, 5)
    assert (await anyone.get_budget(PLAN)).cap_usd_micro == 5
    with pytest.raises(Denied):
        await anyone.append(event("a"))
    with pytest.raises(NotFound):
        await anyone.get_budget(PlanId("p-2"))
    assert [head.plan_id async for head in anyone.chains()] == [PLAN.text]
    assert (await anyone.capabilities()).adapter == "sql"


async def test_a_damaged_receipt_is_the_error_of_its_item_alone(
    installation: Installation, ledger: LedgerClient
) -> None:
    await ledger.claim_many([claim("a"), claim("b")])
    first, second = [(await ledger.settle(end(name))).receipt for name in ("a", "b")]
    file = sqlite3.connect(installation.home / "ledger.db", isolation_level=None)
    file.execute("DROP TRIGGER receipt_refuses_update")
    file.execute(
        "UPDATE receipt SET preimage = CAST(preimage || ' ' AS BLOB) WHERE receipt_id = ?", (first.receipt_id,)
    )
    file.close()
    damaged, sound = await ledger.get_receipts([first.receipt_id, second.receipt_id])
    assert isinstance(damaged, Corrupt)
    assert sound == second
    repeated = await ledger.settle_many([end("a"), end("b")])
    assert isinstance(repeated[0], Corrupt)
    assert not isinstance(repeated[1], TheoryError)
    assert [fault.what for fault in await ledger.verify_plan(PLAN.text)] == ["RECEIPT_HASH", "RECEIPT_TEXT"]


async def test_a_plan_that_goes_on_while_it_is_verified_is_sound(ledger: LedgerClient) -> None:
    await ledger.open_budget(PLAN, 1_000)

    async def go_on() -> None:
        for at in range(15):
            await ledger.claim(ClaimRequest(PLAN, ExecutionId(f"p-1.{at}"), 0, 5))
            await ledger.settle(end(str(at)))

    going = asyncio.ensure_future(go_on())
    while not going.done():
        assert await ledger.verify_plan(PLAN.text) == []
    await going
    assert await ledger.verify_plan(PLAN.text) == []
