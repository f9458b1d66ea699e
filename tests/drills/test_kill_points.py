"""A server that is killed with SIGKILL at any named point, and started again, finishes what it began."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.drills.installation import Installation
from theory.core.plan import PlanSpec
from theory.sdk.views import ExecutionView

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


def _spec(seed: int = 1, width: int = 4) -> PlanSpec:
    return PlanSpec.parse(
        {
            "name": "drill",
            "seed": seed,
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


def _parted(points: Mapping[str, int], size: int) -> list[list[str]]:
    """What one test does; each goes to whoever has time."""
    return [list(points)[start : start + size] for start in range(0, len(points), size)]


async def _finished(installation: Installation, spec: PlanSpec, name: str) -> list[ExecutionView]:
    """Of a plan that was submitted before, all there is to check."""
    plan_id = await installation.submit(spec, name)
    assert plan_id is not None
    plan, executions = await installation.finish(plan_id)
    assert plan.state == "succeeded", name
    await installation.check(plan, executions)
    return executions


@pytest.mark.parametrize("points", _parted(POINTS, 4), ids="-".join)
async def test_a_kill_at_any_point_of_a_plan_is_survived(points: Sequence[str], tmp_path: Path) -> None:
    installation = _mocked(tmp_path)
    before: list[tuple[PlanSpec, str]] = []
    for seed, point in enumerate(points):
        async with installation.server() as server:
            for spec, name in before:
                await _finished(installation, spec, name)
            before = [(_spec(seed), point)]
            installation.kill_at(point, POINTS[point])
            await installation.submit(*before[0])
            assert await installation.killed(server), point
            installation.spare()
    async with installation.server():
        await _finished(installation, *before[0])


async def test_a_kill_while_results_are_used_again_is_survived(tmp_path: Path) -> None:
    installation = _mocked(tmp_path)
    before = "first"
    for point, count in REUSE_POINTS.items():
        async with installation.server() as server:
            await _check_reused(installation, before)
            installation.kill_at(point, count)
            before = point
            await installation.submit(_spec(), point)
            assert await installation.killed(server), point
            installation.spare()
    async with installation.server():
        await _check_reused(installation, before)


async def _check_reused(installation: Installation, name: str) -> None:
    for each in await _finished(installation, _spec(), name):
        assert each.memo is not None
        assert each.memo.hit is (name != "first")


async def test_a_server_that_is_killed_again_and_again_gets_there(tmp_path: Path) -> None:
    installation = _mocked(tmp_path)
    for point in ("claimed", "placed", "collected", "prepared", "settled", "committed", "saved"):
        installation.kill_at(point)
        async with installation.server() as server:
            await installation.submit(_spec(), "drill")
            assert await installation.killed(server)
    installation.spare()
    async with installation.server():
        await _finished(installation, _spec(), "drill")
