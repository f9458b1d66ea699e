"""The tests of services/executor/domain/tokens.py."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from services.executor.adapters.tokens import KeySigner
from services.executor.domain.tokens import RENEWED_BEFORE_S, Tokens, grant_of
from services.executor.ports import ExecutionRecord, PlanRecord
from tests.documents import STEP, tool
from tests.embedded import Embedded
from tests.peers import peers_of
from tests.records import ATTEMPT, EXECUTION, PLAN
from theory.core.cid import Cid
from theory.core.clock import FakeClock, SystemClock
from theory.core.errors import Conflict, NotFound
from theory.core.grant import MAX_TOKEN_LIFE_S
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


async def test_declared_topics_are_granted_and_no_other(theory: Embedded) -> None:
    await theory.publish(tool("test/topics@1", scratch={"topics": ["jobs"]}))
    plan = plan_of("p-topics")
    record = replace(execution_of(plan, "a", b"photo"), processor=Ref("test/topics@1"))
    snapshot = await peers_of(theory).registry.create_snapshot([(SpecKind.TOOLS, record.processor)])
    assert grant_of(plan, snapshot, record, ATTEMPT).topics == ("jobs",)


async def test_who_never_asks_for_a_token_costs_nothing(theory: Embedded, tmp_path: Path) -> None:
    plan = plan_of("p-silent")
    record = execution_of(plan, "a", b"photo")
    before = REGISTRY.get_sample_value(*RPCS) or 0
    tokens_of(theory, tmp_path).bearer(plan, await _snapshot(theory), record, record.attempt or ATTEMPT)
    assert (REGISTRY.get_sample_value(*RPCS) or 0) == before
    assert list(tmp_path.iterdir()) == []


async def test_a_token_is_given_again_until_it_is_nearly_over(theory: Embedded, tmp_path: Path) -> None:
    """I-168: signed well before the one before it expires; told of once."""
    plan, clock = plan_of("p-renewed"), FakeClock()
    await theory.theory.artifacts.put_blob(b"photo")
    record = execution_of(plan, "a", b"photo")
    signer = KeySigner(tmp_path / "key", tmp_path / "published", clock=clock, ids=SystemIds())
    tokens = Tokens(world=peers_of(theory).world, signer=signer, clock=clock)
    bearer = tokens.bearer(plan, await _snapshot(theory), record, record.attempt or ATTEMPT)
    before = REGISTRY.get_sample_value(*RPCS) or 0
    first, again = await asyncio.gather(bearer(), bearer())
    assert first.reveal() == again.reveal()
    clock.advance(MAX_TOKEN_LIFE_S - RENEWED_BEFORE_S - 1)
    assert (await bearer()).reveal() == first.reveal()
    clock.advance(2)
    assert (await bearer()).reveal() != first.reveal()
    assert (REGISTRY.get_sample_value(*RPCS) or 0) - before == 1


async def test_who_could_not_be_admitted_may_ask_again(theory: Embedded, tmp_path: Path) -> None:
    plan = plan_of("p-later")
    record = execution_of(plan, "a", b"a photo that comes later")
    bearer = tokens_of(theory, tmp_path).bearer(plan, await _snapshot(theory), record, record.attempt or ATTEMPT)
    with pytest.raises(NotFound):
        await bearer()
    await theory.theory.artifacts.put_blob(b"a photo that comes later")
    assert (await bearer()).reveal()
