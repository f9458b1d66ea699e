"""The wire face of the executor: decode, call, encode."""

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import cast

from services.executor.codec import (
    MAX_MEMO_KEYS,
    changes_to_proto,
    execution_to_proto,
    executions_to_proto,
    log_part_to_proto,
    plan_spec_from_proto,
    plan_to_proto,
    remembered_to_proto,
)
from services.executor.domain.cancel import Cancellations
from services.executor.domain.logs import Logs
from services.executor.domain.lookup import MemoIndex
from services.executor.domain.replay import Replays
from services.executor.domain.submit import Submissions
from services.executor.domain.watch import WatchedState
from services.executor.ports import Runtime
from theory.api.executor.v1 import executor_pb2 as pb
from theory.api.executor.v1 import executor_pb2_grpc as rpc
from theory.core.errors import TheoryError
from theory.core.ids import ExecutionId, PlanId, RequestId
from theory.wire.batches import batch
from theory.wire.context import Context
from theory.wire.pages import Page


class ExecutorServicer(rpc.ExecutorServiceServicer):
    """Serves plans and executions."""

    def __init__(  # noqa: PLR0913 - each is a part of the rules
        self,
        *,
        state: WatchedState,
        submissions: Submissions,
        cancellations: Cancellations,
        replays: Replays,
        logs: Logs,
        memo: MemoIndex,
        runtimes: Mapping[str, Runtime],
        default_runtime: str,
        max_in_flight: int,
    ) -> None:
        self._state = state
        self._submissions = submissions
        self._cancellations = cancellations
        self._replays = replays
        self._logs = logs
        self._memo = memo
        self._runtimes = runtimes
        self._default_runtime = default_runtime
        self._max_in_flight = max_in_flight

    async def GetCapabilities(self, request: pb.GetCapabilitiesRequest, context: Context) -> pb.GetCapabilitiesResponse:
        """Ask every runtime whether it answers."""
        response = pb.GetCapabilitiesResponse(default_runtime=self._default_runtime, max_in_flight=self._max_in_flight)
        for kind, runtime in sorted(self._runtimes.items()):
            advice, missing = await _standing_of(runtime)
            response.runtimes.add(
                kind=kind, ready=not advice, isolation=runtime.isolation, isolation_missing=missing, advice=advice
            )
        return response

    async def SubmitPlan(self, request: pb.SubmitPlanRequest, context: Context) -> pb.SubmitPlanResponse:
        """Record a plan, which begins by itself."""
        plan = await self._submissions.submit(RequestId.parse(request.request_id), plan_spec_from_proto(request.spec))
        return pb.SubmitPlanResponse(plan=plan_to_proto(plan))

    async def GetPlan(self, request: pb.GetPlanRequest, context: Context) -> pb.GetPlanResponse:
        """Read one plan."""
        plan = await self._state.plan(PlanId.parse(request.plan_id))
        return pb.GetPlanResponse(plan=plan_to_proto(plan))

    async def ListPlans(self, request: pb.ListPlansRequest, context: Context) -> pb.ListPlansResponse:
        """Read a page of plans."""
        page = Page.of(request)
        before = PlanId.parse(cast("str", page.after)) if page.after is not None else None
        found = await self._state.plans(before=before, limit=page.size + 1)
        shown = found[: page.size]
        token = page.token_after(shown[-1].plan_id.text) if len(found) > page.size else ""
        return pb.ListPlansResponse(plans=[plan_to_proto(each) for each in shown], next_page_token=token)

    async def WatchPlan(self, request: pb.WatchPlanRequest, context: Context) -> AsyncIterator[pb.WatchPlanResponse]:
        """Stream what changes."""
        async for plan, changed in self._state.follow(PlanId.parse(request.plan_id), after_seq=request.after_seq):
            for message in changes_to_proto(plan, changed):
                yield message

    async def CancelPlan(self, request: pb.CancelPlanRequest, context: Context) -> pb.CancelPlanResponse:
        """Ask for the end of a plan."""
        plan = await self._cancellations.cancel_plan(PlanId.parse(request.plan_id))
        return pb.CancelPlanResponse(plan=plan_to_proto(plan))

    async def CancelExecution(self, request: pb.CancelExecutionRequest, context: Context) -> pb.CancelExecutionResponse:
        """Ask for the end of an execution."""
        record = await self._cancellations.cancel_execution(ExecutionId.parse(request.execution_id))
        return pb.CancelExecutionResponse(execution=execution_to_proto(record))

    async def GetExecution(self, request: pb.GetExecutionRequest, context: Context) -> pb.GetExecutionResponse:
        """Read one execution."""
        record = await self._state.execution(ExecutionId.parse(request.execution_id))
        return pb.GetExecutionResponse(execution=execution_to_proto(record))

    async def WatchExecution(
        self, request: pb.WatchExecutionRequest, context: Context
    ) -> AsyncIterator[pb.WatchExecutionResponse]:
        """Stream how it changes."""
        execution_id = ExecutionId.parse(request.execution_id)
        async for record in self._state.follow_execution(execution_id, after_seq=request.after_seq):
            yield pb.WatchExecutionResponse(seq=record.seq, execution=execution_to_proto(record))

    async def StreamLogs(self, request: pb.StreamLogsRequest, context: Context) -> AsyncIterator[pb.StreamLogsResponse]:
        """Stream what it prints."""
        attempt_idx = request.attempt_idx if request.HasField("attempt_idx") else None
        telling = self._logs.tell(
            ExecutionId.parse(request.execution_id),
            attempt_idx=attempt_idx,
            position=request.position,
            follow=request.follow,
        )
        async with aclosing(telling) as parts:
            async for part in parts:
                yield log_part_to_proto(part)

    async def ReplayExecution(self, request: pb.ReplayExecutionRequest, context: Context) -> pb.ReplayExecutionResponse:
        """Record a plan that carries it out again."""
        execution_id = ExecutionId.parse(request.execution_id)
        plan = await self._replays.replay(RequestId.parse(request.request_id), execution_id)
        return pb.ReplayExecutionResponse(plan=plan_to_proto(plan))

    async def LookUpMemo(self, request: pb.LookUpMemoRequest, context: Context) -> pb.LookUpMemoResponse:
        """Look results up."""
        return remembered_to_proto(await self._memo.look_up(batch(request.memo_keys, MAX_MEMO_KEYS)))

    async def ListExecutions(self, request: pb.ListExecutionsRequest, context: Context) -> pb.ListExecutionsResponse:
        """Read a page of a plan's executions."""
        plan_id = PlanId.parse(request.plan_id)
        page = Page.of(request)
        await self._state.plan(plan_id)
        first = cast("int", page.after) + 1 if page.after is not None else 0
        found = await self._state.executions(plan_id, from_ordinal=first, limit=page.size + 1)
        shown = executions_to_proto(found[: page.size])
        token = page.token_after(found[len(shown) - 1].ordinal) if len(found) > len(shown) else ""
        return pb.ListExecutionsResponse(executions=shown, next_page_token=token)


async def _standing_of(runtime: Runtime) -> tuple[str, tuple[str, ...]]:
    """What to do before the runtime is ready, empty where it is; and what is missing of its isolation."""
    try:
        await runtime.probe()
        return "", (await runtime.proved()).missing
    except TheoryError as error:
        return error.message, ()
