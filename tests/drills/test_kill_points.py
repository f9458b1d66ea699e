"""A server that is killed with SIGKILL at any named point, and started again, finishes what it began."""

from pathlib import Path

import pytest

from tests.drills.installation import Installation
from theory.core.plan import PlanSpec

pytestmark = [pytest.mark.drill, pytest.mark.slow]

# Every point of the executor, and how often it is passed before the kill: the third execution, or the one plan.
POINTS = {
    "opened": 1,
    "claimed": 3,
    "recorded": 3,
    "placed": 3,
    "exited": 3,
    "collected": 3,
    "prepared": 3,
    "settled": 3,
    "committed": 3,
    "saved": 3,
    "finishing": 1,
}
REUSE_POINTS = {"reuse_prepared": 2, "reuse_settled": 2, "committed": 2, "saved": 2}


def _spec(width: int = 4) -> PlanSpec:
    return PlanSpec.parse(
        {
            "name": "drill",
            "runtime": "mock",
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


def _mocked(home: Path) -> Installation:
    return Installation(home, THEORY_EXECUTOR_RUNTIMES="mock", THEORY_EXECUTOR_DEFAULT_RUNTIME="mock")


@pytest.mark.parametrize("point", POINTS)
async def test_a_kill_at_any_point_of_a_plan_is_survived(point: str, tmp_path: Path) -> None:
    installation = _mocked(tmp_path)
    async with installation.server(kill_at=point, kill_count=POINTS[point]) as server:
        await installation.submit(_spec(), "drill")
        assert await installation.killed(server)
    async with installation.server():
        plan_id = await installation.submit(_spec(), "drill")
        assert plan_id is not None
        plan, executions = await installation.finish(plan_id)
        assert plan.state == "succeeded"
        await installation.check(plan, executions)


@pytest.mark.parametrize("point", REUSE_POINTS)
async def test_a_kill_while_results_are_used_again_is_survived(point: str, tmp_path: Path) -> None:
    installation = _mocked(tmp_path)
    async with installation.server():
        first = await installation.submit(_spec(), "first")
        assert first is not None
        await installation.finish(first)
    async with installation.server(kill_at=point, kill_count=REUSE_POINTS[point]) as server:
        await installation.submit(_spec(), "second")
        assert await installation.killed(server)
    async with installation.server():
        plan_id = await installation.submit(_spec(), "second")
        assert plan_id is not None
        plan, executions = await installation.finish(plan_id)
        assert plan.state == "succeeded"
        assert all(each.memo is not None and each.memo.hit for each in executions)
        await installation.check(plan, executions)


async def test_a_server_that_is_killed_again_and_again_gets_there(tmp_path: Path) -> None:
    installation = _mocked(tmp_path)
    for point in ("claimed", "placed", "collected", "prepared", "settled", "committed", "saved"):
        async with installation.server(kill_at=point) as server:
            await installation.submit(_spec(), "drill")
            assert await installation.killed(server)
    async with installation.server():
        plan_id = await installation.submit(_spec(), "drill")
        assert plan_id is not None
        plan, executions = await installation.finish(plan_id)
        assert plan.state == "succeeded"
        await installation.check(plan, executions)
