"""An executor behind a real socket that says what a test wrote down, and the messages that it says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from theory.api.executor.v1 import execution_pb2, executor_pb2, plan_pb2
from theory.api.executor.v1.executor_pb2_grpc import ExecutorServiceServicer, add_ExecutorServiceServicer_to_server
from theory.core.errors import NotFound
from theory.wire.access import methods_of
from theory.wire.context import Context
from theory.wire.identity import ANYONE
from theory.wire.server import ServiceUnit

PLAN = "p-1"
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

Said = executor_pb2.WatchPlanResponse | Exception | Callable[[], Awaitable[None]]
"""A message of a watch; an error that breaks it; or something to wait for."""


def plan(state: str = "running", seq: int = 0, **fields: Any) -> plan_pb2.Plan:
    """A plan of two executions."""
    given: Mapping[str, Any] = {"plan_id": PLAN, "name": "media", "world": PLAN, "execution_count": 2}
    number = plan_pb2.Plan.State.Value(f"STATE_{state.upper()}")
    ended = {"finish_time": moment(4)} if state in {"succeeded", "failed"} else {}
    return plan_pb2.Plan(**{**given, "state": number, "seq": seq, "create_time": moment(), **ended, **fields})


def execution(name: str, state: str = "running", **fields: Any) -> execution_pb2.Execution:
    """An execution of the plan; `render.3` is the third item of a fan-out."""
    transition, _, index = name.partition(".")
    given: dict[str, Any] = {
        "plan_id": PLAN,
        "execution_id": f"{PLAN}.{name}",
        "transition_id": transition,
        "processor_ref": f"media/{transition}@1",
        "runtime": "mock",
        "state": execution_pb2.Execution.State.Value(f"STATE_{state.upper()}"),
        "start_time": moment(1),
    }
    if index:
        given["item_index"] = int(index)
    if state in {"succeeded", "failed", "skipped"}:
        given["finish_time"] = moment(3)
    return execution_pb2.Execution(**{**given, **fields})


def change(seq: int, *executions: execution_pb2.Execution, state: str = "running") -> executor_pb2.WatchPlanResponse:
    """One message of a watch."""
    return executor_pb2.WatchPlanResponse(seq=seq, plan=plan(state, seq), executions=executions)


def printed(
    position: str, data: bytes = b"", *, errors: bool = False, **fields: Any
) -> executor_pb2.StreamLogsResponse:
    """Some of a log."""
    source = "UNSPECIFIED" if not data else "STDERR" if errors else "STDOUT"
    number = executor_pb2.StreamLogsResponse.Source.Value(f"SOURCE_{source}")
    return executor_pb2.StreamLogsResponse(position=position, data=data, source=number, **fields)


def moment(after_s: float = 0) -> Timestamp:
    """A time, so many seconds after the plan was submitted."""
    stamp = Timestamp()
    stamp.FromNanoseconds(int((START.timestamp() + after_s) * 1_000_000_000))
    return stamp


@dataclass
class ScriptedExecutor(ExecutorServiceServicer):
    """Each watch says the next script; what was asked is kept."""

    scripts: list[Sequence[Said]] = field(default_factory=list)
    plans: list[plan_pb2.Plan] = field(default_factory=lambda: [plan()])
    executions: list[execution_pb2.Execution] = field(default_factory=list)
    failure: Exception | None = None
    """What every other call fails with."""
    asked: list[int] = field(default_factory=list)
    """The positions that watches began at."""
    submitted: list[executor_pb2.SubmitPlanRequest] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    """What was to end, by id."""
    replayed: list[executor_pb2.ReplayExecutionRequest] = field(default_factory=list)
    logs: list[Sequence[executor_pb2.StreamLogsResponse | Exception]] = field(default_factory=list)
    """What each reading of a log is told."""
    read: list[executor_pb2.StreamLogsRequest] = field(default_factory=list)
    """What was asked of logs."""
    remembered: dict[str, executor_pb2.LookUpMemoResponse.Result] = field(default_factory=dict)
    """What is remembered, by memo key."""

    def unit(self) -> ServiceUnit:
        service = executor_pb2.DESCRIPTOR.services_by_name["ExecutorService"]
        access = dict.fromkeys(methods_of(service), ANYONE)
        return ServiceUnit("executor", access, lambda server: add_ExecutorServiceServicer_to_server(self, server))

    async def WatchPlan(
        self, request: executor_pb2.WatchPlanRequest, context: Context
    ) -> AsyncIterator[executor_pb2.WatchPlanResponse]:
        self.asked.append(request.after_seq)
        for said in self.scripts.pop(0) if self.scripts else ():
            if isinstance(said, Exception):
                raise said
            if isinstance(said, executor_pb2.WatchPlanResponse):
                yield said
            else:
                await said()

    async def GetCapabilities(
        self, request: executor_pb2.GetCapabilitiesRequest, context: Context
    ) -> executor_pb2.GetCapabilitiesResponse:
        self._fail()
        response = executor_pb2.GetCapabilitiesResponse(default_runtime="mock", max_in_flight=4)
        response.runtimes.add(kind="local", advice="start the engine", isolation="namespaces")
        response.runtimes.add(kind="mock", ready=True, isolation="none")
        return response

    async def SubmitPlan(
        self, request: executor_pb2.SubmitPlanRequest, context: Context
    ) -> executor_pb2.SubmitPlanResponse:
        self._fail()
        self.submitted.append(request)
        return executor_pb2.SubmitPlanResponse(plan=self.plans[-1])

    async def GetPlan(self, request: executor_pb2.GetPlanRequest, context: Context) -> executor_pb2.GetPlanResponse:
        self._fail()
        for each in self.plans:
            if each.plan_id == request.plan_id:
                return executor_pb2.GetPlanResponse(plan=each)
        raise NotFound("PLAN_UNKNOWN", f"no plan {request.plan_id} is known", plan_id=request.plan_id)

    async def ListPlans(
        self, request: executor_pb2.ListPlansRequest, context: Context
    ) -> executor_pb2.ListPlansResponse:
        self._fail()
        first = int(request.page_token or 0)
        page = self.plans[first : first + request.page_size]
        more = first + len(page) < len(self.plans)
        return executor_pb2.ListPlansResponse(plans=page, next_page_token=str(first + len(page)) if more else "")

    async def CancelPlan(
        self, request: executor_pb2.CancelPlanRequest, context: Context
    ) -> executor_pb2.CancelPlanResponse:
        self._fail()
        self.cancelled.append(request.plan_id)
        return executor_pb2.CancelPlanResponse(plan=self.plans[-1])

    async def CancelExecution(
        self, request: executor_pb2.CancelExecutionRequest, context: Context
    ) -> executor_pb2.CancelExecutionResponse:
        self._fail()
        self.cancelled.append(request.execution_id)
        (found,) = (each for each in self.executions if each.execution_id == request.execution_id)
        return executor_pb2.CancelExecutionResponse(execution=found)

    async def StreamLogs(
        self, request: executor_pb2.StreamLogsRequest, context: Context
    ) -> AsyncIterator[executor_pb2.StreamLogsResponse]:
        self._fail()
        self.read.append(request)
        for said in self.logs.pop(0) if self.logs else ():
            if isinstance(said, Exception):
                raise said
            yield said

    async def WatchExecution(
        self, request: executor_pb2.WatchExecutionRequest, context: Context
    ) -> AsyncIterator[executor_pb2.WatchExecutionResponse]:
        self._fail()
        for at, each in enumerate(self.executions, start=1):
            yield executor_pb2.WatchExecutionResponse(seq=at, execution=each)

    async def ReplayExecution(
        self, request: executor_pb2.ReplayExecutionRequest, context: Context
    ) -> executor_pb2.ReplayExecutionResponse:
        self._fail()
        self.replayed.append(request)
        return executor_pb2.ReplayExecutionResponse(plan=self.plans[-1])

    async def LookUpMemo(
        self, request: executor_pb2.LookUpMemoRequest, context: Context
    ) -> executor_pb2.LookUpMemoResponse:
        self._fail()
        return executor_pb2.LookUpMemoResponse(results=[self.remembered[each] for each in request.memo_keys])

    async def GetExecution(
        self, request: executor_pb2.GetExecutionRequest, context: Context
    ) -> executor_pb2.GetExecutionResponse:
        self._fail()
        (found,) = (each for each in self.executions if each.execution_id == request.execution_id)
        return executor_pb2.GetExecutionResponse(execution=found)

    async def ListExecutions(
        self, request: executor_pb2.ListExecutionsRequest, context: Context
    ) -> executor_pb2.ListExecutionsResponse:
        self._fail()
        first = int(request.page_token or 0)
        page, more = self.executions[first : first + 1], first + 1 < len(self.executions)
        return executor_pb2.ListExecutionsResponse(executions=page, next_page_token=str(first + 1) if more else "")

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure


async def for_ever() -> None:
    """Nothing more is said."""
    await asyncio.Event().wait()
