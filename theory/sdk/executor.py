"""The executor's client: plans are submitted, read and watched; a watch outlives the connections it runs on."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

import grpc

from theory.api.executor.v1 import executor_pb2
from theory.api.executor.v1.executor_pb2_grpc import ExecutorServiceStub
from theory.core.clock import Clock, SystemClock
from theory.core.errors import Invalid, TheoryError
from theory.core.ids import ExecutionId, IdSource, PlanId, RequestId, SystemIds
from theory.core.plan import PlanSpec
from theory.sdk.plan_messages import (
    capabilities_from_proto,
    change_from_proto,
    execution_from_proto,
    log_part_from_proto,
    plan_from_proto,
    remembered_from_proto,
    spec_to_proto,
)
from theory.sdk.reattach import PATIENCE_S, followed
from theory.sdk.rpc import fitting, whole
from theory.sdk.views import ExecutionView, ExecutorCapabilities, LogPart, PlanChange, PlanView, RememberedResult
from theory.wire.channel import call, stream
from theory.wire.options import MESSAGE_BYTES

SUBMIT_TIMEOUT_S = 120.0

_PAGE_SIZE = 1000
_MEMO_KEYS = 100


class ExecutorClient:
    """Plans and their executions. Every method raises only `TheoryError`, or `TimeoutError`."""

    def __init__(self, channel: grpc.aio.Channel, *, clock: Clock | None = None, ids: IdSource | None = None) -> None:
        self._stub = ExecutorServiceStub(channel)
        self._clock = clock or SystemClock()
        self._ids = ids or SystemIds()

    async def capabilities(self) -> ExecutorCapabilities:
        """Which runtimes answer, and which limits hold."""
        response = await call(self._stub.GetCapabilities, executor_pb2.GetCapabilitiesRequest())
        return capabilities_from_proto(response)

    async def submit(self, spec: PlanSpec, request_id: RequestId | None = None) -> PlanView:
        """Record a plan whose files are uploaded; the work goes on by itself.

        Idempotent by `request_id`; without one each call is a new plan. `Invalid` with `field`, also for a plan that is
        larger than a message; `NotFound`
        (`SPEC_UNKNOWN`, `BLOB_UNKNOWN`, `SECRET_UNKNOWN`); `NotReady` (`RUNTIME_UNKNOWN`, `ENGINE_DOWN`,
        `BUDGET_INSUFFICIENT`); `AlreadyExists` (`REQUEST_ID_TAKEN`).
        """
        request = executor_pb2.SubmitPlanRequest(
            request_id=(request_id or self._ids.request_id()).text, spec=spec_to_proto(spec)
        )
        if (size := request.ByteSize()) > MESSAGE_BYTES:
            sentence = f"the plan takes {size} bytes, and a message has at most {MESSAGE_BYTES}: submit it in parts"
            raise Invalid("PLAN_INVALID", sentence, field="$")
        response = await call(self._stub.SubmitPlan, request, timeout_s=SUBMIT_TIMEOUT_S)
        return plan_from_proto(response.plan)

    async def get_plan(self, plan_id: PlanId) -> PlanView:
        """The plan as it stands; `NotFound` (`PLAN_UNKNOWN`)."""
        response = await call(self._stub.GetPlan, executor_pb2.GetPlanRequest(plan_id=plan_id.text))
        return plan_from_proto(response.plan)

    async def list_plans(self, *, limit: int | None = None) -> AsyncIterator[PlanView]:
        """Plans, the newest first; all of them, or the first `limit`."""
        token, left = "", limit
        while left is None or left > 0:
            size = _PAGE_SIZE if left is None else min(left, _PAGE_SIZE)
            request = executor_pb2.ListPlansRequest(page_size=size, page_token=token)
            response = await call(self._stub.ListPlans, request)
            for message in response.plans:
                yield plan_from_proto(message)
            left = None if left is None else left - len(response.plans)
            if not (token := response.next_page_token):
                return

    async def cancel_plan(self, plan_id: PlanId) -> PlanView:
        """Ask that a plan end early; it comes back as it stands, and a watch tells when it has ended.

        Idempotent; what has ended stays as it is. `NotFound` (`PLAN_UNKNOWN`).
        """
        response = await call(self._stub.CancelPlan, executor_pb2.CancelPlanRequest(plan_id=plan_id.text))
        return plan_from_proto(response.plan)

    async def cancel_execution(self, execution_id: ExecutionId) -> ExecutionView:
        """Ask that one execution end early; what needs it is skipped. `NotFound` (`EXECUTION_UNKNOWN`)."""
        request = executor_pb2.CancelExecutionRequest(execution_id=execution_id.text)
        return execution_from_proto((await call(self._stub.CancelExecution, request)).execution)

    async def replay(self, execution_id: ExecutionId, request_id: RequestId | None = None) -> PlanView:
        """Carry a settled execution out once more, from what its receipt names, as a plan of its own.

        `theory.sdk.replay` also compares what comes out. Idempotent by `request_id`. `NotFound` (`EXECUTION_UNKNOWN`,
        `BLOB_UNKNOWN`); `NotReady` (`REPLAY_IMPOSSIBLE`); `AlreadyExists` (`REQUEST_ID_TAKEN`).
        """
        request = executor_pb2.ReplayExecutionRequest(
            request_id=(request_id or self._ids.request_id()).text, execution_id=execution_id.text
        )
        return plan_from_proto((await call(self._stub.ReplayExecution, request)).plan)

    async def look_up_memo(self, memo_keys: Sequence[str]) -> list[RememberedResult | TheoryError]:
        """Whose results would be used again, by memo key: each receipt verified against its id, and its outputs in it.

        `NotFound` (`MEMO_UNKNOWN`) per key; `Corrupt` (`RECEIPT_CORRUPT`) where what vouches for a result does not.
        """

        async def send(keys: Sequence[str]) -> list[RememberedResult | TheoryError]:
            response = await call(self._stub.LookUpMemo, executor_pb2.LookUpMemoRequest(memo_keys=keys))
            return [remembered_from_proto(*each) for each in zip(keys, response.results, strict=True)]

        found: list[RememberedResult | TheoryError] = []
        for batch in fitting(memo_keys, max_items=_MEMO_KEYS):
            found += await whole(batch, send)
        return found

    async def watch_execution(self, execution_id: ExecutionId, after_seq: int = 0) -> AsyncIterator[ExecutionView]:
        """The changes of an execution behind `after_seq`, until it has ended or the stream breaks: one attachment.

        Each has the `seq` to begin again from. `NotFound` (`EXECUTION_UNKNOWN`).
        """
        request = executor_pb2.WatchExecutionRequest(execution_id=execution_id.text, after_seq=after_seq)
        async with stream(self._stub.WatchExecution, request) as messages:
            async for message in messages:
                yield execution_from_proto(message.execution)

    def logs(
        self,
        execution_id: ExecutionId,
        *,
        attempt_idx: int | None = None,
        position: str = "",
        follow: bool = True,
        patience_s: float = PATIENCE_S,
        on_break: Callable[[Exception], None] | None = None,
    ) -> AsyncGenerator[LogPart, None]:
        """What an execution prints behind `position`, at least once, until its last part; without `follow`, until now.

        Of its current attempt and all that follow, or of one. Attaches again after any break, as `watch` does. Leaving
        the iteration ends the reading alone. `NotFound` (`EXECUTION_UNKNOWN`), `Invalid` (`LOG_POSITION_INVALID`),
        `NotReady` (`ENGINE_DOWN`).
        """

        async def attach(behind: str) -> AsyncGenerator[tuple[str, LogPart], None]:
            request = executor_pb2.StreamLogsRequest(
                execution_id=execution_id.text, attempt_idx=attempt_idx, position=behind, follow=follow
            )
            async with stream(self._stub.StreamLogs, request) as messages:
                async for message in messages:
                    yield message.position, log_part_from_proto(message)

        async def over(last: LogPart | None) -> bool:
            return last is not None and last.last

        return followed(attach, position, self._clock, patience_s=patience_s, over=over, on_break=on_break)

    async def get_execution(self, execution_id: ExecutionId) -> ExecutionView:
        """The execution as it stands; `NotFound` (`EXECUTION_UNKNOWN`)."""
        request = executor_pb2.GetExecutionRequest(execution_id=execution_id.text)
        return execution_from_proto((await call(self._stub.GetExecution, request)).execution)

    async def executions(self, plan_id: PlanId) -> AsyncIterator[ExecutionView]:
        """The executions of a plan in the order of its transitions and items; `NotFound` (`PLAN_UNKNOWN`)."""
        token = ""
        while True:
            request = executor_pb2.ListExecutionsRequest(plan_id=plan_id.text, page_size=_PAGE_SIZE, page_token=token)
            response = await call(self._stub.ListExecutions, request)
            for message in response.executions:
                yield execution_from_proto(message)
            if not (token := response.next_page_token):
                return

    def watch(
        self,
        plan_id: PlanId,
        after_seq: int = 0,
        *,
        patience_s: float = PATIENCE_S,
        on_break: Callable[[Exception], None] | None = None,
    ) -> AsyncGenerator[PlanChange, None]:
        """The changes of a plan behind `after_seq`, in order and at least once each, until the plan has ended.

        Attaches again after any break, and tells `on_break` of it; `Unavailable` once nothing has answered for
        `patience_s`. Leaving the iteration ends the watch, never the plan. `NotFound` (`PLAN_UNKNOWN`).
        """

        async def attach(position: int) -> AsyncGenerator[tuple[int, PlanChange], None]:
            request = executor_pb2.WatchPlanRequest(plan_id=plan_id.text, after_seq=position)
            async with stream(self._stub.WatchPlan, request) as messages:
                async for message in messages:
                    change = change_from_proto(message)
                    yield change.seq, change

        async def over(last: PlanChange | None) -> bool:
            plan = await self.get_plan(plan_id) if last is None else last.plan
            return plan.state.terminal

        return followed(attach, after_seq, self._clock, patience_s=patience_s, over=over, on_break=on_break)
