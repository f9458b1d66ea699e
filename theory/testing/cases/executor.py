"""What every executor promises of plans and executions, over the wire.

The cases publish what they run under names of their own, so the registry must answer at the same address; those that
look at what a plan left behind need ledger and artifacts there, too (`PEERS`).
"""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

from theory.api.executor.v1 import executor_pb2 as pb
from theory.api.executor.v1.executor_pb2_grpc import ExecutorServiceStub
from theory.core.determinism import differences_of_receipts
from theory.core.errors import AlreadyExists, Invalid, NotFound, NotReady
from theory.core.ids import ExecutionId, PlanId
from theory.core.jcs import JSON
from theory.core.plan import PlanSpec
from theory.core.receipt import AttemptOutcome, Receipt
from theory.sdk.artifacts import ArtifactsClient
from theory.sdk.ledger import LedgerClient
from theory.sdk.plan_messages import spec_to_proto
from theory.sdk.views import PlanView, RememberedResult
from theory.testing.case import Target, case
from theory.testing.cases.executor_plans import Plans, step
from theory.testing.refusals import refusal
from theory.wire.channel import call


@case()
async def capabilities_name_what_is_served(target: Target) -> None:
    """The default runtime is one that is served; each says how it isolates, or what to do (I-89)."""
    found = await Plans(target).executor.capabilities()
    assert found.default_runtime in {each.kind for each in found.runtimes}
    assert found.max_in_flight > 0
    assert all(each.isolation for each in found.runtimes)
    assert not any(each.isolation_missing for each in found.runtimes if each.isolation == "none")
    assert all(bool(each.advice) is not each.ready for each in found.runtimes)


@case("MOCK")
async def a_submission_is_idempotent(target: Target) -> None:
    """A repeat with the same request id returns the plan of the first call, before it has ended and after (I-87)."""
    plans = Plans(target)
    spec, request_id = await plans.spec(step("a")), plans.request_id()
    at_once = await asyncio.gather(*(plans.executor.submit(spec, request_id) for _ in range(4)))
    ended = await plans.ended(at_once[0].plan_id)
    again = await plans.executor.submit(spec, request_id)
    assert {each.plan_id for each in (*at_once, again)} == {ended.plan_id}
    assert (again.state, again.finish_time) == (ended.state, ended.finish_time)


@case("MOCK")
async def a_request_id_belongs_to_one_plan(target: Target) -> None:
    """The same request id with another plan is `AlreadyExists` `REQUEST_ID_TAKEN`, and submits nothing (I-87)."""
    plans = Plans(target)
    request_id = plans.request_id()
    first = await plans.executor.submit(await plans.spec(step("a")), request_id)
    other = await plans.spec(step("b"))
    await refusal(plans.executor.submit(other, request_id), AlreadyExists, "REQUEST_ID_TAKEN")
    assert other.name not in [each.name for each in await plans.listed(10)]
    await plans.ended(first.plan_id)


@case("MOCK")
async def what_is_wrong_with_a_plan_is_named(target: Target) -> None:
    """A plan that breaks its form is `Invalid` with the `field`, and is not recorded (I-89)."""
    plans = Plans(target)
    message = spec_to_proto(await plans.spec(step("a"), step("b", needs=["a"])))
    message.transitions[1].needs[0] = "nobody"
    request = pb.SubmitPlanRequest(request_id=plans.request_id().text, spec=message)
    error = await refusal(call(ExecutorServiceStub(target.channel()).SubmitPlan, request), Invalid, "PLAN_INVALID")
    assert error.metadata["field"] == "transitions[1].needs[0]"
    for request_id in ("", "x" * 37, "with space", "\u00e9"):
        bad = pb.SubmitPlanRequest(request_id=request_id, spec=message)
        refused = await refusal(call(ExecutorServiceStub(target.channel()).SubmitPlan, bad), Invalid, "ID_INVALID")
        assert refused.metadata["field"] == "request_id"
    assert message.name not in [each.name for each in await plans.listed(10)]


@case("MOCK")
async def what_does_not_exist_is_named(target: Target) -> None:
    """A plan that names a processor, a runtime or a secret that is not there is refused with its name (I-24, I-45)."""
    plans = Plans(target)
    unknown = f"{target.fresh('nobody')}/x@1"
    error = await refusal(plans.submit(step("a", processor=unknown)), NotFound, "SPEC_UNKNOWN")
    assert error.metadata["ref"] == unknown
    served = {each.kind for each in (await plans.executor.capabilities()).runtimes}
    missing = next(kind for kind in ("modal", "process", "local") if kind not in served)
    no_runtime = await refusal(plans.submit(step("a", runtime=missing)), NotReady, "RUNTIME_UNKNOWN")
    assert no_runtime.metadata["runtime"] == missing
    name = target.fresh("S").replace("-", "_")
    secretive = await plans.tool(required=[name])
    no_secret = await refusal(plans.submit(step("a", processor=secretive)), NotFound, "SECRET_UNKNOWN")
    assert no_secret.metadata["names"] == name


@case("MOCK")
async def a_write_prefix_stays_where_the_processor_declares(target: Target) -> None:
    """A write prefix outside of what the processor declares is `Invalid` with the `field` (I-69)."""
    plans = Plans(target)
    asked = plans.submit(step("a", write_prefix="/artifacts/elsewhere/"))
    error = await refusal(asked, Invalid, "WRITE_PREFIX_REFUSED")
    assert error.metadata["field"] == "transitions[0].write_prefix"


@case("MOCK")
async def a_budget_that_can_never_pay_is_refused(target: Target) -> None:
    """A plan whose budget cannot pay for one of its transitions is refused at once, with both amounts (I-57)."""
    plans = Plans(target)
    dear = await plans.tool(required_usd_micro=500)
    asked = plans.submit(step("a", processor=dear), budget={"max_usd_micro": 499})
    error = await refusal(asked, NotReady, "BUDGET_INSUFFICIENT")
    assert (error.metadata["required_usd_micro"], error.metadata["available_usd_micro"]) == ("500", "499")


@case()
async def what_nobody_submitted_is_not_found(target: Target) -> None:
    """Unknown plans and executions are `NotFound`; malformed ids are `Invalid` with `field` (I-89)."""
    plan_id, stub = target.fresh("nobody"), ExecutorServiceStub(target.channel())
    plans = Plans(target)
    await refusal(plans.executor.get_plan(PlanId.parse(plan_id)), NotFound, "PLAN_UNKNOWN")
    await refusal(plans.executions(PlanId.parse(plan_id)), NotFound, "PLAN_UNKNOWN")
    await refusal(plans.ended(PlanId.parse(plan_id)), NotFound, "PLAN_UNKNOWN")
    asked = plans.executor.get_execution(ExecutionId.parse(f"{plan_id}.a"))
    assert (await refusal(asked, NotFound, "EXECUTION_UNKNOWN")).metadata == {"execution_id": f"{plan_id}.a"}
    for malformed in ("", "Upper", "-x", "a/b", "x" * 65):
        await refusal(call(stub.GetPlan, pb.GetPlanRequest(plan_id=malformed)), Invalid, "ID_INVALID")
        await refusal(call(stub.ListExecutions, pb.ListExecutionsRequest(plan_id=malformed)), Invalid, "ID_INVALID")
    await refusal(call(stub.GetExecution, pb.GetExecutionRequest(execution_id="a..b")), Invalid, "ID_INVALID")


@case("MOCK")
async def a_watch_tells_every_change_in_order(target: Target) -> None:
    """Positions rise, every execution is told, and the last message is the end of the plan (I-93)."""
    plans = Plans(target)
    submitted = await plans.submit(step("a", for_each=[{"n": n} for n in range(3)]), step("b", needs=["a"]))
    changes = [change async for change in plans.executor.watch(submitted.plan_id)]
    seqs = [change.seq for change in changes]
    assert seqs == sorted(set(seqs))
    told = {each.execution_id: each for change in changes for each in change.executions}
    assert told == {each.execution_id: each for each in await plans.executions(submitted.plan_id)}
    assert [change.plan.state.terminal for change in changes][-1]
    assert not any(change.plan.state.terminal for change in changes[:-1])


@case("MOCK")
async def a_watch_is_resumed_from_any_position(target: Target) -> None:
    """From every position that a watch told, another tells all that came after it, and ends (I-90)."""
    plans = Plans(target)
    submitted = await plans.submit(step("a"), step("b", needs=["a"]))
    whole = [change async for change in plans.executor.watch(submitted.plan_id)]
    executions = {each.execution_id: each for each in await plans.executions(submitted.plan_id)}
    for position in [0, *(change.seq for change in whole)]:
        rest = [change async for change in plans.executor.watch(submitted.plan_id, position)]
        told = {each.execution_id: each for change in rest for each in change.executions}
        assert told == {name: each for name, each in executions.items() if each.seq > position}
        assert all(change.seq > position for change in rest)


@case("MOCK")
async def who_stops_watching_ends_nothing_else(target: Target) -> None:
    """A client that goes away ends its watch, never the plan (I-90)."""
    plans = Plans(target)
    submitted = await plans.submit(step("a"), step("b", needs=["a"]), step("c", needs=["b"]))
    async with aclosing(plans.executor.watch(submitted.plan_id)) as changes:
        await anext(changes)
    assert (await plans.ended(submitted.plan_id)).state.value == "succeeded"


@case("MOCK")
async def an_end_is_for_ever(target: Target) -> None:
    """What has ended reads the same whenever it is read (I-93)."""
    plans = Plans(target)
    submitted = await plans.submit(step("a"), step("b", needs=["a"]))
    ended, executions = await plans.ended(submitted.plan_id), await plans.executions(submitted.plan_id)
    assert ended.finish_time is not None
    for _ in range(3):
        plan = await plans.executor.get_plan(submitted.plan_id)
        assert (plan.state, plan.finish_time, plan.failure) == (ended.state, ended.finish_time, ended.failure)
        assert [await plans.executor.get_execution(each.execution_id) for each in executions] == executions


@case("MOCK")
async def limits_of_a_policy_delay_and_lose_nothing(target: Target) -> None:
    """Plans whose policy lets one execution run at a time run all of them, and say no more that they wait (I-172)."""
    plans = Plans(target)
    ref = await plans.tool()
    policy = await plans.policy(concurrency={"per_plan": 1, "per_processor": 1})
    steps = step("a", processor=ref, for_each=[{"n": n} for n in range(5)])
    submitted = [await plans.submit(steps, policy=policy) for _ in range(3)]
    for each in submitted:
        assert (await plans.ended(each.plan_id)).state.value == "succeeded"
        ran = await plans.executions(each.plan_id)
        assert [(one.state.value, one.waits_for) for one in ran] == [("succeeded", None)] * 5
        began = [one.start_time for one in ran]
        assert began == sorted(began, key=str)


@case("MOCK")
async def executions_are_listed_in_the_order_of_the_plan(target: Target) -> None:
    """Each execution once, by transition and item, over pages of any size (I-88)."""
    plans = Plans(target)
    submitted = await plans.submit(step("z", for_each=[{"n": n} for n in range(11)]), step("a"))
    await plans.ended(submitted.plan_id)
    names = [*(f"z.{n}" for n in range(11)), "a"]
    for size in (0, 1, 5, 12, 5000):
        assert await _paged(target, submitted.plan_id, size) == names


async def _paged(target: Target, plan_id: PlanId, size: int) -> list[str]:
    names: list[str] = []
    request = pb.ListExecutionsRequest(plan_id=plan_id.text, page_size=size)
    while True:
        page = await call(ExecutorServiceStub(target.channel()).ListExecutions, request)
        assert len(page.executions) <= (size or 100)
        names += (each.execution_id.removeprefix(f"{plan_id}.") for each in page.executions)
        if not page.next_page_token:
            return names
        request.page_token = page.next_page_token


@case("MOCK")
async def plans_are_listed_from_the_newest(target: Target) -> None:
    """Each plan once, the newest first, over pages of any size (I-88)."""
    plans = Plans(target)
    submitted = [await plans.submit(step("a")) for _ in range(3)]
    expected = [each.plan_id for each in reversed(submitted)]
    own = {each.text for each in expected}  # others may submit at the same time
    for size in (1, 0):
        request, found = pb.ListPlansRequest(page_size=size), list[str]()
        while len(found) < len(expected):
            page = await call(ExecutorServiceStub(target.channel()).ListPlans, request)
            found += (each.plan_id for each in page.plans if each.plan_id in own)
            request.page_token = page.next_page_token
        assert found == [each.text for each in expected]
    for each in submitted:
        await plans.ended(each.plan_id)


@case("MOCK")
async def a_page_token_is_good_for_its_own_listing(target: Target) -> None:
    """A token of another plan, of another listing or of nobody is `Invalid`, and so is a negative size (I-88)."""
    plans, stub = Plans(target), ExecutorServiceStub(target.channel())
    one, other = [await plans.submit(step("a"), step("b")) for _ in range(2)]
    first = pb.ListExecutionsRequest(plan_id=one.plan_id.text, page_size=1)
    token = (await call(stub.ListExecutions, first)).next_page_token
    assert token
    for plan_id, bad in ((other.plan_id, token), (one.plan_id, f"{token[:-2]}AA"), (one.plan_id, "nonsense")):
        request = pb.ListExecutionsRequest(plan_id=plan_id.text, page_token=bad)
        await refusal(call(stub.ListExecutions, request), Invalid, "PAGE_TOKEN_INVALID")
    await refusal(call(stub.ListPlans, pb.ListPlansRequest(page_token=token)), Invalid, "PAGE_TOKEN_INVALID")
    await refusal(call(stub.ListPlans, pb.ListPlansRequest(page_size=-1)), Invalid, "PAGE_SIZE_INVALID")
    negative = pb.ListExecutionsRequest(plan_id=one.plan_id.text, page_size=-1)
    await refusal(call(stub.ListExecutions, negative), Invalid, "PAGE_SIZE_INVALID")
    for each in (one, other):
        await plans.ended(each.plan_id)


@case("MOCK")
async def a_need_comes_before_what_needs_it(target: Target) -> None:
    """No transition starts before every transition that it needs has its outputs bound (I-74)."""
    plans = Plans(target)
    reads = ["/artifacts/outputs/a/**"]
    submitted = await plans.submit(step("a"), step("b", needs=["a"], reads=reads), step("c", needs=["a", "b"]))
    a, b, c = await plans.finished(submitted.plan_id)
    assert a.finish_time is not None
    assert b.finish_time is not None
    assert b.start_time is not None
    assert c.start_time is not None
    assert a.finish_time <= b.start_time
    assert b.finish_time <= c.start_time


@case("MOCK")
async def what_needs_a_failure_is_skipped(target: Target) -> None:
    """What needs a failure is skipped without a claim, everything else goes on, and the plan fails (I-74)."""
    plans = Plans(target)
    broken = await plans.tool(mock={"outcome": "failed"})
    submitted = await plans.submit(step("a", processor=broken), step("b", needs=["a"]), step("c"))
    plan, executions = await plans.ended(submitted.plan_id), await plans.executions(submitted.plan_id)
    assert plan.state.value == "failed"
    assert plan.failure is not None
    assert [each.state.value for each in executions] == ["failed", "skipped", "succeeded"]
    skipped = executions[1]
    assert (skipped.epoch, skipped.receipt_id, skipped.outcome) == (0, None, None)
    assert skipped.failure is not None
    assert skipped.failure.reason == "NEED_FAILED"


@case("MOCK")
async def failures_are_tried_again_as_the_policy_says(target: Target) -> None:
    """Attempts count from 0 and end with the first success, or with as many as the policy allows (I-78)."""
    plans = Plans(target)
    policy = await plans.policy(max_attempts=3)
    twice, always = [await plans.tool(mock={"outcome": "failed", **more}) for more in ({"attempts": 2}, {})]
    submitted = await plans.submit(step("a", processor=twice), step("b", processor=always), policy=policy)
    await plans.ended(submitted.plan_id)
    recovered, failed = await plans.executions(submitted.plan_id)
    assert (recovered.state.value, recovered.attempt_idx) == ("succeeded", 2)
    assert (failed.state.value, failed.attempt_idx, failed.outcome) == ("failed", 2, AttemptOutcome.FAILED)
    assert failed.failure is not None
    assert failed.failure.reason == "PROCESSOR_FAILED"


@case("MOCK")
async def equal_work_is_done_once(target: Target) -> None:
    """A plan that is submitted again uses every result of the first, at no cost, and says whose (I-71, I-72)."""
    plans = Plans(target)
    spec = await plans.spec(step("a"), step("b", needs=["a"], reads=["/artifacts/outputs/a/**"]))
    first, again = [await plans.finished((await plans.executor.submit(spec)).plan_id) for _ in range(2)]
    for one, other in zip(first, again, strict=True):
        assert one.memo is not None
        assert other.memo is not None
        assert (one.memo.hit, other.memo.hit) == (False, True)
        assert other.memo.source_execution_id == one.execution_id
        assert (other.outputs, other.named_outputs, other.cost_usd_micro) == (one.outputs, one.named_outputs, 0)


@case("MOCK")
async def a_miss_says_what_was_new(target: Target) -> None:
    """A miss names the components that differ from the nearest earlier key (I-72)."""
    plans = Plans(target)
    ref = await plans.tool()
    for value, differences in ((1, ()), (2, ("inputs:n",))):
        submitted = await plans.submit(step("a", processor=ref, inputs={"n": value}), seed=1)
        [execution] = await plans.finished(submitted.plan_id)
        assert execution.memo is not None
        assert execution.memo.differences == differences


@case("MOCK")
async def a_refused_predicate_is_named(target: Target) -> None:
    """A predicate that says no ends the execution without a try, and is named with its path (I-70)."""
    plans = Plans(target)
    path = "/artifacts/inputs/nothing"
    gated = await plans.tool(admission=[{"id": "artifact.exists@1", "args": {"path": path}}])
    submitted = await plans.submit(step("a", processor=gated))
    await plans.ended(submitted.plan_id)
    [refused] = await plans.executions(submitted.plan_id)
    assert refused.outcome is AttemptOutcome.PREDICATE_REFUSED
    assert refused.failure is not None
    assert refused.failure.metadata == {"predicate": "artifact.exists@1", "path": path}


@case("MOCK", "PEERS")
async def every_execution_that_was_claimed_has_a_final_receipt(target: Target) -> None:
    """A final receipt per execution that was not skipped, with the same outcome, outputs and cost (I-61, I-79)."""
    plans = Plans(target)
    broken = await plans.tool(mock={"outcome": "oom"})
    submitted = await plans.submit(step("a"), step("b", processor=broken), step("c", needs=["b"]), step("d"))
    await plans.ended(submitted.plan_id)
    receipts = {each.execution_id: each for each in await _final(target, submitted.plan_id)}
    executions = await plans.executions(submitted.plan_id)
    assert receipts.keys() == {each.execution_id.text for each in executions if each.state.value != "skipped"}
    for each in executions:
        if (receipt := receipts.get(each.execution_id.text)) is not None:
            assert (receipt.receipt_id, receipt.outputs) == (each.receipt_id, each.outputs)
            assert (receipt.outcome, receipt.epoch) == (each.outcome, each.epoch)
            assert receipt.document["snapshot_id"] == submitted.snapshot_id
    assert await LedgerClient(target.channel()).verify_plan(submitted.plan_id.text) == []


async def _final(target: Target, plan_id: PlanId) -> Sequence[Receipt]:
    receipts = [receipt async for receipt in LedgerClient(target.channel()).receipts(plan_id)]
    return [receipt for receipt in receipts if receipt.kind == "settle" and receipt.final]


@case("MOCK", "PEERS")
async def what_succeeded_is_bound_and_what_failed_is_not(target: Target) -> None:
    """Every output of a success is bound with its CID, and nothing of a failure is (I-66, I-67)."""
    plans = Plans(target)
    never: JSON = {"id": "artifact.exists@1", "args": {"path": "/artifacts/outputs/never"}}
    refused = await plans.tool(success=[never])
    submitted = await plans.submit(step("a"), step("b", processor=refused))
    await plans.ended(submitted.plan_id)
    good, bad = await plans.executions(submitted.plan_id)
    assert (bad.state.value, bad.outcome) == ("failed", AttemptOutcome.PREDICATE_REFUSED)
    bound = [each async for each in ArtifactsClient(target.channel()).list(submitted.world)]
    assert [(each.path, each.cid) for each in bound] == [(each.path, each.cid) for each in good.outputs]
    assert good.outputs
    assert not bad.outputs


@case("MOCK", "PEERS")
async def an_account_is_settled_with_its_plan(target: Target) -> None:
    """Nothing stays reserved after the end, whatever became of the executions (I-58, I-60, I-93)."""
    plans = Plans(target)
    paid = await plans.tool(required_usd_micro=20)
    broken = await plans.tool(required_usd_micro=20, mock={"outcome": "oom"})
    submitted = await plans.submit(
        step("a", processor=paid), step("b", processor=broken), step("c", processor=paid), budget={"max_usd_micro": 60}
    )
    plan: PlanView = await plans.ended(submitted.plan_id)
    budget = await LedgerClient(target.channel()).get_budget(plan.plan_id)
    assert (budget.cap_usd_micro, budget.reserved_usd_micro, budget.debt_usd_micro) == (60, 0, 0)


@case("MOCK", "PEERS")
async def a_cancelled_plan_ends_at_once_and_is_settled(target: Target) -> None:
    """What is between two attempts is settled as cancelled, what waits is never claimed, and again is fine (I-80)."""
    plans = Plans(target)
    failing = await plans.tool(mock={"outcome": "failed"}, required_usd_micro=20)
    patient = await plans.policy(max_attempts=2, backoff_ms=3_600_000)
    steps = step("a", processor=failing), step("b", needs=["a"])
    submitted = await plans.submit(*steps, policy=patient, budget={"max_usd_micro": 20})
    async with aclosing(plans.executor.watch(submitted.plan_id)) as changes:
        async for change in changes:
            if any(each.attempt_idx == 1 for each in change.executions):
                break
    for _ in range(2):
        await plans.executor.cancel_plan(submitted.plan_id)
    ended = await plans.ended(submitted.plan_id)
    a, b = await plans.executions(submitted.plan_id)
    assert (ended.state.value, a.state.value, b.state.value) == ("cancelled", "cancelled", "cancelled")
    assert (a.outcome, b.outcome, b.receipt_id) == (AttemptOutcome.CANCELLED, None, None)
    assert [(each.receipt_id, each.outcome) for each in await _final(target, submitted.plan_id)] == [
        (a.receipt_id, AttemptOutcome.CANCELLED)
    ]
    budget = await LedgerClient(target.channel()).get_budget(submitted.plan_id)
    assert (budget.reserved_usd_micro, budget.spent_usd_micro) == (0, 0)
    assert await LedgerClient(target.channel()).verify_plan(submitted.plan_id.text) == []


@case("MOCK", "PEERS")
async def a_replay_runs_again_from_what_the_receipt_names(target: Target) -> None:
    """It takes no remembered result, and its receipt names the same inputs, seed and outputs (I-154)."""
    plans = Plans(target)
    submitted = await plans.submit(step("a"), seed=11)
    await plans.ended(submitted.plan_id)
    [first] = await plans.executions(submitted.plan_id)
    request_id = plans.request_id()
    again = [await plans.executor.replay(first.execution_id, request_id) for _ in range(2)]
    assert again[0].plan_id == again[1].plan_id
    assert again[0].replay_of == first.execution_id
    await plans.ended(again[0].plan_id)
    [second] = await plans.executions(again[0].plan_id)
    assert second.memo is None
    [before], [after] = [await _final(target, each.plan_id) for each in (first, second)]
    assert differences_of_receipts(before, after) == []
    nobody = ExecutionId.parse(f"{target.fresh('nobody')}.a")
    await refusal(plans.executor.replay(nobody), NotFound, "EXECUTION_UNKNOWN")


@case("MOCK", "PEERS")
async def a_remembered_result_comes_with_its_receipt(target: Target) -> None:
    """A memo key that would hit is found with a receipt that has its name; any other is `NotFound` (I-72)."""
    plans = Plans(target)
    submitted = await plans.submit(step("a"))
    await plans.ended(submitted.plan_id)
    [ran] = await plans.executions(submitted.plan_id)
    assert ran.memo is not None
    unknown = "b3:" + 64 * "0"
    found, none = await plans.executor.look_up_memo([ran.memo.memo_key, unknown])
    assert isinstance(found, RememberedResult)
    assert (found.execution_id, found.receipt.receipt_id) == (ran.execution_id, ran.receipt_id)
    assert found.receipt.outputs == ran.outputs
    assert isinstance(none, NotFound)
    assert none.reason == "MEMO_UNKNOWN"


@case("MOCK")
async def an_execution_is_watched_by_itself(target: Target) -> None:
    """Positions rise, the last message is its end, and from any position a watch goes on behind it (I-90)."""
    plans = Plans(target)
    submitted = await plans.submit(step("a"), step("b", needs=["a"]))
    execution_id = ExecutionId.parse(f"{submitted.plan_id}.b")
    seen = [each async for each in plans.executor.watch_execution(execution_id)]
    assert [each.seq for each in seen] == sorted({each.seq for each in seen})
    assert [each.state.terminal for each in seen] == [False] * (len(seen) - 1) + [True]
    assert [each async for each in plans.executor.watch_execution(execution_id, seen[-1].seq)] == []
    resumed = [each async for each in plans.executor.watch_execution(execution_id, seen[-1].seq - 1)]
    assert resumed == [seen[-1]]


@case("MOCK")
async def what_has_ended_cannot_be_cancelled(target: Target) -> None:
    """A settlement that came first stays, for the plan and for each execution; what is unknown is `NotFound` (I-80)."""
    plans = Plans(target)
    ended = await plans.ended((await plans.submit(step("a"))).plan_id)
    [before] = await plans.executions(ended.plan_id)
    assert (await plans.executor.cancel_plan(ended.plan_id)).state is ended.state
    assert await plans.executor.cancel_execution(before.execution_id) == before
    nobody = target.fresh("nobody")
    await refusal(plans.executor.cancel_plan(PlanId.parse(nobody)), NotFound, "PLAN_UNKNOWN")
    unknown = ExecutionId.parse(f"{nobody}.a")
    await refusal(plans.executor.cancel_execution(unknown), NotFound, "EXECUTION_UNKNOWN")


@case("MOCK")
async def a_plan_keeps_the_documents_that_it_was_pinned_to(target: Target) -> None:
    """Two plans of the same documents have one snapshot, which is named in each (I-27)."""
    plans = Plans(target)
    spec = await plans.spec(step("a"))
    one, other = [await plans.executor.submit(spec) for _ in range(2)]
    assert one.snapshot_id is not None
    assert one.snapshot_id.startswith("sha256:")
    assert one.snapshot_id == other.snapshot_id
    assert PlanSpec.parse(spec.to_document()) == spec
    for each in (one, other):
        await plans.ended(each.plan_id)
