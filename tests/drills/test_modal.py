"""An executor that is killed around its sandboxes of Modal takes them up: none is made twice, none stays."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.drills import shell
from tests.drills.installation import Installation
from tests.fakes.modal import TOKEN, FakeModal, Fault
from tests.fakes.modal.faults import AFTER, BEFORE

pytestmark = [pytest.mark.drill, pytest.mark.slow]

WIDTH = 2
PATIENCE_S = 60.0
REQUEST_ID = "modal"
SPEC = shell.spec(width=WIDTH, runtime="modal")
IMAGE = {"oci": "registry.example/step@sha256:" + "a" * 64}


@pytest.fixture
def fake() -> Iterator[FakeModal]:
    with FakeModal() as made:
        yield made
        assert made.hub.missing == set()


@pytest.fixture
def installation(fake: FakeModal, tmp_path: Path) -> Installation:
    return Installation(
        tmp_path,
        THEORY_EXECUTOR_RUNTIMES="modal",
        THEORY_EXECUTOR_DEFAULT_RUNTIME="modal",
        THEORY_EXECUTOR_MODAL_URL=f"modal://main?server={fake.url}",
        THEORY_EXECUTOR_MODAL_SECRET=":".join(TOKEN),
    )


def _any(request: Any) -> bool:
    return True


def _command(word: str) -> Callable[[Any], bool]:
    return lambda request: any(word in each for each in request.command_args)


@pytest.mark.parametrize(
    ("rpc", "when", "of"),
    [
        pytest.param("SandboxCreateV2", BEFORE, _any, id="about to be made"),
        pytest.param("SandboxCreateV2", AFTER, _any, id="made, and nobody knows"),
        pytest.param("TaskExecStart", AFTER, _command("WriteFile"), id="its files on their way"),
        pytest.param("TaskExecStart", BEFORE, _command("left=$1"), id="about to be told to go"),
        pytest.param("TaskExecStart", BEFORE, _command("ListFiles"), id="ended, and not collected"),
        pytest.param("TaskExecStart", AFTER, _command("ReadFile"), id="half collected"),
        pytest.param("SandboxTerminateV2", BEFORE, _any, id="collected, and still there"),
        pytest.param("SandboxTerminateV2", AFTER, _any, id="gone, and nobody knows"),
    ],
)
async def test_an_executor_killed_at_a_call_of_modal_takes_its_sandboxes_up(
    rpc: str, when: str, of: Callable[[Any], bool], fake: FakeModal, installation: Installation
) -> None:
    """I-174."""
    async with installation.server() as server:

        def kill(request: object) -> bool:
            if found := of(request):
                os.kill(server.pid, signal.SIGKILL)
            return found

        fake.hub.faults.arm(Fault(rpc, when, match=kill))
        await _submit(installation, seconds=0.2)
        assert await installation.killed(server)
    await _taken_up(fake, installation)


async def test_an_executor_killed_while_its_sandboxes_run_takes_them_up(
    fake: FakeModal, installation: Installation
) -> None:
    """I-174."""
    async with installation.server() as server:
        await _submit(installation, seconds=4)
        async with asyncio.timeout(PATIENCE_S):
            while _begun(fake) < WIDTH:  # noqa: ASYNC110 - only the disk tells
                await asyncio.sleep(0.05)
        server.kill()
        assert await installation.killed(server)
    assert len(_running(fake)) == WIDTH
    await _taken_up(fake, installation)


async def _submit(installation: Installation, *, seconds: float) -> None:
    await installation.publish(shell.drafts(image=IMAGE, command=shell.command(seconds=seconds)))
    await installation.submit(SPEC, REQUEST_ID)


async def _taken_up(fake: FakeModal, installation: Installation) -> None:
    """The next executor ends the plan with the sandboxes of the first."""
    async with installation.server():
        plan_id = await installation.submit(SPEC, REQUEST_ID)  # the first may have died before it answered
        assert plan_id is not None
        plan, executions = await installation.finish(plan_id)
        assert plan.state == "succeeded", (plan.failure, executions)
        assert [each.attempt_idx for each in executions] == [0] * WIDTH, "taken up, not started again"
        await installation.check(plan, executions)
        assert fake.call(lambda: len(fake.plane.sandboxes)) == WIDTH
        async with asyncio.timeout(PATIENCE_S):
            while _running(fake):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)


def _running(fake: FakeModal) -> list[str]:
    return fake.call(lambda: [each.sandbox_id for each in fake.plane.sandboxes.values() if each.running])


def _begun(fake: FakeModal) -> int:
    folders = fake.call(lambda: list(fake.processes.folders.values()))
    return sum(len(list(each.glob("work/out/**/begun.txt"))) for each in folders)
