"""The tests of services/executor/domain/tokens.py."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from services.executor.adapters.tokens import KeySigner
from services.executor.domain.tokens import Tokens, grant_of
from services.executor.ports import ExecutionRecord, PlanRecord
from tests.documents import STEP
from tests.embedded import Embedded
from tests.peers import peers_of
from tests.records import ATTEMPT, EXECUTION, PLAN
from theory.core.cid import Cid
from theory.core.clock import SystemClock
from theory.core.errors import Conflict, NotFound
from theory.core.ids import ExecutionId, PlanId, SystemIds
from theory.core.refs import Ref, SpecKind
from theory.core.selector import Selector
from theory.core.spec import RegistrySnapshot
from theory.core.world_path import WorldName, WorldPath
from theory.sdk.artifacts import ArtifactsClient
from theory.wire.channel import connect

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = WorldPath("/artifacts/inputs/a.png")
RPCS = ("grpc_server_call_started_total", {"grpc_method": "theory.api.artifacts.v1.ArtifactsService/PinInputs"})


def tokens_of(theory: Embedded, home: Path) -> Tokens:
    key, published = home / "executor" / "attempts.key", home / "attempts.jwks.json"
    signer = KeySigner(key, published, clock=SystemClock(), ids=SystemIds())
    return Tokens(world=peers_of(theory).world, signer=signer, clock=SystemClock())


def plan_of(name: str) -> PlanRecord:
    return replace(PLAN, plan_id=PlanId(name), world=WorldName(name))


def execution_of(plan: PlanRecord, name: str, data: bytes) -> ExecutionRecord:
    return replace(
        EXECUTION,
        plan_id=plan.plan_id,
        execution_id=ExecutionId(f"{plan.plan_id}.{name}"),
        processor=Ref(STEP),
        write_prefix=f"/artifacts/outputs/{name}/",
        attempt=replace(ATTEMPT, inputs=((PATH, Cid.of(data)),)),
    )


async def _snapshot(theory: Embedded) -> RegistrySnapshot:
    return await peers_of(theory).registry.create_snapshot([(SpecKind.TOOLS, Ref(STEP))])


async def test_an_attempt_may_do_what_its_execution_may_and_nothing_more(theory: Embedded) -> None:
    plan = plan_of("p-granted")
    record = execution_of(plan, "a", b"photo")
    grant = grant_of(plan, await _snapshot(theory), record, ATTEMPT)
    assert (grant.plan_id, grant.world, grant.execution_id) == (plan.plan_id, plan.world, record.execution_id)
    assert (grant.attempt_idx, grant.epoch) == (ATTEMPT.attempt_idx, ATTEMPT.epoch)
    assert grant.writes == (Selector.parse("/artifacts/outputs/a/**"),)
    assert grant.topics is None


async def test_with_its_token_an_attempt_reads_its_inputs_alone(theory: Embedded) -> None:
    tokens, snapshot, plan = tokens_of(theory, theory.home), await _snapshot(theory), plan_of("p-tokens")
    for path, data in (("a.png", b"photo"), ("b.png", b"other")):
        await theory.theory.artifacts.put_bytes(plan.world, WorldPath(f"/artifacts/inputs/{path}"), data)
    record = execution_of(plan, "a", b"photo")
    assert record.attempt is not None
    token = await tokens.token(await tokens.admit(plan, snapshot, record, record.attempt))
    async with connect(theory.url, token=token.text.reveal()) as channel:
        attempt = ArtifactsClient(channel)
        assert [each.path async for each in attempt.list(plan.world)] == [PATH]
        assert await attempt.get_blob(Cid.of(b"photo")) == b"photo"
        with pytest.raises(NotFound):
            await attempt.get_blob(Cid.of(b"other"))


async def test_attempts_of_one_turn_are_told_of_in_one_call(theory: Embedded) -> None:
    tokens, snapshot, plan = tokens_of(theory, theory.home), await _snapshot(theory), plan_of("p-together")
    await theory.theory.artifacts.put_blob(b"photo")
    before = REGISTRY.get_sample_value(*RPCS) or 0
    records = [execution_of(plan, f"a{n}", b"photo") for n in range(20)]
    await asyncio.gather(*(tokens.admit(plan, snapshot, each, each.attempt or ATTEMPT) for each in records))
    assert (REGISTRY.get_sample_value(*RPCS) or 0) - before == 1


async def test_an_attempt_that_was_overtaken_is_not_admitted(theory: Embedded) -> None:
    tokens, snapshot, plan = tokens_of(theory, theory.home), await _snapshot(theory), plan_of("p-overtaken")
    await theory.theory.artifacts.put_blob(b"photo")
    record = execution_of(plan, "a", b"photo")
    late = replace(ATTEMPT, epoch=ATTEMPT.epoch + 1)
    await tokens.admit(plan, snapshot, record, late)
    await tokens.admit(plan, snapshot, record, late)
    with pytest.raises(Conflict) as caught:
        await tokens.admit(plan, snapshot, record, ATTEMPT)
    assert caught.value.reason == "EPOCH_FENCED"
