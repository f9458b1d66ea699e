"""The executor's client, and a watch that outlives its connections."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.unit.theory.sdk.servicer import PLAN, START, ScriptedExecutor, change, execution, for_ever, plan, printed
from theory.api.executor.v1 import executor_pb2
from theory.core.adapters import LogSource
from theory.core.clock import FakeClock
from theory.core.errors import Invalid, NotFound, TheoryError, Unavailable
from theory.core.execution import PlanState
from theory.core.ids import ExecutionId, PlanId, RequestId, SequenceIds
from theory.core.jcs import JSON
from theory.core.memo import memo_key_of
from theory.core.plan import PlanSpec
from theory.core.receipt import AttemptOutcome, settle_receipt
from theory.sdk.executor import ExecutorClient
from theory.sdk.views import PlanChange, RememberedResult
from theory.wire.server import running
from theory.wire.status import item_ok

_ID = PlanId(PLAN)
_SPEC = PlanSpec.parse({"name": "media", "transitions": [{"id": "probe", "processor": "media/probe@1"}]})


@pytest.fixture
def executor() -> ScriptedExecutor:
    return ScriptedExecutor()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def client(executor: ScriptedExecutor, clock: FakeClock) -> AsyncIterator[ExecutorClient]:
    async with running([executor.unit()]) as server:
        yield ExecutorClient(server.channel(), clock=clock, ids=SequenceIds())


async def _watched(client: ExecutorClient, after_seq: int = 0) -> list[PlanChange]:
    return [each async for each in client.watch(_ID, after_seq)]


async def test_a_plan_that_no_message_holds_is_refused_before_it_is_sent(
    client: ExecutorClient, executor: ScriptedExecutor
) -> None:
    items: list[JSON] = [{"text": "x" * 200_000} for _ in range(50)]
    transition: JSON = {"id": "probe", "processor": "media/probe@1", "for_each": items}
    with pytest.raises(Invalid) as caught:
        await client.submit(PlanSpec.parse({"name": "big", "transitions": [transition]}))
    assert (caught.value.reason, caught.value.metadata) == ("PLAN_INVALID", {"field": "$"})
    assert "at most 8388608: submit it in parts" in caught.value.message


async def test_a_watch_ends_with_the_plan(client: ExecutorClient, executor: ScriptedExecutor) -> None:
    executor.scripts = [[change(1), change(2, execution("probe")), change(3, state="succeeded")]]
    seen = await _watched(client)
    assert [each.seq for each in seen] == [1, 2, 3]
    assert seen[-1].plan.state is PlanState.SUCCEEDED
    assert executor.asked == [0]


async def test_a_watch_that_the_server_ended_goes_on_where_it_was(
    client: ExecutorClient, executor: ScriptedExecutor
) -> None:
    executor.scripts = [[change(1), change(2)], [change(3, state="failed")]]
    assert [each.seq for each in await _watched(client)] == [1, 2, 3]
    assert executor.asked == [0, 2]


async def test_a_watch_that_broke_goes_on_where_it_was(client: ExecutorClient, executor: ScriptedExecutor) -> None:
    away = Unavailable("STORE_UNREACHABLE", "away")
    executor.scripts = [[change(1), change(2), away], [change(3, state="succeeded")]]
    assert [each.seq for each in await _watched(client)] == [1, 2, 3]
    assert executor.asked == [0, 2]


async def test_the_state_of_one_message_does_not_cut_those_behind_it_off(
    client: ExecutorClient, executor: ScriptedExecutor
) -> None:
    executor.scripts = [[change(1, state="succeeded"), change(2, execution("probe"), state="succeeded")]]
    assert [each.seq for each in await _watched(client)] == [1, 2]


async def test_a_plan_that_has_ended_before_has_nothing_more_to_say(
    client: ExecutorClient, executor: ScriptedExecutor
) -> None:
    executor.plans = [plan("succeeded", 7)]
    assert await _watched(client, after_seq=7) == []


async def test_a_stream_that_says_nothing_is_asked_again_after_a_pause(
    client: ExecutorClient, executor: ScriptedExecutor, clock: FakeClock
) -> None:
    executor.scripts = [[], [], [change(1, state="succeeded")]]
    watching = asyncio.ensure_future(_watched(client))
    for pause_s in (0.2, 0.4):
        await clock.until_sleepers(1)
        clock.advance(pause_s)
    assert len(await watching) == 1
    assert executor.asked == [0, 0, 0]


async def test_breaks_are_told_and_endure_until_patience_ends(
    client: ExecutorClient, executor: ScriptedExecutor, clock: FakeClock
) -> None:
    executor.scripts = [[TimeoutError()] for _ in range(3)]
    told: list[Exception] = []

    async def watch() -> None:
        async for _ in client.watch(_ID, patience_s=1, on_break=told.append):
            pass

    watching = asyncio.ensure_future(watch())
    for _ in range(2):
        await clock.until_sleepers(1)
        clock.advance(0.9)
    with pytest.raises(Unavailable) as caught:
        await watching
    assert caught.value.reason == "SERVICE_UNREACHABLE"
    assert len(told) == 2


async def test_an_unknown_plan_is_an_error_and_no_break(client: ExecutorClient, executor: ScriptedExecutor) -> None:
    executor.scripts = [[NotFound("PLAN_UNKNOWN", "no such plan", plan_id="p-2")]]
    with pytest.raises(NotFound):
        await _watched(client)


async def test_a_watch_that_is_cancelled_ends(client: ExecutorClient, executor: ScriptedExecutor) -> None:
    executor.scripts = [[change(1), for_ever]]
    seen = asyncio.Event()

    async def watch() -> None:
        async for _ in client.watch(_ID):
            seen.set()

    watching = asyncio.ensure_future(watch())
    await seen.wait()
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching


async def test_leaving_a_watch_ends_its_call(client: ExecutorClient, executor: ScriptedExecutor) -> None:
    ended = asyncio.Event()

    async def until_cancelled() -> None:
        try:
            await for_ever()
        finally:
            ended.set()

    executor.scripts = [[change(1), until_cancelled]]
    watch = client.watch(_ID)
    assert (await anext(watch)).seq == 1
    await watch.aclose()
    await ended.wait()


async def test_a_plan_is_submitted_under_a_request_id(client: ExecutorClient, executor: ScriptedExecutor) -> None:
    await client.submit(_SPEC)
    await client.submit(_SPEC, RequestId("mine"))
    assert [each.request_id for each in executor.submitted] == ["r-1", "mine"]
    assert executor.submitted[0].spec.transitions[0].processor_ref == "media/probe@1"


async def test_plans_are_listed_page_by_page_up_to_the_limit(
    client: ExecutorClient, executor: ScriptedExecutor
) -> None:
    executor.plans = [plan(plan_id=f"p-{number}") for number in range(5)]
    assert [each.plan_id.text async for each in client.list_plans(limit=3)] == ["p-0", "p-1", "p-2"]
    assert len([each async for each in client.list_plans()]) == 5
    assert [each async for each in client.list_plans(limit=0)] == []


async def test_executions_are_listed_page_by_page(client: ExecutorClient, executor: ScriptedExecutor) -> None:
    executor.executions = [execution("probe.0"), execution("probe.1"), execution("report")]
    assert [each.name async for each in client.executions(_ID)] == ["probe.0", "probe.1", "report"]


async def test_plan_execution_and_capabilities_are_read(client: ExecutorClient, executor: ScriptedExecutor) -> None:
    executor.executions = [execution("probe.0")]
    assert (await client.get_plan(_ID)).name == "media"
    assert (await client.get_execution(ExecutionId(f"{PLAN}.probe.0"))).index == 0
    assert (await client.capabilities()).default_runtime == "mock"
    with pytest.raises(NotFound):
        await client.get_plan(PlanId("p-9"))


async def test_a_plan_and_an_execution_are_cancelled_by_name(
    client: ExecutorClient, executor: ScriptedExecutor
) -> None:
    executor.executions = [execution("probe")]
    assert (await client.cancel_plan(_ID)).plan_id == _ID
    cancelled = await client.cancel_execution(ExecutionId(f"{PLAN}.probe"))
    assert (cancelled.name, executor.cancelled) == ("probe", [PLAN, f"{PLAN}.probe"])


async def test_an_execution_is_watched_and_replayed(client: ExecutorClient, executor: ScriptedExecutor) -> None:
    executor.executions = [execution("probe", seq=3), execution("probe", "succeeded", seq=4)]
    watched = [each async for each in client.watch_execution(ExecutionId(f"{PLAN}.probe"))]
    assert [each.seq for each in watched] == [3, 4]
    await client.replay(ExecutionId(f"{PLAN}.probe"), RequestId("r-1"))
    assert [(each.request_id, each.execution_id) for each in executor.replayed] == [("r-1", f"{PLAN}.probe")]


@pytest.mark.parametrize(
    ("key", "field", "value"),
    [
        ("other", "execution_id", f"{PLAN}.probe"),
        ("own", "receipt_id", "b3:" + 64 * "0"),
        ("own", "receipt_preimage", b"{}"),
        ("own", "components", b'{"seed":"8"}'),
        ("own", "components", b"["),
    ],
)
async def test_what_does_not_vouch_for_a_result_is_not_believed(
    client: ExecutorClient, executor: ScriptedExecutor, key: str, field: str, value: Any
) -> None:
    own = memo_key_of({"seed": "7"})
    receipt = settle_receipt(
        plan_id=_ID,
        execution_id=ExecutionId(f"{PLAN}.probe"),
        attempt_idx=0,
        epoch=1,
        outcome=AttemptOutcome.SUCCEEDED,
        final=True,
        settled_at=START,
        reserved_usd_micro=0,
        spent_usd_micro=0,
        facts={"memo_key": own},
    )
    sound = executor_pb2.LookUpMemoResponse.Result(
        status=item_ok(),
        execution_id=f"{PLAN}.probe",
        receipt_id=receipt.receipt_id,
        receipt_preimage=receipt.preimage,
        components=b'{"seed":"7"}',
    )
    executor.remembered[own] = sound
    [believed] = await client.look_up_memo([own])
    assert isinstance(believed, RememberedResult)
    assert believed.receipt.receipt_id == receipt.receipt_id
    bad = executor_pb2.LookUpMemoResponse.Result()
    bad.CopyFrom(sound)
    setattr(bad, field, value)
    asked = own if key == "own" else memo_key_of({"seed": "9"})
    executor.remembered[asked] = bad
    [found] = await client.look_up_memo([asked])
    assert isinstance(found, TheoryError)


async def test_a_log_is_read_on_after_a_break_from_where_it_stood(
    client: ExecutorClient, executor: ScriptedExecutor, clock: FakeClock
) -> None:
    executor.logs = [
        [printed("0:1", b"one\n"), Unavailable("SERVICE_UNREACHABLE", "gone")],
        [printed("0:2", b"oh\n", errors=True)],
        [printed("1:", b"", attempt_idx=1, gap=True), printed("1:end", last=True, attempt_idx=1)],
    ]
    broken: list[Exception] = []
    execution_id = ExecutionId.parse(f"{PLAN}.probe")
    told = [each async for each in client.logs(execution_id, on_break=broken.append)]
    assert [(each.source, each.data, each.attempt_idx, each.gap, each.last) for each in told] == [
        (LogSource.STDOUT, b"one\n", 0, False, False),
        (LogSource.STDERR, b"oh\n", 0, False, False),
        (None, b"", 1, True, False),
        (None, b"", 1, False, True),
    ]
    assert [(each.position, each.follow, each.HasField("attempt_idx")) for each in executor.read] == [
        ("", True, False),
        ("0:1", True, False),
        ("0:2", True, False),
    ]
    assert len(broken) == 1


async def test_a_log_of_one_attempt_is_asked_for(client: ExecutorClient, executor: ScriptedExecutor) -> None:
    executor.logs = [[printed("2:end", last=True)]]
    execution_id = ExecutionId.parse(f"{PLAN}.probe")
    assert [each.last async for each in client.logs(execution_id, attempt_idx=0, follow=False, position="0:")] == [True]
    [asked] = executor.read
    assert (asked.HasField("attempt_idx"), asked.attempt_idx, asked.follow, asked.position) == (True, 0, False, "0:")
