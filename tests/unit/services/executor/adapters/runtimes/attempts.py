"""Contexts and processor specs for tests of runtimes."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from theory.core.context import ExpandedContext
from theory.core.jcs import JSON
from theory.core.refs import Ref, SpecKind
from theory.core.selector import resolve_write_set
from theory.core.spec import ProcessorSpec, RegistrySnapshot
from theory.core.world_path import PathPrefix

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
POLICY: Mapping[str, JSON] = {"id": "default@1", "budget": {"max_usd_micro": 1000}}
REF = "test/step@1"


def processor(
    *,
    writes: Sequence[str] = ("/artifacts/outputs/",),
    success: Sequence[Mapping[str, JSON]] = (),
    **fields: Any,
) -> ProcessorSpec:
    """A processor of this form; other fields replace the document's."""
    document: dict[str, JSON] = {
        "ref": REF,
        "name": "a step",
        "image": {"build": {"context": "step"}},
        "runtime": {"cpu": 1, "memory_gb": "0.125", "timeout_s": 60},
        "outputs": {"writes": [{"prefix": each} for each in writes]},
        "predicates": {"admission": [], "success": list(success)},
        **fields,
    }
    return ProcessorSpec.parse(document)


def context(  # a test names what it varies
    spec: ProcessorSpec,
    *,
    schemas: Mapping[str, JSON] | None = None,
    place: Path = Path("/nowhere/plan-1.step-a0"),
    write_prefix: str | None = "/artifacts/outputs/step/",
    attempt_idx: int = 0,
    execution_id: str = "plan-1.step",
    plan_id: str = "plan-1",
    inputs: Mapping[str, JSON] | None = None,
    seed: int = 7,
    memo_key: str = "b3:" + "0" * 64,
) -> ExpandedContext:
    """The context of one attempt of `spec` in the directory `place`."""
    documents = {ref: {"id": ref, "schema": schema} for ref, schema in (schemas or {}).items()}
    snapshot = RegistrySnapshot.of(
        {
            SpecKind.TOOLS: {spec.ref.text: spec.document},
            SpecKind.SCHEMAS: documents,
            SpecKind.POLICIES: {"default@1": POLICY},
        },
        NOW,
    )
    prefix = None if write_prefix is None else PathPrefix.parse(write_prefix)
    return ExpandedContext(
        plan_id=plan_id,
        transition_id="step",
        execution_id=execution_id,
        attempt_idx=attempt_idx,
        registry_snapshot=snapshot,
        policy=snapshot.get_policy(Ref.parse("default@1")),
        inputs=inputs or {},
        write_set_resolved=resolve_write_set(spec.writes, prefix),
        budget_reserved=None,
        world_mount=str(place / "world"),
        scratch_dir=str(place / "out"),
        seed=seed,
        memo_key=memo_key,
        env_fingerprint="b3:" + "1" * 64,
        write_prefix=write_prefix or "",
    )
