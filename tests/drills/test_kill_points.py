"""A server that is killed with SIGKILL at any named point, and started again, finishes what it began."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.drills.installation import ROOT, Installation
from tests.drills.matrix import POINTS, mocked, pairs_from, run, spec
from theory.core.plan import PlanSpec
from theory.sdk.views import ExecutionView

pytestmark = [pytest.mark.drill, pytest.mark.slow]

STREAM_POINTS = {"fixed", "fixed_recorded"}
"""Those of plans that read streams: tests/drills/test_stream_reads.py."""
REUSE_POINTS = {"reuse_prepared": 2, "reuse_settled": 2, "committed": 2, "saved": 2}


def _parted(points: Mapping[str, int], size: int) -> list[list[str]]:
    """What one test does; each goes to whoever has time."""
    return [list(points)[start : start + size] for start in range(0, len(points), size)]


async def _finished(installation: Installation, submitted: PlanSpec, name: str) -> list[ExecutionView]:
    """Of a plan that was submitted before, all there is to check."""
    plan_id = await installation.submit(submitted, name)
    assert plan_id is not None
    plan, executions = await installation.finish(plan_id)
    assert plan.state == "succeeded", name
    await installation.check(plan, executions)
    return executions


@pytest.mark.parametrize("points", _parted(POINTS, 4), ids="-".join)
async def test_a_kill_at_any_point_of_a_plan_is_survived(points: Sequence[str], tmp_path: Path) -> None:
    installation = mocked(tmp_path)
    before: list[tuple[PlanSpec, str]] = []
    for seed, point in enumerate(points):
        async with installation.server() as server:
            for submitted, name in before:
                await _finished(installation, submitted, name)
            before = [(spec(seed), point)]
            installation.kill_at(point, POINTS[point])
            await installation.submit(*before[0])
            assert await installation.killed(server), point
            installation.spare()
    async with installation.server():
        await _finished(installation, *before[0])


async def test_a_kill_while_results_are_used_again_is_survived(tmp_path: Path) -> None:
    installation = mocked(tmp_path)
    before = "first"
    for point, count in REUSE_POINTS.items():
        async with installation.server() as server:
            await _check_reused(installation, before)
            installation.kill_at(point, count)
            before = point
            await installation.submit(spec(), point)
            assert await installation.killed(server), point
            installation.spare()
    async with installation.server():
        await _check_reused(installation, before)


async def _check_reused(installation: Installation, name: str) -> None:
    for each in await _finished(installation, spec(), name):
        assert each.memo is not None
        assert each.memo.hit is (name != "first")


async def test_a_server_that_is_killed_again_and_again_gets_there(tmp_path: Path) -> None:
    installation = mocked(tmp_path)
    for point in ("claimed", "placed", "collected", "prepared", "settled", "committed", "saved"):
        installation.kill_at(point)
        async with installation.server() as server:
            await installation.submit(spec(), "drill")
            assert await installation.killed(server)
    installation.spare()
    async with installation.server():
        await _finished(installation, spec(), "drill")


def test_no_point_is_left_out() -> None:
    source = "".join(path.read_text() for path in (ROOT / "services" / "executor").rglob("*.py"))
    assert set(re.findall(r'_?reach\("(\w+)"\)', source)) == POINTS.keys() | REUSE_POINTS.keys() | STREAM_POINTS


@pytest.mark.long
@pytest.mark.parametrize("first", POINTS)
async def test_a_kill_at_every_pair_of_points_is_survived(first: str, tmp_path: Path) -> None:
    figures = await run(tmp_path, pairs_from([first]))
    assert figures.pairs == len(POINTS)
    assert figures.kills > figures.pairs
