"""What the executor states to the ledger about an attempt: the facts of its receipt and the events beside it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from services.executor.domain.resolve import BYTES_BESIDE_PATH, Resolved
from services.executor.ports import AttemptRecord, ExecutionRecord, MemoEntry, PlanRecord
from theory.core import jcs
from theory.core.artifact import Output
from theory.core.chain import NewEvent
from theory.core.cid import Cid
from theory.core.clock import rfc3339
from theory.core.errors import Invalid, shown
from theory.core.execution import Failure
from theory.core.fingerprint import fingerprint_digest_of
from theory.core.jcs import JSON
from theory.core.world_path import WorldPath

MAX_STATED_BYTES = 6 * 1024 * 1024
"""How much the lists of inputs and outputs of one attempt may be: a settlement is one message, of at most 8 MiB."""


def facts_of(  # noqa: PLR0913 - each argument is a fact of the receipt
    plan: PlanRecord,
    record: ExecutionRecord,
    *,
    started: datetime,
    finished: datetime,
    basis: AttemptRecord | Resolved | None,
    named_outputs: Mapping[str, JSON] | None = None,
    failure: Failure | None = None,
    exit_code: int | None = None,
    memo_of: MemoEntry | None = None,
) -> dict[str, JSON]:
    """The determinism part of a settle receipt: enough to run the attempt again and to compare.

    Input values stand by the CID of their canonical JSON, secrets by name. What was never resolved is absent.
    """
    facts: dict[str, JSON] = {
        "snapshot_id": plan.snapshot_id,
        "processor": record.processor.text,
        "runtime": record.runtime,
        "world": plan.world.text,
        "seed": str(plan.seed),
        "write_prefix": record.write_prefix,
        "inputs_cid": Cid.of(jcs.canonical(dict(record.inputs))).text,
        "started_at": rfc3339(started),
        "finished_at": rfc3339(finished),
    }
    if basis is not None:
        secrets = basis.components["secrets"]
        facts |= {
            "input_cids": [{"path": path.text, "cid": cid.text} for path, cid in basis.inputs],
            "image_digest": basis.image_digest,
            "memo_key": basis.memo_key,
            "env_fingerprint": fingerprint_of(basis.components),
            "env_fingerprint_preimage": basis.components["fingerprint"],
            "secret_names": sorted(secrets) if isinstance(secrets, Mapping) else [],
        }
    if named_outputs is not None:
        facts["named_outputs"] = dict(named_outputs)
    if failure is not None:
        facts["failure"] = failure.to_document()
    if exit_code is not None:
        facts["exit_code"] = exit_code
    if plan.replay_of is not None:
        facts["replay_of"] = {
            "execution_id": plan.replay_of.execution_id.text,
            "receipt_id": plan.replay_of.receipt_id,
        }
    if memo_of is not None:
        facts["memo_of"] = {
            "plan_id": memo_of.plan_id.text,
            "execution_id": memo_of.execution_id.text,
            "receipt_id": memo_of.receipt_id,
        }
    return facts


def fingerprint_of(components: Mapping[str, JSON]) -> str:
    """The digest of the fingerprint that stands in a memo key's components."""
    return fingerprint_digest_of(jcs.canonical(components["fingerprint"], floats=False))


def check_fits(plan: PlanRecord, record: ExecutionRecord, basis: AttemptRecord, outputs: Sequence[Output]) -> None:
    """Refuse outputs that one settlement cannot state: `Invalid` (`OUTPUT_REFUSED`) with `path` and `rule`.

    Each is stated twice, in the receipt and in an event of its own.
    """
    names = len(plan.world.text) + 2 * len(record.execution_id.text)
    size = sum(_bytes_of(path) for path, _ in basis.inputs)
    for each in outputs:
        size += 2 * _bytes_of(each.path) + names + len(each.content_type)
        if size > MAX_STATED_BYTES:
            path = shown(each.path.text.removeprefix("/"))
            message = f"{path}: with it the list of inputs and outputs is too long for one receipt: write fewer files"
            raise Invalid("OUTPUT_REFUSED", message, path=path, rule="too_many_files")


def _bytes_of(path: WorldPath) -> int:
    return len(path.text.encode()) + BYTES_BESIDE_PATH


def written_events(
    plan: PlanRecord, record: ExecutionRecord, epoch: int, outputs: Iterable[Output], at: datetime
) -> tuple[NewEvent, ...]:
    """One `artifact.written` per output, recorded in the transaction that settles it."""
    ts = rfc3339(at)
    return tuple(
        NewEvent(
            event_id=f"written/{record.execution_id.text}/{epoch}/{number}",
            kind="artifact.written",
            ts=ts,
            body={
                "world": plan.world.text,
                "path": each.path.text,
                "cid": each.cid.text,
                "size": each.size_bytes,
                "execution_id": record.execution_id.text,
            },
        )
        for number, each in enumerate(outputs)
    )


def memo_event(record: ExecutionRecord, epoch: int, entry: MemoEntry, at: datetime) -> NewEvent:
    """The `memo.hit` that says whose result was used."""
    return NewEvent(
        event_id=f"memo/{record.execution_id.text}/{epoch}",
        kind="memo.hit",
        ts=rfc3339(at),
        body={
            "execution_id": record.execution_id.text,
            "memo_key": entry.memo_key,
            "source_execution_id": entry.execution_id.text,
            "source_receipt_id": entry.receipt_id,
        },
    )
