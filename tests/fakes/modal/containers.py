"""Sandboxes of the fake as containers of a real engine: their image by its digest, without a network."""

import asyncio
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.backends import docker_url
from tests.fakes.modal.processes import FILE_TOOL, Process

NAMES = f"fake-modal-{os.getpid()}-"
"""What their names begin with: others use the engine, too."""

_TOOL = "/__modal/file_tool.py"
_HERE = Path(__file__).parent


class ContainerRunner:
    """Containers. Their images have Python, which the fake's file tool needs."""

    async def begin(
        self, task_id: str, reference: str, command: Sequence[str], variables: Mapping[str, str]
    ) -> Process:
        name = f"{NAMES}{task_id}"
        tool = f"{_HERE / 'file_tool.py'}:{_TOOL}:ro"
        options = ("--name", name, "--network", "none", "--init", "--entrypoint", "", "--volume", tool)
        await _docker("pull", "--quiet", reference)
        await _docker("run", "--detach", *options, *_variables(variables), reference, *command)
        # It ends as the container does.
        return await Process.start(["sh", "-c", 'exit "$(docker wait "$0")"', name], _environment(), _HERE)

    async def run(self, task_id: str, command: Sequence[str], variables: Mapping[str, str], folder: str) -> Process:
        told = ["python3", _TOOL, *command[1:]] if command[0] == FILE_TOOL else command
        place = ("--workdir", folder) if folder else ()
        given = ("exec", "--interactive", *place, *_variables(variables), f"{NAMES}{task_id}", *told)
        return await Process.start(["docker", *given], _environment(), _HERE)

    def end(self, task_id: str) -> None:
        subprocess.run(["docker", "rm", "--force", f"{NAMES}{task_id}"], capture_output=True, check=True)


def _variables(variables: Mapping[str, str]) -> list[str]:
    return [f"--env={name}={value}" for name, value in variables.items()]


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "DOCKER_HOST": docker_url()}


async def _docker(*arguments: str) -> None:
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        "docker", *arguments, env=_environment(), stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
    )
    _, said = await child.communicate()
    if child.returncode:
        raise RuntimeError(said.decode(errors="replace")[-300:])
