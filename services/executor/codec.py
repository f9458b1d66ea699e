"""Protobuf to the executor's words and back. Pure; raises `Invalid` with the field's name and nothing else."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from services.executor.domain.logs import LogPart
from services.executor.ports import ExecutionRecord, PlanRecord, Remembered
from theory.api.artifacts.v1 import artifacts_pb2
from theory.api.executor.v1 import execution_pb2, executor_pb2, plan_pb2
from theory.api.ledger.v1 import receipt_pb2
from theory.core import jcs
from theory.core.adapters import LogSource
from theory.core.artifact import Output
from theory.core.errors import Exhausted, Invalid, TheoryError
from theory.core.execution import ExecutionState, Failure, MemoVerdict, PlanState, Wait
from theory.core.jcs import JSON
from theory.core.plan import PlanSpec
from theory.core.receipt import AttemptOutcome
from theory.wire.moments import timestamp
from theory.wire.options import REPLY_BYTES
from theory.wire.status import item_ok, item_status

MAX_MEMO_KEYS = 100

_PLAN_STATE: Mapping[PlanState, plan_pb2.Plan.State.ValueType] = {
    PlanState.QUEUED: plan_pb2.Plan.STATE_QUEUED,
    PlanState.RUNNING: plan_pb2.Plan.STATE_RUNNING,
    PlanState.SUCCEEDED: plan_pb2.Plan.STATE_SUCCEEDED,
    PlanState.FAILED: plan_pb2.Plan.STATE_FAILED,
    PlanState.CANCELLED: plan_pb2.Plan.STATE_CANCELLED,
}
_EXECUTION_STATE: Mapping[ExecutionState, execution_pb2.Execution.State.ValueType] = {
    ExecutionState.WAITING: execution_pb2.Execution.STATE_WAITING,
    ExecutionState.QUEUED: execution_pb2.Execution.STATE_QUEUED,
    ExecutionState.RUNNING: execution_pb2.Execution.STATE_RUNNING,
    ExecutionState.SUCCEEDED: execution_pb2.Execution.STATE_SUCCEEDED,
    ExecutionState.FAILED: execution_pb2.Execution.STATE_FAILED,
    ExecutionState.SKIPPED: execution_pb2.Execution.STATE_SKIPPED,
    ExecutionState.CANCELLED: execution_pb2.Execution.STATE_CANCELLED,
}
_WAIT: Mapping[Wait | None, execution_pb2.Execution.Wait.ValueType] = {
    None: execution_pb2.Execution.WAIT_UNSPECIFIED,
    Wait.PLAN_LIMIT: execution_pb2.Execution.WAIT_PLAN_LIMIT,
    Wait.PROCESSOR_LIMIT: execution_pb2.Execution.WAIT_PROCESSOR_LIMIT,
}
_OUTCOME: Mapping[AttemptOutcome, receipt_pb2.AttemptOutcome.ValueType] = {
    outcome: receipt_pb2.AttemptOutcome.Value(f"ATTEMPT_OUTCOME_{outcome.name}") for outcome in AttemptOutcome
}
_LOG_SOURCE: Mapping[LogSource, executor_pb2.StreamLogsResponse.Source.ValueType] = {
    LogSource.STDOUT: executor_pb2.StreamLogsResponse.SOURCE_STDOUT,
    LogSource.STDERR: executor_pb2.StreamLogsResponse.SOURCE_STDERR,
    LogSource.BOTH: executor_pb2.StreamLogsResponse.SOURCE_BOTH,
}
_NO_OUTCOME = receipt_pb2.AttemptOutcome.ATTEMPT_OUTCOME_UNSPECIFIED


def plan_spec_from_proto(spec: plan_pb2.PlanSpec) -> PlanSpec:
    """The plan that a client submits; one grammar checks it, whatever the client's language."""
    document: dict[str, JSON] = {
        "name": spec.name,
        "seed": spec.seed,
        "files": [
            {
                "path": each.world_path,
                "cid": each.cid,
                "size_bytes": each.size_bytes,
                "content_type": each.content_type or None,
            }
            for each in spec.files
        ],
        "transitions": [_transition(each, f"transitions[{at}]") for at, each in enumerate(spec.transitions)],
    }
    document |= _given(policy=spec.policy_ref, world=spec.world, runtime=spec.runtime)
    if spec.HasField("max_usd_micro"):
        document["budget"] = {"max_usd_micro": spec.max_usd_micro}
    return PlanSpec.parse(document)


def plan_to_proto(plan: PlanRecord) -> plan_pb2.Plan:
    """A plan as clients see it."""
    return plan_pb2.Plan(
        plan_id=plan.plan_id.text,
        name=plan.name,
        world=plan.world.text,
        snapshot_id=plan.snapshot_id,
        state=_PLAN_STATE[plan.state],
        seq=plan.seq,
        create_time=_time(plan.create_time),
        finish_time=_time(plan.finish_time),
        failure=_failure(plan.failure),
        execution_count=plan.execution_count,
        max_usd_micro=plan.max_usd_micro,
        replayed_execution_id=plan.replay_of.execution_id.text if plan.replay_of is not None else "",
    )


def execution_to_proto(record: ExecutionRecord) -> execution_pb2.Execution:
    """An execution as clients see it."""
    return execution_pb2.Execution(
        plan_id=record.plan_id.text,
        execution_id=record.execution_id.text,
        transition_id=record.transition_id.text,
        item_index=record.index,
        processor_ref=record.processor.text,
        runtime=record.runtime,
        state=_EXECUTION_STATE[record.state],
        seq=record.seq,
        attempt_idx=record.attempt_idx,
        epoch=record.epoch,
        outcome=_OUTCOME[record.outcome] if record.outcome is not None else _NO_OUTCOME,
        failure=_failure(record.failure),
        memo=_memo(record.memo),
        outputs=_outputs(record.outputs),
        named_outputs=jcs.canonical(dict(record.named_outputs)) if record.named_outputs is not None else b"",
        cost_usd_micro=record.cost_usd_micro,
        receipt_id=record.receipt_id or "",
        start_time=_time(record.start_time),
        finish_time=_time(record.finish_time),
        log_tail=record.log_tail,
        wait=_WAIT[record.waits_for],
    )


def changes_to_proto(plan: PlanRecord, changed: Iterable[ExecutionRecord]) -> Iterator[executor_pb2.WatchPlanResponse]:
    """What changed, in order of `seq`, in as many messages as it takes; the position of each may be resumed from."""
    message = executor_pb2.WatchPlanResponse(plan=plan_to_proto(plan))
    room = REPLY_BYTES
    for record in changed:
        each = execution_to_proto(record)
        if (size := each.ByteSize()) > room and message.executions:
            # Others of the same position may follow: whoever resumes here gets all of them.
            message.seq = record.seq - 1
            yield message
            message = executor_pb2.WatchPlanResponse(plan=message.plan)
            room = REPLY_BYTES
        message.executions.append(each)
        room -= size
    message.seq = plan.seq
    yield message


def log_part_to_proto(part: LogPart) -> executor_pb2.StreamLogsResponse:
    """Some of a log as clients see it."""
    return executor_pb2.StreamLogsResponse(
        position=part.position.text,
        attempt_idx=part.position.attempt_idx,
        source=_LOG_SOURCE[part.source]
        if part.source is not None
        else executor_pb2.StreamLogsResponse.SOURCE_UNSPECIFIED,
        data=part.data,
        gap=part.gap,
        last=part.last,
    )


def remembered_to_proto(answers: Iterable[Remembered | TheoryError]) -> executor_pb2.LookUpMemoResponse:
    """One result per key. One may find no room: it is asked for again."""
    response = executor_pb2.LookUpMemoResponse()
    room = REPLY_BYTES
    for answer in answers:
        if isinstance(answer, TheoryError):
            response.results.add(status=item_status(answer))
            continue
        room -= len(answer.components) + len(answer.receipt.preimage)
        if room < 0 and response.results:
            full = Exhausted("REPLY_FULL", "the reply has no room for this result: ask for it again")
            response.results.add(status=item_status(full))
            continue
        response.results.add(
            status=item_ok(),
            execution_id=answer.entry.execution_id.text,
            receipt_id=answer.receipt.receipt_id,
            receipt_preimage=answer.receipt.preimage,
            components=answer.components,
        )
    return response


def executions_to_proto(records: Iterable[ExecutionRecord]) -> list[execution_pb2.Execution]:
    """As many of the executions, from the first on, as one reply has room for; at least one."""
    fitting: list[execution_pb2.Execution] = []
    room = REPLY_BYTES
    for record in records:
        each = execution_to_proto(record)
        room -= each.ByteSize()
        if room < 0 and fitting:
            break
        fitting.append(each)
    return fitting


def _transition(spec: plan_pb2.TransitionSpec, at: str) -> dict[str, JSON]:
    document: dict[str, JSON] = {
        "id": spec.transition_id,
        "processor": spec.processor_ref,
        "inputs": _object(spec.inputs, f"{at}.inputs") if spec.inputs else {},
        "reads": list(spec.reads),
        "needs": list(spec.needs),
        "volumes": list(spec.volumes),
    }
    document |= _given(write_prefix=spec.write_prefix, runtime=spec.runtime)
    match spec.for_each.WhichOneof("source"):
        case "item_list":
            items = spec.for_each.item_list.items
            document["for_each"] = [_object(each, f"{at}.for_each[{place}]") for place, each in enumerate(items)]
        case "file_selector":
            document["for_each"] = {"files": spec.for_each.file_selector}
        case None if spec.HasField("for_each"):
            raise Invalid(
                "PLAN_INVALID", "a fan-out has a list of items or a selector of files", field=f"{at}.for_each"
            )
    return document


def _object(data: bytes, field: str) -> JSON:
    try:
        return jcs.parse_object(data)
    except TheoryError as error:
        raise Invalid("PLAN_INVALID", error.message, field=field) from error


def _given(**texts: str) -> dict[str, JSON]:
    """The texts that are set: an empty one means the default."""
    return {name: text for name, text in texts.items() if text}


def _time(moment: datetime | None) -> Timestamp | None:
    return None if moment is None else timestamp(moment)


def _failure(failure: Failure | None) -> plan_pb2.Failure | None:
    if failure is None:
        return None
    return plan_pb2.Failure(reason=failure.reason, message=failure.message, metadata=dict(failure.metadata))


def _memo(memo: MemoVerdict | None) -> execution_pb2.Memo | None:
    if memo is None:
        return None
    return execution_pb2.Memo(
        memo_key=memo.memo_key,
        hit=memo.hit,
        source_execution_id=memo.source_execution_id.text if memo.source_execution_id is not None else "",
        differences=memo.differences,
    )


def _outputs(outputs: Sequence[Output]) -> list[artifacts_pb2.Output]:
    return [
        artifacts_pb2.Output(
            world_path=each.path.text, cid=each.cid.text, size_bytes=each.size_bytes, content_type=each.content_type
        )
        for each in outputs
    ]
