"""What every ledger promises of claims, settlements and receipts, over the wire."""

import asyncio

from theory.api.artifacts.v1 import artifacts_pb2
from theory.api.ledger.v1 import ledger_pb2 as pb
from theory.api.ledger.v1 import receipt_pb2
from theory.api.ledger.v1.ledger_pb2_grpc import LedgerServiceStub
from theory.core.cid import Cid
from theory.core.errors import Conflict, Denied, Invalid, NotFound, NotReady
from theory.core.jcs import JSON
from theory.core.ledger import Budget
from theory.core.receipt import AttemptOutcome, receipt_id_of
from theory.core.settle import Claimed, Settled, SettleRequest
from theory.sdk.ledger import LedgerClient
from theory.sdk.rpc import unwrapped
from theory.testing.case import Target, case
from theory.testing.cases.ledger_plan import LedgerPlan, charge, event, output
from theory.testing.refusals import refusal, refused
from theory.wire.channel import call
from theory.wire.identity import Role

_FAILED, _SUCCEEDED = AttemptOutcome.FAILED, AttemptOutcome.SUCCEEDED


@case()
async def each_claim_issues_a_higher_epoch(target: Target) -> None:
    """Epochs of an execution grow by each claim, from 1 (I-62)."""
    plan = LedgerPlan(target)
    assert [(await plan.claim(idx=idx)).epoch for idx in range(3)] == [1, 2, 3]
    at_once = await asyncio.gather(*(plan.claim(idx=idx) for idx in range(3, 8)))
    assert sorted(claimed.epoch for claimed in at_once) == [4, 5, 6, 7, 8]
    await plan.check()


@case()
async def a_claim_of_a_settled_execution_returns_its_receipt(target: Target) -> None:
    """After the final settlement a claim issues and reserves nothing, and answers with the receipt (I-61, I-62)."""
    plan = LedgerPlan(target)
    await plan.ledger.open_budget(plan.plan_id, 100)
    settled = await plan.ledger.settle(plan.end((await plan.claim(reserve=10)).epoch, cost=1))
    before = await plan.kinds()
    again = await plan.claim(reserve=10, idx=1)
    assert again == Claimed(1, None, settled.receipt)
    assert (await plan.kinds(), await plan.held()) == (before, (0, 1, 0))


@case()
async def a_claim_closes_the_attempt_before_it(target: Target) -> None:
    """A claim closes the unsettled attempt as lost at its measured cost, and frees its reservation (I-64)."""
    plan = LedgerPlan(target)
    await plan.ledger.open_budget(plan.plan_id, 100)
    await plan.claim(reserve=70)
    claimed = await plan.claim(reserve=60, idx=1, lost_cost=25)
    assert claimed.epoch == 2
    assert await plan.held() == (60, 25, 0)
    receipts = [receipt async for receipt in plan.ledger.receipts(plan.plan_id)]
    assert [receipt.kind for receipt in receipts] == ["reserve", "settle", "reserve"]
    lost = receipts[1]
    assert (lost.outcome, lost.final, lost.epoch, lost.attempt_idx) == (AttemptOutcome.LOST, False, 1, 0)
    assert charge(lost) == (70, 25, 0)
    assert (await plan.kinds())[3:] == ["budget.settled", "execution.lost", "budget.reserved", "execution.claimed"]
    await plan.check()


@case()
async def a_claim_that_cannot_pay_changes_nothing(target: Target) -> None:
    """A claim is whole or nothing: one that the account refuses leaves the open attempt and the chain alone (I-64)."""
    plan = LedgerPlan(target)
    await plan.ledger.open_budget(plan.plan_id, 100)
    claimed = await plan.claim(reserve=70)
    before = await plan.kinds()
    [answer] = await plan.ledger.claim_many([plan.request(reserve=90, idx=1, lost_cost=25, events=[event("x")])])
    assert refused(answer, NotReady, "BUDGET_INSUFFICIENT").metadata["available_usd_micro"] == "75"
    assert (await plan.kinds(), await plan.held()) == (before, (70, 0, 0))
    assert not (await plan.ledger.settle(plan.end(claimed.epoch))).repeated


@case()
async def only_the_current_epoch_settles(target: Target) -> None:
    """A settle at any other epoch is `Conflict` `EPOCH_FENCED` and leaves no trace (I-63)."""
    plan = LedgerPlan(target)
    await plan.ledger.open_budget(plan.plan_id, 100)
    await plan.claim(reserve=10)
    current = await plan.claim(reserve=10, idx=1)
    before = (await plan.kinds(), await plan.held())
    for epoch, idx in ((1, 0), (3, 2), (0, 0), (-1, 0)):
        request = plan.end(epoch, idx=idx, cost=5, outputs=[output("a")], events=[event("x")])
        error = refused((await plan.ledger.settle_many([request]))[0], Conflict, "EPOCH_FENCED")
        assert error.metadata == {"epoch": str(epoch), "current_epoch": "2"}
    assert (await plan.kinds(), await plan.held()) == before
    assert not (await plan.ledger.settle(plan.end(current.epoch, idx=1))).repeated


@case()
async def a_repeated_settlement_returns_the_first_receipt(target: Target) -> None:
    """A repeat, whatever it says, returns the first receipt and changes nothing, after a later claim too (I-63)."""
    plan = LedgerPlan(target)
    await plan.ledger.open_budget(plan.plan_id, 100)
    await plan.claim(reserve=10)
    first = await plan.ledger.settle(plan.end(1, outcome=_FAILED, final=False, cost=3))
    assert not first.repeated
    assert await plan.ledger.settle(plan.end(1, cost=9, outputs=[output("a")])) == Settled(first.receipt, repeated=True)
    await plan.claim(reserve=10, idx=1)
    assert await plan.ledger.settle(plan.end(1, outcome=_FAILED, final=False)) == Settled(first.receipt, repeated=True)
    assert await plan.held() == (10, 3, 0)
    await plan.check()


@case()
async def an_execution_is_settled_once(target: Target) -> None:
    """Of concurrent settlements of an execution one is recorded, and all get its receipt (I-61)."""
    plan = LedgerPlan(target)
    await plan.claim()
    requests = [plan.end(1, cost=cost, outputs=[output(f"{cost}")]) for cost in range(8)]
    settled = unwrapped([answer for each in requests for answer in await plan.ledger.settle_many([each])])
    assert len({each.receipt.receipt_id for each in settled}) == 1
    assert sum(not each.repeated for each in settled) == 1
    assert (await plan.kinds()).count("execution.settled") == 1
    await plan.check()


@case()
async def a_failure_that_is_not_final_leaves_room_for_another_try(target: Target) -> None:
    """A failed attempt is settled at its cost; the execution goes on until a settlement is final (I-61)."""
    plan = LedgerPlan(target)
    await plan.ledger.open_budget(plan.plan_id, 100)
    for idx in range(2):
        epoch = (await plan.claim(reserve=10, idx=idx)).epoch
        await plan.ledger.settle(plan.end(epoch, idx=idx, outcome=_FAILED, final=False, cost=4))
    last = await plan.claim(reserve=10, idx=2)
    settled = await plan.ledger.settle(plan.end(last.epoch, idx=2, outcome=AttemptOutcome.OOM, cost=4))
    assert (await plan.claim(idx=3)).settled == settled.receipt
    assert await plan.held() == (0, 12, 0)
    assert (await plan.kinds()).count("execution.settled") == 3
    await plan.check()


@case()
async def a_settlement_does_not_contradict_itself(target: Target) -> None:
    """A success is final, only a success has outputs, and facts do not hide the ledger's own fields (I-79)."""
    plan = LedgerPlan(target)
    await plan.claim()
    twice = [output("same"), output("same")]
    wrong = {
        "final": plan.end(1, final=False),
        "outputs": plan.end(1, outcome=_FAILED, outputs=[output("a")]),
        "attempt_idx": plan.end(1, idx=1),
        "outcome": plan.end(1, facts={"outcome": "succeeded"}),
        "output_cids": plan.end(1, outputs=twice),
    }
    for field, request in wrong.items():
        [answer] = await plan.ledger.settle_many([request])
        assert refused(answer, Invalid, "SETTLEMENT_INVALID").metadata["field"] == field
    other = LedgerPlan(target)
    stranger = SettleRequest(other.plan_id, plan.execution(), 1, 0, _SUCCEEDED, final=True, cost_usd_micro=0)
    refused((await plan.ledger.settle_many([stranger]))[0], Invalid, "SETTLEMENT_INVALID")
    assert await plan.kinds() == ["execution.claimed"]


@case()
async def what_is_malformed_is_refused_alone(target: Target) -> None:
    """A settlement with a bad output, bad facts or no outcome is `Invalid`, and its neighbours are settled (I-86)."""
    plan, stub = LedgerPlan(target), LedgerServiceStub(target.channel(Role.EXECUTOR))
    await plan.claim()

    def item(**fields: object) -> pb.SettleRequest.Item:
        place = {"plan_id": plan.plan_id.text, "execution_id": plan.execution().text, "epoch": 1, "final": True}
        return pb.SettleRequest.Item(**{"outcome": receipt_pb2.ATTEMPT_OUTCOME_SUCCEEDED, **place, **fields})  # type: ignore[arg-type]

    cid = Cid.of(b"").text
    bad = (
        item(outcome=receipt_pb2.ATTEMPT_OUTCOME_UNSPECIFIED),
        item(facts=b"[]"),
        item(facts=b'{"seconds":0.5}'),
        item(outputs=[artifacts_pb2.Output(world_path="/artifacts/../a", cid=cid)]),
        item(outputs=[artifacts_pb2.Output(world_path="/artifacts/a", cid="b3:no")]),
        item(outputs=[artifacts_pb2.Output(world_path="/artifacts/a", cid=cid, size_bytes=-1)]),
    )
    results = (await call(stub.Settle, pb.SettleRequest(items=[*bad, item()]))).results
    assert [result.status.reason for result in results] == ["SETTLEMENT_INVALID"] * len(bad) + [""]
    await plan.check()


@case()
async def a_bad_claim_is_refused_alone(target: Target) -> None:
    """Each item of a batch of claims is its own transaction: one that fails leaves its neighbours claimed (I-86)."""
    plan = LedgerPlan(target)
    await plan.ledger.open_budget(plan.plan_id, 50)
    answers = await plan.ledger.claim_many(
        [
            plan.request("a", 30),
            plan.request("b", 30),
            plan.request("c", 20),
            plan.request("d", idx=-1),
            plan.request("e", events=[event("x", kind="scratch.kv.changed")]),
            plan.request("f", events=[event("y")]),
        ]
    )
    refused(answers[1], NotReady, "BUDGET_INSUFFICIENT")
    refused(answers[3], Invalid, "FIELD_INVALID")
    refused(answers[4], Denied, "EVENT_KIND_DENIED")
    assert [isinstance(answer, Claimed) for answer in answers] == [True, False, True, False, False, True]
    assert await plan.held() == (50, 0, 0)
    await plan.check()


@case()
async def given_events_come_before_the_ledgers_own(target: Target) -> None:
    """What comes with a claim or a settlement is recorded in its transaction, before the events of it (I-55)."""
    plan = LedgerPlan(target)
    await plan.ledger.open_budget(plan.plan_id, 10)
    await plan.ledger.claim(plan.request(reserve=1, events=[event("a", kind="execution.started")]))
    written = event("b", kind="artifact.written")
    await plan.ledger.settle(plan.end(1, cost=1, outputs=[output("a")], events=[written, written]))
    assert await plan.kinds() == [
        "budget.opened",
        "execution.started",
        "budget.reserved",
        "execution.claimed",
        "artifact.written",
        "budget.settled",
        "execution.settled",
    ]
    await plan.check()


@case()
async def a_receipt_states_what_was_settled(target: Target) -> None:
    """A succeeded receipt holds facts, outputs in order of path, and cost; its name is the hash of its bytes (I-79)."""
    plan = LedgerPlan(target)
    await plan.ledger.open_budget(plan.plan_id, 10)
    reserve = (await plan.claim(reserve=5)).reserve_receipt
    assert reserve is not None
    facts: dict[str, JSON] = {"input_cids": [Cid.of(b"in").text], "seed": "7", "env_fingerprint": Cid.of(b"fp").text}
    outputs = [output("b"), output("a")]
    settled = await plan.ledger.settle(plan.end(1, cost=2, outputs=outputs, facts=facts))
    receipt = settled.receipt
    assert {key: receipt.document[key] for key in facts} == facts
    assert receipt.outputs == (output("a"), output("b"))
    assert (receipt.outcome, receipt.final, receipt.plan_id) == (_SUCCEEDED, True, plan.plan_id.text)
    assert receipt.receipt_id == receipt_id_of(receipt.preimage)
    anyone = LedgerClient(target.channel(Role.CLIENT))
    unknown = "b3:" + "0" * 64
    found = await anyone.get_receipts([receipt.receipt_id, unknown, reserve.receipt_id])
    assert (found[0], found[2]) == (receipt, reserve)
    assert refused(found[1], NotFound, "RECEIPT_UNKNOWN").metadata == {"receipt_id": unknown}
    assert [each async for each in anyone.receipts(plan.plan_id)] == [reserve, receipt]


@case()
async def receipts_are_listed_once_in_order(target: Target) -> None:
    """The receipts of a plan are listed in the order of their writing, each once over its pages (I-88)."""
    plan, stub = LedgerPlan(target), LedgerServiceStub(target.channel())
    names = [f"s{at}" for at in range(5)]
    unwrapped(await plan.ledger.claim_many([plan.request(name) for name in names]))
    settled = unwrapped(await plan.ledger.settle_many([plan.end(1, name) for name in names]))
    request = pb.ListReceiptsRequest(plan_id=plan.plan_id.text, page_size=2)
    listed: list[receipt_pb2.Receipt] = []
    while True:
        page = await call(stub.ListReceipts, request)
        listed += page.receipts
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert [each.receipt_id for each in listed] == [each.receipt.receipt_id for each in settled]
    assert [each.position for each in listed] == sorted(each.position for each in listed)


@case()
async def receipts_that_find_no_room_are_asked_for_again(target: Target) -> None:
    """No reply outgrows a message: what does not fit is `Exhausted` `REPLY_FULL`, and a repeat gets it (I-89)."""
    plan, stub = LedgerPlan(target), LedgerServiceStub(target.channel(Role.EXECUTOR))
    names = [f"s{at}" for at in range(4)]
    unwrapped(await plan.ledger.claim_many([plan.request(name) for name in names]))
    for name in names:
        await plan.ledger.settle(plan.end(1, name, facts={"log": "x" * 2_000_000}))
    receipts = [receipt async for receipt in plan.ledger.receipts(plan.plan_id)]
    ids = [receipt.receipt_id for receipt in receipts]
    results = (await call(stub.GetReceipts, pb.GetReceiptsRequest(receipt_ids=ids))).results
    assert [result.status.reason for result in results] == ["", "", "", "REPLY_FULL"]
    assert await plan.ledger.get_receipts(ids) == receipts
    again = unwrapped(await plan.ledger.claim_many([plan.request(name, idx=1) for name in names]))
    assert [each.settled for each in again] == receipts
    too_large = plan.end((await plan.claim("big")).epoch, "big", facts={"log": "x" * 5_000_000})
    refused((await plan.ledger.settle_many([too_large]))[0], Invalid, "SETTLEMENT_INVALID")


@case()
async def resolving_returns_the_final_receipt(target: Target) -> None:
    """Resolving a settled execution returns its receipt, at whatever epoch, and fences nothing (I-65)."""
    plan = LedgerPlan(target)
    await plan.claim()
    settled = await plan.ledger.settle(plan.end(1))
    artifacts = LedgerClient(target.channel(Role.ARTIFACTS))
    for epoch in (1, 2, 1):
        found = await artifacts.resolve(plan.execution(), epoch)
        assert (found.receipt, found.fenced) == (settled.receipt, False)


@case()
async def resolving_fences_what_is_not_settled(target: Target) -> None:
    """Resolving an open epoch closes it for ever and frees its reservation; the next claim gets a higher one (I-65)."""
    plan = LedgerPlan(target)
    await plan.ledger.open_budget(plan.plan_id, 10)
    await plan.claim(reserve=8)
    artifacts = LedgerClient(target.channel(Role.ARTIFACTS))
    for _ in range(2):
        found = await artifacts.resolve(plan.execution(), 1)
        assert (found.receipt, found.fenced) == (None, True)
    assert await plan.held() == (0, 0, 0)
    assert (await plan.kinds())[3:] == ["budget.settled", "execution.lost"]
    [late] = await plan.ledger.settle_many([plan.end(1, cost=5)])
    refused(late, Conflict, "EPOCH_FENCED")
    assert (await plan.claim(reserve=8, idx=1)).epoch == 2
    await plan.check()


@case()
async def resolving_an_old_epoch_leaves_the_current_one(target: Target) -> None:
    """A fence below the current epoch does not touch the attempt that holds it (I-65)."""
    plan = LedgerPlan(target)
    await plan.claim()
    await plan.claim(idx=1)
    assert (await plan.ledger.resolve(plan.execution(), 1)).fenced
    assert not (await plan.ledger.settle(plan.end(2, idx=1))).repeated
    await plan.check()


@case()
async def resolving_before_any_claim_fences_too(target: Target) -> None:
    """An epoch that nobody claimed yet can be fenced; the first claim gets a higher one (I-65)."""
    plan = LedgerPlan(target)
    assert (await plan.ledger.resolve(plan.execution(), 3)).fenced
    [answer] = await plan.ledger.settle_many([plan.end(3)])
    refused(answer, NotFound, "EXECUTION_UNKNOWN")
    assert (await plan.claim()).epoch == 4
    for epoch in (0, -1, 1 << 40):
        await refusal(plan.ledger.resolve(plan.execution(), epoch), Invalid, "ID_INVALID")
    await plan.check()


@case()
async def a_settle_and_a_resolve_at_once_agree(target: Target) -> None:
    """Of a settle and a resolve of one epoch one wins, and both tell the same story (I-65)."""
    for _ in range(8):
        plan = LedgerPlan(target)
        await plan.claim()
        [settled], resolved = await asyncio.gather(
            plan.ledger.settle_many([plan.end(1)]),
            LedgerClient(target.channel(Role.ARTIFACTS)).resolve(plan.execution(), 1),
        )
        if resolved.fenced:
            refused(settled, Conflict, "EPOCH_FENCED")
        else:
            assert isinstance(settled, Settled)
            assert settled.receipt == resolved.receipt
        await plan.check()


@case()
async def an_execution_that_nobody_claimed_cannot_settle(target: Target) -> None:
    """Settling an execution that was never claimed is `NotFound` `EXECUTION_UNKNOWN` (I-62)."""
    plan = LedgerPlan(target)
    refused((await plan.ledger.settle_many([plan.end(1)]))[0], NotFound, "EXECUTION_UNKNOWN")


@case()
async def only_the_executor_moves_money(target: Target) -> None:
    """Accounts, claims and settlements are the executor's; artifacts may resolve besides; everyone may read (I-84)."""
    plan = LedgerPlan(target)
    await plan.ledger.open_budget(plan.plan_id, 1)
    await plan.claim()
    for role in (Role.CLIENT, Role.ARTIFACTS, Role.RESOURCES, Role.REGISTRY):
        other = LedgerClient(target.channel(role))
        await refusal(other.open_budget(plan.plan_id, 1), Denied, "ROLE_DENIED")
        await refusal(other.claim_many([plan.request()]), Denied, "ROLE_DENIED")
        await refusal(other.settle_many([plan.end(1)]), Denied, "ROLE_DENIED")
        if role is not Role.ARTIFACTS:
            await refusal(other.resolve(plan.execution(), 1), Denied, "ROLE_DENIED")
        assert await other.get_budget(plan.plan_id) == Budget(plan.plan_id.text, 1)
        assert await other.verify_plan(plan.plan_id.text) == []


@case()
async def batches_of_claims_have_a_size(target: Target) -> None:
    """An empty batch, and one of more than 100 claims or settlements, is `Invalid` `BATCH_SIZE` as a whole (I-89)."""
    plan, stub = LedgerPlan(target), LedgerServiceStub(target.channel(Role.EXECUTOR))
    claim = pb.ClaimRequest.Item(plan_id=plan.plan_id.text, execution_id=plan.execution().text)
    settle = pb.SettleRequest.Item(plan_id=plan.plan_id.text, execution_id=plan.execution().text)
    for count in (0, 101):
        await refusal(call(stub.Claim, pb.ClaimRequest(items=[claim] * count)), Invalid, "BATCH_SIZE")
        await refusal(call(stub.Settle, pb.SettleRequest(items=[settle] * count)), Invalid, "BATCH_SIZE")
    for ids in ([], ["x"] * 1001):
        await refusal(call(stub.GetReceipts, pb.GetReceiptsRequest(receipt_ids=ids)), Invalid, "BATCH_SIZE")
