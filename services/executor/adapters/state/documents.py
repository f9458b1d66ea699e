"""Plans, executions and results as the JSON that their rows hold, and back."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import orjson

from services.executor.ports import AttemptRecord, ExecutionRecord, MemoEntry, PlanFileRecord, PlanRecord, Replayed
from theory.core.artifact import Output
from theory.core.cid import Cid
from theory.core.clock import parse_rfc3339, rfc3339
from theory.core.execution import ExecutionState, Failure, MemoVerdict, PlanState, Wait
from theory.core.ids import ExecutionId, PlanId, TransitionId
from theory.core.jcs import JSON
from theory.core.receipt import AttemptOutcome
from theory.core.refs import Ref
from theory.core.world_path import WorldName, WorldPath

# Rows hold what this process wrote and checked; reading them back parses no grammar again.
_Document = Mapping[str, Any]


def plan_to_json(plan: PlanRecord) -> bytes:
    """The document of a plan's row; key columns are not repeated."""
    return orjson.dumps(
        {
            "request_digest": plan.request_digest,
            "name": plan.name,
            "world": plan.world.text,
            "policy": plan.policy.text,
            "snapshot_id": plan.snapshot_id,
            "seed": str(plan.seed),
            "max_usd_micro": str(plan.max_usd_micro),
            "files": [[each.path.text, each.cid.text, each.size_bytes, each.content_type] for each in plan.files],
            "create_time": rfc3339(plan.create_time),
            "execution_count": plan.execution_count,
            "finish_time": plan.finish_time and rfc3339(plan.finish_time),
            "failure": plan.failure and plan.failure.to_document(),
            "replay_of": plan.replay_of and [plan.replay_of.execution_id.text, plan.replay_of.receipt_id],
        }
    )


def plan_from_json(row: Mapping[str, Any]) -> PlanRecord:
    """The plan that a row holds."""
    document: _Document = orjson.loads(row["document"])
    return PlanRecord(
        plan_id=PlanId(row["plan_id"]),
        request_id=row["request_id"],
        request_digest=document["request_digest"],
        name=document["name"],
        world=WorldName(document["world"]),
        policy=Ref(document["policy"]),
        snapshot_id=document["snapshot_id"],
        seed=int(document["seed"]),
        max_usd_micro=int(document["max_usd_micro"]),
        files=tuple(
            PlanFileRecord(WorldPath(path), Cid(cid), size, content_type)
            for path, cid, size, content_type in document["files"]
        ),
        state=PlanState(row["state"]),
        create_time=parse_rfc3339(document["create_time"]),
        execution_count=document["execution_count"],
        seq=row["seq"],
        finish_time=document["finish_time"] and parse_rfc3339(document["finish_time"]),
        failure=_failure(document["failure"]),
        scratch_ended=bool(row["scratch_ended"]),
        replay_of=_replayed(document.get("replay_of")),  # rows from before there were any have none
    )


def execution_to_json(record: ExecutionRecord) -> bytes:
    """The document of an execution's row; key columns are not repeated."""
    memo = record.memo
    return orjson.dumps(
        {
            "transition_id": record.transition_id.text,
            "index": record.index,
            "processor": record.processor.text,
            "runtime": record.runtime,
            "inputs": record.inputs,
            "reads": record.reads,
            "needs": [each.text for each in record.needs],
            "write_prefix": record.write_prefix,
            "volumes": record.volumes,
            "waits_for": record.waits_for,
            "attempt_idx": record.attempt_idx,
            **({"losses": record.losses} if record.losses else {}),
            "epoch": record.epoch,
            "chunks": record.chunks and _places_document(record.chunks),
            "attempt": record.attempt and _attempt_document(record.attempt),
            "outcome": record.outcome,
            "failure": record.failure and record.failure.to_document(),
            "memo": memo
            and [
                memo.memo_key,
                memo.hit,
                memo.source_execution_id and memo.source_execution_id.text,
                memo.differences,
            ],
            "outputs": [each.to_document() for each in record.outputs],
            "named_outputs": record.named_outputs,
            "cost_usd_micro": str(record.cost_usd_micro),
            "receipt_id": record.receipt_id,
            "start_time": record.start_time and rfc3339(record.start_time),
            "finish_time": record.finish_time and rfc3339(record.finish_time),
            "log_tail": record.log_tail,
        }
    )


def execution_from_json(row: Mapping[str, Any]) -> ExecutionRecord:
    """The execution that a row holds."""
    document: _Document = orjson.loads(row["document"])
    return ExecutionRecord(
        plan_id=PlanId(row["plan_id"]),
        execution_id=ExecutionId(row["execution_id"]),
        ordinal=row["ordinal"],
        transition_id=TransitionId(document["transition_id"]),
        index=document["index"],
        processor=Ref(document["processor"]),
        runtime=document["runtime"],
        inputs=document["inputs"],
        reads=tuple(document["reads"]),
        needs=tuple(TransitionId(each) for each in document["needs"]),
        write_prefix=document["write_prefix"],
        volumes=tuple(document.get("volumes", ())),  # rows from before there were any have none
        waits_for=(waits := document.get("waits_for")) and Wait(waits),
        state=ExecutionState(row["state"]),
        seq=row["seq"],
        attempt_idx=document["attempt_idx"],
        losses=document.get("losses", 0),
        epoch=document["epoch"],
        chunks=_places(chunks) if (chunks := document.get("chunks")) else None,
        attempt=document["attempt"] and _attempt(document["attempt"]),
        outcome=document["outcome"] and AttemptOutcome(document["outcome"]),
        failure=_failure(document["failure"]),
        memo=document["memo"] and _memo_verdict(document["memo"]),
        outputs=_outputs(document["outputs"]),
        named_outputs=document["named_outputs"],
        cost_usd_micro=int(document["cost_usd_micro"]),
        receipt_id=document["receipt_id"],
        start_time=document["start_time"] and parse_rfc3339(document["start_time"]),
        finish_time=document["finish_time"] and parse_rfc3339(document["finish_time"]),
        log_tail=document["log_tail"],
    )


def memo_to_json(entry: MemoEntry) -> bytes:
    """The document of a result's row; key columns are not repeated."""
    return orjson.dumps(
        {
            "processor": entry.processor.text,
            "components": entry.components,
            "plan_id": entry.plan_id.text,
            "execution_id": entry.execution_id.text,
            "receipt_id": entry.receipt_id,
            "outputs": [each.to_document() for each in entry.outputs],
            "named_outputs": entry.named_outputs,
            "create_time": rfc3339(entry.create_time),
        }
    )


def components_in(row: Mapping[str, Any]) -> Mapping[str, JSON]:
    """What the key of a remembered result was made of; the rest of the row is not looked at."""
    components: Mapping[str, JSON] = orjson.loads(row["document"])["components"]
    return components


def memo_from_json(row: Mapping[str, Any]) -> MemoEntry:
    """The result that a row holds."""
    document: _Document = orjson.loads(row["document"])
    return MemoEntry(
        memo_key=row["memo_key"],
        processor=Ref(document["processor"]),
        components=document["components"],
        plan_id=PlanId(document["plan_id"]),
        execution_id=ExecutionId(document["execution_id"]),
        receipt_id=document["receipt_id"],
        outputs=_outputs(document["outputs"]),
        named_outputs=document["named_outputs"],
        create_time=parse_rfc3339(document["create_time"]),
    )


def _attempt_document(attempt: AttemptRecord) -> dict[str, object]:
    receipt = attempt.reserve_receipt
    return {
        "attempt_idx": attempt.attempt_idx,
        "epoch": attempt.epoch,
        "image_digest": attempt.image_digest,
        "memo_key": attempt.memo_key,
        "inputs": _places_document(attempt.inputs),
        "components": attempt.components,
        "reserve_receipt": receipt.decode() if receipt is not None else None,
        "start_time": rfc3339(attempt.start_time),
        **({"holder": attempt.holder} if attempt.holder else {}),
    }


def _attempt(document: _Document) -> AttemptRecord:
    receipt = document["reserve_receipt"]
    return AttemptRecord(
        attempt_idx=document["attempt_idx"],
        epoch=document["epoch"],
        image_digest=document["image_digest"],
        memo_key=document["memo_key"],
        inputs=_places(document["inputs"]),
        components=document["components"],
        reserve_receipt=receipt.encode() if receipt is not None else None,
        start_time=parse_rfc3339(document["start_time"]),
        holder=document.get("holder", ""),
    )


def _places_document(places: Iterable[tuple[WorldPath, Cid]]) -> list[list[str]]:
    return [[path.text, cid.text] for path, cid in places]


def _places(document: Iterable[tuple[str, str]]) -> tuple[tuple[WorldPath, Cid], ...]:
    return tuple((WorldPath(path), Cid(cid)) for path, cid in document)


def _memo_verdict(document: Sequence[Any]) -> MemoVerdict:
    key, hit, source, differences = document
    return MemoVerdict(key, hit, source and ExecutionId(source), tuple(differences))


def _failure(document: _Document | None) -> Failure | None:
    if document is None:
        return None
    return Failure(document["reason"], document["message"], cast("Mapping[str, str]", document["metadata"]))


def _replayed(document: Sequence[str] | None) -> Replayed | None:
    return Replayed(ExecutionId(document[0]), document[1]) if document else None


def _outputs(documents: Sequence[_Document]) -> tuple[Output, ...]:
    return tuple(
        Output(WorldPath(each["path"]), Cid(each["cid"]), each["size_bytes"], each["content_type"])
        for each in documents
    )
