"""An executor that is killed and does not come back: what it left running ends when its time is up."""

import asyncio
from pathlib import Path

import psutil
import pytest

from tests.drills import shell
from tests.drills.engine import BASE, drilled_engine
from tests.drills.installation import Installation
from theory.core.receipt import AttemptOutcome

pytestmark = [pytest.mark.docker, pytest.mark.drill, pytest.mark.long]

PATIENCE_S = 60.0
TIMEOUT_S = 3


def _watchmen(home: Path) -> list[int]:
    found = psutil.process_iter(["pid", "cmdline"])
    return [each.pid for each in found if f"{home}/executor/watchman.pid" in (each.info["cmdline"] or [])]


async def test_a_container_of_a_killed_executor_ends_by_itself(tmp_path: Path) -> None:
    """I-178."""
    async with drilled_engine(keeps_containers=False) as engine:
        shell.write_context(tmp_path / "contexts", seconds=600)
        home = tmp_path / "home"
        home.mkdir()
        installation = Installation(
            home,
            THEORY_EXECUTOR_RUNTIMES="local",
            THEORY_EXECUTOR_DEFAULT_RUNTIME="local",
            THEORY_EXECUTOR_BUILD_ROOT=str(tmp_path / "contexts"),
            THEORY_EXECUTOR_BASE_IMAGE=BASE,
            THEORY_EXECUTOR_ENGINE_URL=engine.url,
        )
        async with installation.server() as server:
            await installation.publish(shell.drafts(timeout_s=TIMEOUT_S))
            plan_id = await installation.submit(shell.spec(width=2), "shell")
            assert plan_id is not None
            async with asyncio.timeout(PATIENCE_S):
                while len((await engine.docker("ps", "--quiet")).split()) < 2:  # noqa: ASYNC110 - only the engine tells
                    await asyncio.sleep(0.05)
            server.kill()
            assert await installation.killed(server)
        assert len(_watchmen(home)) == 1
        async with asyncio.timeout(PATIENCE_S):
            while True:
                if not await engine.docker("ps", "--quiet"):
                    break
                await asyncio.sleep(0.2)
            while _watchmen(home):  # noqa: ASYNC110 - it ends with the last of them
                await asyncio.sleep(0.2)
        # What it had left is judged as if the executor had done it.
        async with installation.server():
            _, executions = await installation.finish(plan_id)
            assert [each.outcome for each in executions] == [AttemptOutcome.TIMED_OUT] * 2
