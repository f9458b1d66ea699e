"""Plans and executions to protobuf and back: pure functions between the executor's messages and our words."""

from collections.abc import Mapping
from datetime import UTC, datetime

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from theory.api.executor.v1 import execution_pb2, executor_pb2, plan_pb2
from theory.api.ledger.v1 import receipt_pb2
from theory.core import jcs
from theory.core.adapters import LogSource
from theory.core.artifact import Output, content_type_of
from theory.core.cid import Cid
from theory.core.errors import Corrupt, Invalid, TheoryError
from theory.core.execution import ExecutionState, Failure, MemoVerdict, PlanState, Wait
from theory.core.ids import ExecutionId, PlanId, TransitionId
from theory.core.memo import memo_key_of
from theory.core.plan import EachFile, FanOut, ItemList, PlanSpec, TransitionSpec
from theory.core.receipt import AttemptOutcome, Receipt
from theory.core.refs import Ref
from theory.core.world_path import WorldName, WorldPath
from theory.sdk.views import (
    ExecutionView,
    ExecutorCapabilities,
    LogPart,
    PlanChange,
    PlanView,
    RememberedResult,
    RuntimeView,
)
from theory.wire.status import item_error

_PLAN_STATE: Mapping[int, PlanState] = {
    plan_pb2.Plan.STATE_QUEUED: PlanState.QUEUED,
    plan_pb2.Plan.STATE_RUNNING: PlanState.RUNNING,
    plan_pb2.Plan.STATE_SUCCEEDED: PlanState.SUCCEEDED,
    plan_pb2.Plan.STATE_FAILED: PlanState.FAILED,
    plan_pb2.Plan.STATE_CANCELLED: PlanState.CANCELLED,
}
_EXECUTION_STATE: Mapping[int, ExecutionState] = {
    execution_pb2.Execution.STATE_WAITING: ExecutionState.WAITING,
    execution_pb2.Execution.STATE_QUEUED: ExecutionState.QUEUED,
    execution_pb2.Execution.STATE_RUNNING: ExecutionState.RUNNING,
    execution_pb2.Execution.STATE_SUCCEEDED: ExecutionState.SUCCEEDED,
    execution_pb2.Execution.STATE_FAILED: ExecutionState.FAILED,
    execution_pb2.Execution.STATE_SKIPPED: ExecutionState.SKIPPED,
    execution_pb2.Execution.STATE_CANCELLED: ExecutionState.CANCELLED,
}
_WAIT: Mapping[int, Wait] = {
    execution_pb2.Execution.WAIT_PLAN_LIMIT: Wait.PLAN_LIMIT,
    execution_pb2.Execution.WAIT_PROCESSOR_LIMIT: Wait.PROCESSOR_LIMIT,
}
_OUTCOME: Mapping[int, AttemptOutcome] = {
    receipt_pb2.AttemptOutcome.Value(f"ATTEMPT_OUTCOME_{each.name}"): each for each in AttemptOutcome
}
_LOG_SOURCE: Mapping[int, LogSource] = {
    executor_pb2.StreamLogsResponse.SOURCE_STDOUT: LogSource.STDOUT,
    executor_pb2.StreamLogsResponse.SOURCE_STDERR: LogSource.STDERR,
    executor_pb2.StreamLogsResponse.SOURCE_BOTH: LogSource.BOTH,
}


def spec_to_proto(spec: PlanSpec) -> plan_pb2.PlanSpec:
    """The plan as it is submitted; `Invalid` (`PLAN_INVALID`) where local files have yet to be uploaded."""
    if spec.sources:
        raise Invalid("PLAN_INVALID", "the files of the plan were not uploaded yet", field="files")
    message = plan_pb2.PlanSpec(
        name=spec.name,
        policy_ref=spec.policy.text,
        world="" if spec.world is None else spec.world.text,
        seed=spec.seed,
        runtime=spec.runtime or "",
        files=[
            plan_pb2.PlanFile(
                world_path=each.path.text, cid=each.cid.text, size_bytes=each.size_bytes, content_type=each.content_type
            )
            for each in spec.files
        ],
        transitions=[_transition_to_proto(each) for each in spec.transitions],
    )
    if spec.max_usd_micro is not None:
        message.max_usd_micro = spec.max_usd_micro
    return message


def plan_from_proto(message: plan_pb2.Plan) -> PlanView:
    """The view of a plan."""
    return PlanView(
        plan_id=PlanId.parse(message.plan_id),
        name=message.name,
        world=WorldName.parse(message.world),
        snapshot_id=message.snapshot_id or None,
        state=_PLAN_STATE[message.state],
        seq=message.seq,
        create_time=message.create_time.ToDatetime(UTC),
        finish_time=_time(message, "finish_time", message.finish_time),
        failure=_failure(message.failure) if message.HasField("failure") else None,
        execution_count=message.execution_count,
        max_usd_micro=message.max_usd_micro,
        replay_of=ExecutionId.parse(message.replayed_execution_id) if message.replayed_execution_id else None,
    )


def execution_from_proto(message: execution_pb2.Execution) -> ExecutionView:
    """The view of an execution."""
    return ExecutionView(
        plan_id=PlanId.parse(message.plan_id),
        execution_id=ExecutionId.parse(message.execution_id),
        transition_id=TransitionId.parse(message.transition_id),
        index=message.item_index if message.HasField("item_index") else None,
        processor=Ref.parse(message.processor_ref),
        runtime=message.runtime,
        state=_EXECUTION_STATE[message.state],
        seq=message.seq,
        attempt_idx=message.attempt_idx,
        epoch=message.epoch,
        outcome=_OUTCOME.get(message.outcome),
        failure=_failure(message.failure) if message.HasField("failure") else None,
        memo=_memo(message.memo) if message.HasField("memo") else None,
        outputs=tuple(
            Output(
                WorldPath.parse(each.world_path),
                Cid.parse(each.cid),
                each.size_bytes,
                content_type_of(each.content_type),
            )
            for each in message.outputs
        ),
        named_outputs=jcs.parse_object(message.named_outputs) if message.named_outputs else {},
        cost_usd_micro=message.cost_usd_micro,
        receipt_id=message.receipt_id or None,
        start_time=_time(message, "start_time", message.start_time),
        finish_time=_time(message, "finish_time", message.finish_time),
        log_tail=message.log_tail,
        waits_for=_WAIT.get(message.wait),
    )


def change_from_proto(message: executor_pb2.WatchPlanResponse) -> PlanChange:
    """One message of a watch."""
    return PlanChange(
        seq=message.seq,
        plan=plan_from_proto(message.plan),
        executions=tuple(execution_from_proto(each) for each in message.executions),
    )


def remembered_from_proto(
    memo_key: str, message: executor_pb2.LookUpMemoResponse.Result
) -> RememberedResult | TheoryError:
    """What is remembered under a key, verified; or why there is nothing to believe."""
    if error := item_error(message.status):
        return error
    try:
        receipt = Receipt.parse(message.receipt_preimage, receipt_id=message.receipt_id)
        components = jcs.parse_object(message.components)
    except TheoryError as broken:
        return broken
    if (receipt.kind, receipt.document.get("memo_key")) != ("settle", memo_key) or memo_key_of(components) != memo_key:
        told = "the receipt or the components are those of another key"
        return Corrupt("RECEIPT_CORRUPT", told, receipt_id=message.receipt_id)
    return RememberedResult(memo_key, ExecutionId.parse(message.execution_id), receipt, components)


def log_part_from_proto(message: executor_pb2.StreamLogsResponse) -> LogPart:
    """Some of a log. Of a server that knows more outputs than this client, what came is of both."""
    source = _LOG_SOURCE.get(message.source, LogSource.BOTH) if message.data else None
    return LogPart(message.position, message.attempt_idx, source, message.data, message.gap, message.last)


def capabilities_from_proto(message: executor_pb2.GetCapabilitiesResponse) -> ExecutorCapabilities:
    """What the executor offers."""
    return ExecutorCapabilities(
        runtimes=tuple(
            RuntimeView(each.kind, each.ready, each.isolation, each.advice, tuple(each.isolation_missing))
            for each in message.runtimes
        ),
        default_runtime=message.default_runtime,
        max_in_flight=message.max_in_flight,
    )


def _transition_to_proto(spec: TransitionSpec) -> plan_pb2.TransitionSpec:
    return plan_pb2.TransitionSpec(
        transition_id=spec.transition_id.text,
        processor_ref=spec.processor.text,
        inputs=jcs.canonical(dict(spec.inputs)) if spec.inputs else b"",
        reads=spec.reads,
        needs=[each.text for each in spec.needs],
        write_prefix=spec.write_prefix or "",
        for_each=_fan_out_to_proto(spec.for_each),
        runtime=spec.runtime or "",
        volumes=spec.volumes,
    )


def _fan_out_to_proto(fan_out: FanOut | None) -> plan_pb2.FanOut | None:
    match fan_out:
        case ItemList(items):
            return plan_pb2.FanOut(item_list=plan_pb2.ItemList(items=[jcs.canonical(dict(each)) for each in items]))
        case EachFile(selector):
            return plan_pb2.FanOut(file_selector=selector.text)
        case _:
            return None


def _failure(message: plan_pb2.Failure) -> Failure:
    return Failure(message.reason, message.message, dict(message.metadata))


def _memo(message: execution_pb2.Memo) -> MemoVerdict:
    source = ExecutionId.parse(message.source_execution_id) if message.source_execution_id else None
    return MemoVerdict(message.memo_key, message.hit, source, tuple(message.differences))


def _time(message: Message, field: str, value: Timestamp) -> datetime | None:
    return value.ToDatetime(UTC) if message.HasField(field) else None
