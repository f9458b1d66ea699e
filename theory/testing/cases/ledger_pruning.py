"""What every ledger promises of pruning, over the wire: what is dropped, what stays, and that it can be checked."""

from theory.api.ledger.v1 import ledger_pb2 as pb
from theory.api.ledger.v1.ledger_pb2_grpc import LedgerServiceStub
from theory.core.chain import Event, NewEvent
from theory.core.errors import Invalid, NotReady
from theory.core.ledger import PlanEvent
from theory.sdk.ledger import LedgerClient, Pruned
from theory.testing.case import Target, case
from theory.testing.cases.ledger_plan import LedgerPlan, event, output
from theory.testing.refusals import refusal
from theory.wire.channel import call
from theory.wire.identity import Role

_TS = "2026-01-02T03:04:05.000006Z"


@case()
async def pruned_events_keep_their_places_hashes_and_leaves(target: Target) -> None:
    """What proves nothing loses what it said; chain, tree, receipts and account verify as before (I-158)."""
    plan = await _ended(target)
    ledger, chain = LedgerClient(target.channel()), plan.plan_id.text
    before = await _events(ledger, chain)
    found = await ledger.prune(chain)
    after = await _events(ledger, chain)
    pruned = [each for each in after if each.pruned]
    assert [each.kind for each in pruned] == ["execution.started", "scratch.kv.changed", "scratch.kv.changed"]
    assert found == Pruned(3, sum(len(before[each.seq - 1].preimage) for each in pruned))
    assert [_place(each) for each in after[:-1]] == [_place(each) for each in before]
    assert all(each == before[each.seq - 1] for each in after[:-1] if not each.pruned)
    assert after[-1].kind == "ledger.pruned"
    audited = await ledger.audited(chain)
    assert (audited.faults, audited.pruned) == ([], 3)


@case()
async def a_pruning_that_is_repeated_changes_nothing(target: Target) -> None:
    """What was pruned is not pruned again, and nothing is recorded; nor does counting change anything (I-159)."""
    plan = await _ended(target)
    ledger, chain = LedgerClient(target.channel()), plan.plan_id.text
    counted = await ledger.prune(chain, dry_run=True)
    assert not any(each.pruned for each in await _events(ledger, chain))
    assert await ledger.prune(chain, kinds=["scratch.kv.*"], to_seq=await _seq_of(ledger, chain, "kv/1")) == Pruned(
        1, counted.freed_bytes - (await ledger.prune(chain, dry_run=True)).freed_bytes
    )
    await ledger.prune(chain)
    kept = await _events(ledger, chain)
    assert await ledger.prune(chain) == Pruned(0, 0)
    assert await _events(ledger, chain) == kept
    assert await ledger.verify_plan(chain) == []


@case()
async def a_pruned_event_is_still_the_one_of_its_id(target: Target) -> None:
    """An append that comes again finds its first place; another content under its id is refused (I-160)."""
    plan = await _ended(target)
    ledger, chain = LedgerClient(target.channel()), plan.plan_id.text
    seq = await _seq_of(ledger, chain, "kv/1")
    await ledger.prune(chain)
    resources = LedgerClient(target.channel(Role.RESOURCES))
    again, other = await resources.append_many([_scratch(chain, "kv/1"), _scratch(chain, "kv/1", key="other")])
    assert getattr(again, "seq", again) == seq
    assert getattr(other, "reason", other) == "EVENT_ID_TAKEN"


@case()
async def what_proves_something_and_what_goes_on_is_never_pruned(target: Target) -> None:
    """Money, settlements, plans and bindings are `Invalid`; a plan that has not ended is `NotReady` (I-158)."""
    plan = await _ended(target)
    ledger = LedgerClient(target.channel())
    for kind in (
        "budget.*",
        "execution.settled",
        "execution.*",
        "plan.ended",
        "artifact.written",
        "ledger.pruned",
        "*",
        "",
    ):
        await refusal(ledger.prune(plan.plan_id.text, kinds=[kind]), Invalid, "EVENT_KIND_INVALID")
    stub = LedgerServiceStub(target.channel())
    for wrong in (
        pb.PruneEventsRequest(plan_id=plan.plan_id.text, after_seq=-1),
        pb.PruneEventsRequest(plan_id=plan.plan_id.text, after_seq=3, to_seq=2),
        pb.PruneEventsRequest(plan_id=plan.plan_id.text, to_seq=-1),
    ):
        await refusal(call(stub.PruneEvents, wrong), Invalid, "FIELD_INVALID")
    await refusal(ledger.prune("No Chain"), Invalid, "ID_INVALID")
    running = LedgerPlan(target)
    executor = LedgerClient(target.channel(Role.EXECUTOR))
    await executor.append(PlanEvent(running.plan_id.text, NewEvent("submitted", "plan.submitted", _TS, {})))
    await refusal(ledger.prune(running.plan_id.text), NotReady, "PLAN_RUNNING")
    assert not any(each.pruned for each in await _events(ledger, plan.plan_id.text))


async def _ended(target: Target) -> LedgerPlan:
    """A plan with money, a settlement, scratch, and an end."""
    plan = LedgerPlan(target)
    chain, executor = plan.plan_id.text, LedgerClient(target.channel(Role.EXECUTOR))
    await executor.append(PlanEvent(chain, NewEvent("submitted", "plan.submitted", _TS, {})))
    await plan.ledger.open_budget(plan.plan_id, 100)
    claimed = await plan.claim(reserve=40)
    await executor.append(PlanEvent(chain, event("started")))
    resources = LedgerClient(target.channel(Role.RESOURCES))
    await resources.append_many([_scratch(chain, "kv/1"), _scratch(chain, "kv/2")])
    await plan.ledger.settle(plan.end(claimed.epoch, cost=20, outputs=[output("a")]))
    await executor.append(PlanEvent(chain, NewEvent("finished", "plan.succeeded", _TS, {})))
    return plan


def _scratch(chain: str, event_id: str, key: str = "some key") -> PlanEvent:
    return PlanEvent(chain, NewEvent(event_id, "scratch.kv.changed", _TS, {"key": key, "op": "put"}))


async def _events(ledger: LedgerClient, chain: str) -> list[Event]:
    return [each async for page in ledger.events(chain) for each in page.events]


async def _seq_of(ledger: LedgerClient, chain: str, event_id: str) -> int:
    return next(each.seq for each in await _events(ledger, chain) if each.event_id == event_id)


def _place(event: Event) -> tuple[object, ...]:
    return event.seq, event.kind, event.ts, event.prev_hash, event.this_hash, event.log_index
