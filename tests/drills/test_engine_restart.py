"""An engine that is killed while containers run, and started again: what it took along is lost, and runs once more."""

import asyncio
from pathlib import Path

import pytest

from tests.drills import shell
from tests.drills.engine import BASE, DrilledEngine, drilled_engine
from tests.drills.installation import Installation
from theory.core.ids import PlanId
from theory.core.receipt import AttemptOutcome
from theory.sdk.client import Theory

pytestmark = [pytest.mark.docker, pytest.mark.drill, pytest.mark.slow]

WIDTH = 3
PATIENCE_S = 60.0


def _installation(engine: DrilledEngine, tmp_path: Path, *, seconds: float) -> Installation:
    shell.write_context(tmp_path / "contexts", seconds=seconds)
    home = tmp_path / "home"
    home.mkdir()
    return Installation(
        home,
        THEORY_EXECUTOR_RUNTIMES="local",
        THEORY_EXECUTOR_DEFAULT_RUNTIME="local",
        THEORY_EXECUTOR_BUILD_ROOT=str(tmp_path / "contexts"),
        THEORY_EXECUTOR_BASE_IMAGE=BASE,
        THEORY_EXECUTOR_ENGINE_URL=engine.url,
    )


async def _begun(installation: Installation) -> PlanId:
    """A plan all of whose processors run."""
    await installation.publish(shell.drafts())
    plan_id = await installation.submit(shell.spec(width=WIDTH), "shell")
    assert plan_id is not None
    attempts = installation.home / "executor" / "attempts"
    async with asyncio.timeout(PATIENCE_S):
        while len(list(attempts.glob("*/out/artifacts/outputs/shell/*/begun.txt"))) < WIDTH:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return plan_id


async def _still_runs(installation: Installation, plan_id: PlanId) -> None:
    async with Theory.connect(installation.url) as theory:
        executions = [each async for each in theory.executor.executions(plan_id)]
    assert [each.state.value for each in executions] == ["running"] * WIDTH


async def _judged(installation: Installation, engine: DrilledEngine, plan_id: PlanId, *, attempts: int) -> None:
    """Each execution succeeded in its `attempts`-th attempt; every one before was lost, and paid for."""
    plan, executions = await installation.finish(plan_id)
    assert plan.state == "succeeded", (plan.failure, executions)
    assert [each.attempt_idx for each in executions] == [attempts - 1] * WIDTH
    await installation.check(plan, executions)
    async with Theory.connect(installation.url) as theory:
        receipts = [each async for each in theory.ledger.receipts(plan_id) if each.kind == "settle"]
    lost = [each for each in receipts if each.outcome is AttemptOutcome.LOST]
    assert len(lost) == (attempts - 1) * WIDTH
    assert not any(each.final for each in lost)
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if not await engine.containers():
                return
            await asyncio.sleep(0.1)


async def test_what_an_engine_took_along_runs_once_more_however_few_attempts_the_policy_has(tmp_path: Path) -> None:
    """I-175: a machine that fails is not a processor that fails."""
    async with drilled_engine(keeps_containers=False) as engine:
        installation = _installation(engine, tmp_path, seconds=2)
        async with installation.server():
            plan_id = await _begun(installation)
            engine.kill(with_containers=True)
            await _still_runs(installation, plan_id)
            await engine.start()
            await _judged(installation, engine, plan_id, attempts=2)


@pytest.mark.long
async def test_an_engine_that_stops_its_containers_when_it_is_back_lost_them(tmp_path: Path) -> None:
    async with drilled_engine(keeps_containers=False) as engine:
        installation = _installation(engine, tmp_path, seconds=8)
        async with installation.server():
            plan_id = await _begun(installation)
            engine.kill(with_containers=False)
            await asyncio.sleep(2)
            await _still_runs(installation, plan_id)
            await engine.start()
            await _judged(installation, engine, plan_id, attempts=2)


@pytest.mark.long
async def test_containers_that_outlived_their_engine_are_taken_up(tmp_path: Path) -> None:
    async with drilled_engine(keeps_containers=True) as engine:
        installation = _installation(engine, tmp_path, seconds=8)
        async with installation.server():
            plan_id = await _begun(installation)
            engine.kill(with_containers=False)
            await asyncio.sleep(2)
            await _still_runs(installation, plan_id)
            await engine.start()
            await _judged(installation, engine, plan_id, attempts=1)


@pytest.mark.long
async def test_an_executor_that_died_with_its_engine_finds_out(tmp_path: Path) -> None:
    async with drilled_engine(keeps_containers=False) as engine:
        installation = _installation(engine, tmp_path, seconds=2)
        async with installation.server() as server:
            plan_id = await _begun(installation)
            server.kill()
            assert await installation.killed(server)
        engine.kill(with_containers=True)
        async with installation.server():
            await asyncio.sleep(2)
            await _still_runs(installation, plan_id)
            await engine.start()
            await _judged(installation, engine, plan_id, attempts=2)
