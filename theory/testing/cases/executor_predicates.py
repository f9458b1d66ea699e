"""What every executor promises of predicates that do not end by themselves, over the wire."""

from theory.core import jcs
from theory.core.jcs import JSON
from theory.core.plan import PlanFile
from theory.core.receipt import AttemptOutcome
from theory.core.refs import SpecKind
from theory.core.registry import SpecDraft
from theory.core.world_path import WorldPath
from theory.sdk.artifacts import ArtifactsClient
from theory.sdk.registry import RegistryClient
from theory.testing.case import Target, case
from theory.testing.cases.executor_plans import Plans, step


@case("MOCK", "PEERS")
async def a_predicate_that_does_not_end_costs_its_own_attempt_alone(target: Target) -> None:
    """A pattern that backtracks for years ends its attempt with a reason, and another plan runs meanwhile (I-177)."""
    plans = Plans(target)
    path, ref = "/artifacts/inputs/hostile.json", f"{target.fresh('schema')}@1"
    schema: dict[str, JSON] = {"id": ref, "schema": {"type": "string", "pattern": "^(a+)+$"}}
    await RegistryClient(target.channel()).publish(SpecDraft(SpecKind.SCHEMAS, schema))
    data = jcs.canonical("a" * 60 + "!")
    cid = await ArtifactsClient(target.channel()).put_blob(data)
    file = PlanFile(WorldPath.parse(path), cid, len(data)).to_document()
    gated = await plans.tool(admission=[{"id": "json.schema_ok@1", "args": {"path": path, "schema": ref}}])
    hostile = await plans.submit(step("a", processor=gated), files=[file])
    await plans.finished((await plans.submit(step("b"))).plan_id)
    assert not (await plans.executor.get_plan(hostile.plan_id)).state.terminal
    await plans.ended(hostile.plan_id)
    [ended] = await plans.executions(hostile.plan_id)
    assert ended.outcome is AttemptOutcome.PREDICATE_REFUSED
    assert ended.failure is not None
    assert ended.failure.reason == "PREDICATE_TIMED_OUT"
    assert ended.failure.metadata.items() >= {"predicate": "json.schema_ok@1", "path": path}.items()
    assert int(ended.failure.metadata["timeout_s"]) > 0
