"""Executors on one Postgres that are asked for the same at once: one makes it, and if it dies the other one does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.backends import require
from tests.drills import slow
from tests.drills.replicas import PATIENCE_S, Replicas, replicas
from tests.servers import Postgres
from theory.core.errors import TheoryError
from theory.core.ids import PlanId

pytestmark = [pytest.mark.drill, pytest.mark.slow]

WIDTH = 3
SECONDS = 3


@asynccontextmanager
async def _asked(tmp_path: Path) -> AsyncIterator[tuple[Replicas, list[PlanId]]]:
    """Two executors, each with a plan that is equal to the other's; what they share has begun at the first."""
    server = Postgres()
    require("postgres", server.missing())
    slow.write_context(tmp_path / "contexts")
    settings = {"THEORY_EXECUTOR_BUILD_ROOT": str(tmp_path / "contexts")}
    with server:
        async with replicas(tmp_path, server.url, ("a", "b"), **settings) as drill:
            async with drill.client("a") as theory:
                for answer in await theory.registry.publish_many([slow.draft()]):
                    assert not isinstance(answer, TheoryError)
            spec = slow.spec("process", width=WIDTH, seconds=SECONDS)
            plan_ids = [await drill.submit("a", spec, "a")]
            begun = drill.homes["a"] / "executor" / "attempts"
            async with asyncio.timeout(PATIENCE_S):
                while len(list(begun.glob("*/out/artifacts/outputs/slow/*/begun.txt"))) < WIDTH:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            plan_ids.append(await drill.submit("b", spec, "b"))
            yield drill, plan_ids


async def _hits(drill: Replicas, name: str, plan_ids: list[PlanId]) -> list[int]:
    """How many executions of each plan took a result, once all have ended well."""
    hits = []
    for plan_id in plan_ids:
        plan, executions = await drill.finish(name, plan_id)
        assert plan.state == "succeeded", plan.failure
        assert await drill.faults(name, plan, executions) == []
        hits.append(sum(each.memo is not None and each.memo.hit for each in executions))
    return hits


async def test_what_two_are_asked_for_is_made_once(tmp_path: Path) -> None:
    """I-176."""
    async with _asked(tmp_path) as (drill, plan_ids):
        assert await _hits(drill, "b", plan_ids) == [0, WIDTH]


async def test_whoever_waits_for_one_that_is_killed_makes_it(tmp_path: Path) -> None:
    async with _asked(tmp_path) as (drill, plan_ids):
        await drill.kill("a")
        hits = await _hits(drill, "b", plan_ids)
        assert sum(hits) == WIDTH, "of each two one was made, whichever plan came first"
        await drill.start("a")
        async with asyncio.timeout(PATIENCE_S):
            while drill.left():  # noqa: ASYNC110 - only the disk tells
                await asyncio.sleep(0.05)
