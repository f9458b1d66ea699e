"""A server that is killed while its processors run finds them again: none is started twice, none is left behind."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.backends import docker_missing, docker_url, require
from tests.drills import slow
from tests.drills.installation import ROOT, Installation

pytestmark = [pytest.mark.drill, pytest.mark.slow]

_WIDTH = 3


async def _installation(runtime: str, tmp_path: Path) -> Installation:
    environment = {
        "THEORY_EXECUTOR_RUNTIMES": runtime,
        "THEORY_EXECUTOR_DEFAULT_RUNTIME": runtime,
        "THEORY_EXECUTOR_BUILD_ROOT": str(tmp_path / "contexts"),
    }
    if runtime == "local":
        require("docker", docker_missing())
        environment["THEORY_EXECUTOR_ENGINE_URL"] = docker_url()
        base = await asyncio.create_subprocess_exec(
            "sh",
            str(ROOT / "deploy" / "images" / "base.sh"),
            env={**os.environ, "DOCKER_HOST": docker_url()},
            stdout=asyncio.subprocess.DEVNULL,
        )
        assert await base.wait() == 0
    slow.write_context(tmp_path / "contexts")
    home = tmp_path / "home"
    home.mkdir()
    return Installation(home, **environment)


async def _until_all_run(home: Path) -> None:
    async with asyncio.timeout(60):
        while len(list((home / "executor" / "attempts").glob("*/out/artifacts/outputs/slow/*/begun.txt"))) < _WIDTH:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("runtime", ["process", pytest.param("local", marks=pytest.mark.docker)])
async def test_processors_outlive_a_killed_server_and_are_taken_up(runtime: str, tmp_path: Path) -> None:
    installation = await _installation(runtime, tmp_path)
    async with installation.server() as server:
        await installation.publish([slow.draft()])
        plan_id = await installation.submit(slow.spec(runtime, width=_WIDTH, seconds=4), "slow")
        assert plan_id is not None
        await _until_all_run(installation.home)
        server.kill()
        assert await installation.killed(server)
    async with installation.server():
        plan, executions = await installation.finish(plan_id)
        assert plan.state == "succeeded", plan.failure
        assert [each.attempt_idx for each in executions] == [0] * _WIDTH, "taken up, not started again"
        await installation.check(plan, executions)
