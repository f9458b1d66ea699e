"""One service in a process of its own, to be killed."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.drills.installation import ROOT


@asynccontextmanager
async def alone(
    service: str, home: Path, *, module: str = "", **settings: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A running service, which may not answer yet; what is left of it at the end is killed.

    `module` runs in its place, where one is given.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("THEORY_")}
    with (home / f"{service}.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module or f"services.{service}"),
            cwd=ROOT,
            env={**environment, **settings, "THEORY_HOME": str(home)},
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
