"""A dispatch that is killed between fixing its chunks and running reads what was recorded, whatever was appended."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.drills.alone import alone
from tests.drills.installation import Installation
from theory.core.chunk import chunk_path
from theory.core.cid import Cid
from theory.core.errors import TheoryError
from theory.core.ids import PlanId
from theory.core.plan import PlanSpec
from theory.core.stream import AskedLimits
from theory.core.world_path import WorldPath
from theory.sdk.client import Theory
from theory.sdk.verify import verify_plan
from theory.wire.home import socket_url

pytestmark = [pytest.mark.drill, pytest.mark.slow]

WORLD, SERIES, KEPT = "studio", "/streams/camera/frames", 3
BEFORE, AFTER = [0, 1, 2], [3, 4, 5]
READ = {
    "fixed": AFTER,  # of this list nobody knew
    "fixed_recorded": BEFORE,
    "placed": BEFORE,
}


def _frame(idx: int) -> bytes:
    return f"frame {idx}".encode()


async def _append(theory: Theory, idxs: list[int]) -> None:
    frames = [_frame(idx) for idx in idxs]
    limits = AskedLimits(max_chunks=KEPT)
    await theory.streams.append_many(WORLD, SERIES, frames, expected_idx=idxs[0], limits=limits)


async def _append_alone(home: Path, idxs: list[int]) -> None:
    """Start the artifacts alone, so that nobody carries a plan on, and append."""
    async with (
        alone("artifacts", home) as process,
        asyncio.timeout(60),
        Theory.connect(url_by_service={"artifacts": socket_url(home, "artifacts")}) as theory,
    ):
        while process.returncode is None:
            try:
                await theory.streams.capabilities()
            except (TheoryError, TimeoutError):
                await asyncio.sleep(0.05)
            else:
                break
        await _append(theory, idxs)


def _spec() -> PlanSpec:
    reading = {"id": "digest", "processor": "stream/digest@1", "reads": [f"{SERIES}/**"]}
    return PlanSpec.parse({"name": "drill", "runtime": "mock", "world": WORLD, "transitions": [reading]})


async def _read(theory: Theory, plan_id: PlanId) -> list[tuple[str, str]]:
    [receipt] = [each async for each in theory.ledger.receipts(plan_id) if each.kind == "settle" and each.final]
    listed: Any = receipt.document["input_cids"]
    return [(each["path"], each["cid"]) for each in listed]


@pytest.mark.parametrize("point", READ)
async def test_a_list_that_was_recorded_is_kept_over_a_kill(point: str, tmp_path: Path) -> None:
    """I-76, I-134, I-135."""
    installation = Installation(tmp_path, THEORY_EXECUTOR_RUNTIMES="mock", THEORY_EXECUTOR_DEFAULT_RUNTIME="mock")
    installation.kill_at(point)
    async with installation.server() as server:
        async with Theory.connect(installation.url) as theory:
            await _append(theory, BEFORE)
        await installation.submit(_spec(), "drill")
        assert await installation.killed(server)
    installation.spare()
    await _append_alone(tmp_path, AFTER)
    async with installation.server():
        plan_id = await installation.submit(_spec(), "drill")
        assert plan_id is not None
        plan, executions = await installation.finish(plan_id)
        assert plan.state == "succeeded", executions
        await installation.check(plan, executions)
        series = WorldPath.parse(SERIES)
        async with Theory.connect(installation.url) as theory:
            assert await _read(theory, plan_id) == [
                (chunk_path(series, idx).text, Cid.of(_frame(idx)).text) for idx in READ[point]
            ]
            for idx in BEFORE:
                assert await theory.artifacts.get_blob(Cid.of(_frame(idx))) == _frame(idx)
            assert (await verify_plan(theory, plan_id.text)).ok
