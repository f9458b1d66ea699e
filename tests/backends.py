"""Which real backends this machine has, and what a test does where one is missing: skip loudly, or fail in CI."""

import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest

REQUIRED = "THEORY_REQUIRE"
"""The variable that names, comma-separated, the backends that must be here; `all` names each."""

PREFIX = "backend missing: "
"""What a loud skip begins with; the terminal summary collects them by it."""


def require(name: str, missing: str | None) -> None:
    """Go on if `missing` is None; otherwise skip loudly, or fail where THEORY_REQUIRE names the backend.

    `missing` says in a few words what was looked for: `require("docker", docker_missing())`.
    """
    if missing is None:
        return
    required = {each.strip() for each in os.environ.get(REQUIRED, "").split(",")}
    if required & {name, "all"}:
        pytest.fail(f"{name} is required here ({REQUIRED}), but {missing}", pytrace=False)
    pytest.skip(f"{PREFIX}{name}: {missing}")


@functools.cache
def docker_missing() -> str | None:
    """None where a Docker Engine answers, at DOCKER_HOST or its usual socket; else what is wrong."""
    client = shutil.which("docker")
    if client is None:
        return "there is no docker command"
    try:
        asked = subprocess.run(
            [client, "version", "--format", "{{.Server.Version}}"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "the engine does not answer within 20 s"
    return None if asked.returncode == 0 else "no engine answers (deploy/engine.sh starts one)"


def docker_url() -> str:
    """The address of the engine that `docker_missing` asked."""
    return os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")


def program_missing(name: str, *, beside: Path | None = None) -> str | None:
    """None where the program is on the PATH, or in the folder `beside`; else that it is not."""
    folders = [str(beside or ""), os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]
    path = os.pathsep.join(filter(None, folders))
    return None if shutil.which(name, path=path) else f"there is no {name} on the PATH"
