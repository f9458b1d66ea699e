"""What every executor promises of logs, over the wire."""

from theory.api.executor.v1 import executor_pb2 as pb
from theory.api.executor.v1.executor_pb2_grpc import ExecutorServiceStub
from theory.core.errors import Invalid, NotFound
from theory.core.ids import ExecutionId
from theory.sdk.views import LogPart
from theory.testing.case import Target, case
from theory.testing.cases.executor_plans import Plans, step
from theory.testing.refusals import refusal
from theory.wire.channel import stream


async def _told(plans: Plans, execution_id: ExecutionId, *, position: str = "", follow: bool = True) -> list[LogPart]:
    return [part async for part in plans.executor.logs(execution_id, position=position, follow=follow)]


@case("MOCK")
async def a_log_ends_with_its_execution(target: Target) -> None:
    """A log that is followed from the beginning tells its last part once, at the end, of the last attempt (I-164)."""
    plans = Plans(target)
    ref = await plans.tool(mock={"outcome": "failed", "attempts": 1})
    policy = await plans.policy(max_attempts=2)
    submitted = await plans.submit(step("a", processor=ref), step("b", needs=["a"]), policy=policy)
    for name in ("a", "b"):
        parts = await _told(plans, ExecutionId.parse(f"{submitted.plan_id}.{name}"))
        assert [part.last for part in parts] == [False] * (len(parts) - 1) + [True]
        assert all(part.source is not None for part in parts if part.data)
    found = {each.name: each for each in await plans.executions(submitted.plan_id)}
    assert {each.state.value for each in found.values()} == {"succeeded"}
    assert [part.attempt_idx for part in await _told(plans, found["a"].execution_id)][-1] == 1


@case("MOCK")
async def a_log_is_resumed_from_any_position(target: Target) -> None:
    """From every position that a log told, it goes on to the same end, and a settled log tells its tail (I-164)."""
    plans = Plans(target)
    submitted = await plans.submit(step("a"))
    await plans.ended(submitted.plan_id)
    [execution] = await plans.executions(submitted.plan_id)
    whole = await _told(plans, execution.execution_id)
    assert b"".join(part.data for part in whole).decode("utf-8", "replace") == execution.log_tail
    for at, part in enumerate(whole):
        for follow in (True, False):
            rest = await _told(plans, execution.execution_id, position=part.position, follow=follow)
            assert rest[-1].last
            assert b"".join(each.data for each in rest).endswith(b"".join(each.data for each in whole[at + 1 :]))


@case("MOCK")
async def a_log_of_nothing_is_refused(target: Target) -> None:
    """An unknown execution is `NotFound`; a position that no log was told with is `Invalid` with `field` (I-164)."""
    plans = Plans(target)
    nobody = ExecutionId.parse(f"{target.fresh('nobody')}.a")
    await refusal(_told(plans, nobody), NotFound, "EXECUTION_UNKNOWN")
    submitted = await plans.submit(step("a"))
    await plans.ended(submitted.plan_id)
    execution_id = ExecutionId.parse(f"{submitted.plan_id}.a")
    for position in ("x", ":", "-1:", "99999999999:", "0:\u00e9", "0:" + "x" * 300):
        refused = await refusal(_told(plans, execution_id, position=position), Invalid, "LOG_POSITION_INVALID")
        assert refused.metadata["field"] == "position"
    request = pb.StreamLogsRequest(execution_id=execution_id.text, attempt_idx=-1)
    await refusal(_drained(target, request), Invalid, "LOG_POSITION_INVALID")


async def _drained(target: Target, request: pb.StreamLogsRequest) -> list[pb.StreamLogsResponse]:
    async with stream(ExecutorServiceStub(target.channel()).StreamLogs, request) as messages:
        return [each async for each in messages]
