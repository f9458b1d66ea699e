"""Executors on one Postgres that are killed, or put to sleep, in the middle of plans: others carry them on."""

import asyncio
import random
from pathlib import Path

import pytest

from tests.backends import require
from tests.drills.replicas import LEASE_S, PATIENCE_S, Replicas, replicas
from tests.servers import Postgres
from theory.core.ids import PlanId
from theory.core.plan import PlanSpec

pytestmark = [pytest.mark.drill, pytest.mark.slow]

WIDTH = 40
NAMES = ("a", "b")


def _spec(seed: int, width: int = WIDTH) -> PlanSpec:
    return PlanSpec.parse(
        {
            "name": "drill",
            "seed": seed,
            "transitions": [
                {
                    "id": "render",
                    "processor": "media/render@1",
                    "for_each": [{"n": n} for n in range(width)],
                    "inputs": {"n": "${item.n}"},
                },
                {
                    "id": "report",
                    "processor": "media/report@1",
                    "needs": ["render"],
                    "reads": ["/artifacts/outputs/render/**"],
                },
            ],
        }
    )


async def _until_begun(drill: Replicas, name: str, plan_id: PlanId, ended: int) -> None:
    """Return in the middle of a plan."""
    async with asyncio.timeout(PATIENCE_S), drill.client(name) as theory:
        while True:
            executions = [each async for each in theory.executor.executions(plan_id)]
            if sum(each.state.terminal for each in executions) >= ended:
                return
            await asyncio.sleep(0.01)


async def _judged(drill: Replicas, name: str, plan_ids: list[PlanId]) -> None:
    for plan_id in plan_ids:
        plan, executions = await drill.finish(name, plan_id)
        assert plan.state == "succeeded", plan.failure
        assert await drill.faults(name, plan, executions) == []
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if not drill.left():
                return
            await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def postgres() -> Postgres:
    server = Postgres()
    require("postgres", server.missing())
    return server


@pytest.mark.parametrize("kills", [2, pytest.param(30, marks=pytest.mark.long)])
async def test_plans_of_an_executor_that_is_killed_are_carried_on_by_the_other(
    kills: int, tmp_path: Path, postgres: Postgres
) -> None:
    chance = random.Random(11)
    with postgres:
        async with replicas(tmp_path, postgres.url, NAMES) as drill:
            plan_ids: list[PlanId] = []
            for at in range(kills):
                victim = NAMES[at % 2]
                other = NAMES[1 - at % 2]
                begun = [
                    await drill.submit(name, _spec(100 + 2 * at + one), f"{at}-{name}")
                    for one, name in enumerate(NAMES)
                ]
                plan_ids += begun
                await _until_begun(drill, other, begun[at % 2], chance.randrange(WIDTH // 2))
                await drill.kill(victim)
                if chance.random() < 0.5:  # back before its lease is over, or long behind it
                    await asyncio.sleep(LEASE_S * 1.5)
                await drill.start(victim)
            await _judged(drill, "a", plan_ids)


@pytest.mark.long
async def test_the_other_one_needs_nobody_to_come_back(tmp_path: Path, postgres: Postgres) -> None:
    with postgres:
        async with replicas(tmp_path, postgres.url, NAMES) as drill:
            plan_id = await drill.submit("a", _spec(7), "r")
            await _until_begun(drill, "b", plan_id, 3)
            await drill.kill("a")
            plan, executions = await drill.finish("b", plan_id)
            assert plan.state == "succeeded", plan.failure
            assert await drill.faults("b", plan, executions) == []


async def test_an_executor_that_slept_through_its_lease_touches_nothing_any_more(
    tmp_path: Path, postgres: Postgres
) -> None:
    with postgres:
        async with replicas(tmp_path, postgres.url, NAMES) as drill:
            plan_ids = [await drill.submit("a", _spec(20 + at, 20), f"r{at}") for at in range(2)]
            await _until_begun(drill, "b", plan_ids[0], 3)
            drill.stop("a")
            for plan_id in plan_ids:
                plan, _ = await drill.finish("b", plan_id)
                assert plan.state == "succeeded", plan.failure
            drill.go_on("a")
            await _judged(drill, "a", plan_ids)  # it answers, too, and has dropped what it held


async def test_a_plan_is_cancelled_at_any_executor(tmp_path: Path, postgres: Postgres) -> None:
    with postgres:
        async with replicas(tmp_path, postgres.url, NAMES) as drill:
            plan_id = await drill.submit("a", _spec(30, 150), "r")
            await _until_begun(drill, "b", plan_id, 1)
            async with drill.client("b") as theory:
                await theory.executor.cancel_plan(plan_id)
            plan, executions = await drill.finish("b", plan_id)
            assert plan.state == "cancelled"
            assert any(each.state == "cancelled" for each in executions)
