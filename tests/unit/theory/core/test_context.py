"""The context of an attempt, as `context.json` holds it, and the result of a runtime."""

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from tests.unit.theory.core.refusal import refused
from theory.core import jcs
from theory.core.artifact import Output
from theory.core.cid import Cid
from theory.core.context import ExpandedContext, ProcessorResult
from theory.core.errors import Corrupt, Invalid
from theory.core.ids import ExecutionId, PlanId
from theory.core.jcs import JSON
from theory.core.receipt import AttemptOutcome, reserve_receipt
from theory.core.refs import SpecKind
from theory.core.selector import Selector
from theory.core.spec import PolicyDoc, RegistrySnapshot
from theory.core.world_path import WorldPath

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
POLICY: Mapping[str, JSON] = {"id": "default@1", "budget": {"max_usd_micro": 1000}}
CONTEXT = ExpandedContext(
    plan_id="p-1",
    transition_id="thumb",
    execution_id="p-1.thumb.0",
    attempt_idx=1,
    registry_snapshot=RegistrySnapshot.of({SpecKind.POLICIES: {"default@1": POLICY}}, NOW),
    policy=PolicyDoc.parse(POLICY),
    inputs={"width": 128, "scale": 0.5, "tags": ["a", None]},
    write_set_resolved=(Selector.parse("/artifacts/outputs/thumb/0/**"), Selector.parse("/artifacts/meta.json")),
    budget_reserved=reserve_receipt(
        plan_id=PlanId("p-1"),
        execution_id=ExecutionId("p-1.thumb.0"),
        attempt_idx=1,
        epoch=2,
        reserved_usd_micro=10,
        reserved_at=NOW,
    ),
    world_mount="/work/world",
    scratch_dir="/work/out",
    seed=7,
    memo_key="b3:" + "0" * 64,
    env_fingerprint="b3:" + "1" * 64,
    write_prefix="/artifacts/outputs/thumb/0/",
)


def test_the_document_has_exactly_the_fields_of_the_contract() -> None:
    assert list(CONTEXT.to_document()) == [
        "plan_id",
        "transition_id",
        "execution_id",
        "attempt_idx",
        "registry_snapshot",
        "policy",
        "inputs",
        "write_set_resolved",
        "budget_reserved",
        "world_mount",
        "scratch_dir",
        "seed",
        "memo_key",
        "env_fingerprint",
        "write_prefix",
    ]


@pytest.mark.parametrize(
    "context",
    [CONTEXT, dataclasses.replace(CONTEXT, budget_reserved=None), dataclasses.replace(CONTEXT, write_prefix="")],
    ids=["whole", "nothing reserved", "exact files only"],
)
def test_a_context_goes_through_json_and_comes_back(context: ExpandedContext) -> None:
    assert ExpandedContext.from_document(jcs.parse(jcs.canonical(context.to_document()))) == context


@pytest.mark.parametrize(
    "field", ["plan_id", "transition_id", "execution_id", "world_mount", "scratch_dir", "memo_key"]
)
def test_a_missing_field_is_named(field: str) -> None:
    with refused(Invalid, "FIELD_INVALID", field=field):
        ExpandedContext.from_document({**CONTEXT.to_document(), field: None})


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("attempt_idx", -1, "attempt_idx"),
        ("seed", "7", "seed"),
        ("inputs", [], "inputs"),
        ("write_set_resolved", ["/artifacts/*"], "write_set_resolved[0]"),
        ("budget_reserved", {"document": {}}, "budget_reserved.receipt_id"),
    ],
)
def test_a_wrong_field_is_named(field: str, value: JSON, named: str) -> None:
    with refused(Invalid, "FIELD_INVALID", field=named):
        ExpandedContext.from_document({**CONTEXT.to_document(), field: value})


def test_a_forged_receipt_is_corrupt() -> None:
    assert CONTEXT.budget_reserved is not None
    forged = {**CONTEXT.budget_reserved.document, "usd_micro": 999}
    document: JSON = {"receipt_id": CONTEXT.budget_reserved.receipt_id, "document": forged}
    with refused(Corrupt, "RECEIPT_CORRUPT"):
        ExpandedContext.from_document({**CONTEXT.to_document(), "budget_reserved": document})


def test_a_forged_snapshot_is_corrupt() -> None:
    snapshot = {**CONTEXT.registry_snapshot.to_document(), "policies": {}}
    with refused(Corrupt, "SNAPSHOT_ID_MISMATCH"):
        ExpandedContext.from_document({**CONTEXT.to_document(), "registry_snapshot": snapshot})


def test_outputs_join_a_result_that_stays_as_it_was() -> None:
    bare = ProcessorResult(
        outcome=AttemptOutcome.SUCCEEDED,
        exit_code=0,
        oom=False,
        deadline_exceeded=False,
        started_at=NOW,
        finished_at=NOW,
        cpu_s_milli=12,
    )
    output = Output(WorldPath.parse("/artifacts/a"), Cid.of(b""), 0)
    whole = bare.with_outputs([output], {"text_path": "/artifacts/a"}, 5)
    assert (bare.outputs, bare.named_outputs, bare.reported_cost_usd_micro) == ((), {}, 0)
    assert (whole.outputs, whole.named_outputs, whole.reported_cost_usd_micro) == (
        (output,),
        {"text_path": "/artifacts/a"},
        5,
    )
    assert dataclasses.replace(whole, outputs=(), named_outputs={}, reported_cost_usd_micro=0) == bare
