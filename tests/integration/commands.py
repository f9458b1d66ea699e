"""The command `theory` on an installation of its own, in a folder with two files and a plan."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.embedded import Embedded, embedded
from tests.integration.command_line import CommandLine, Ended, command_line

PLAN = """\
name: letters
seed: 7
files: {/artifacts/inputs/: "*.txt"}
transitions:
  - id: upper
    processor: test/step@1
    for_each: {files: /artifacts/inputs/**}
    inputs: {path: "${item.path}"}
    reads: ["${item.path}"]
  - {id: report, processor: test/step@1, needs: [upper], inputs: {title: Letters}, reads: [/artifacts/outputs/**]}
"""


@dataclass
class Command:
    """The command, used on one installation."""

    installation: Embedded
    line: CommandLine

    @property
    def folder(self) -> Path:
        """Where it is used."""
        return self.line.folder

    async def __call__(self, *arguments: str, stdin: bytes = b"") -> Ended:
        """In a process that has run others before: starting Python for each would take most of the time."""
        return await self.line(*arguments, stdin=stdin)

    async def ok(self, *arguments: str, stdin: bytes = b"") -> Ended:
        ended = await self(*arguments, stdin=stdin)
        assert ended.code == 0, ended
        return ended

    async def started(self, *arguments: str, stdin: bytes = b"") -> Ended:
        """In a process of its own, as people start it."""
        home = ("--home", str(self.installation.home))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "theory.cli", *home, *arguments),
            cwd=self.folder,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate(stdin)
        assert b"Traceback" not in err, err.decode()
        assert process.returncode is not None
        return Ended(process.returncode, out.decode(), err.decode())


@asynccontextmanager
async def commanded(tmp_path_factory: pytest.TempPathFactory, *, memory: bool = True) -> AsyncIterator[Command]:
    """The command, against five services that keep their state in memory or on the disk."""
    folder = tmp_path_factory.mktemp("w")
    (folder / "plan.yaml").write_text(PLAN)
    (folder / "a.txt").write_bytes(b"a")
    (folder / "b.txt").write_bytes(b"b")
    home = tmp_path_factory.mktemp("h")
    home.chmod(0o700)
    async with embedded(home, memory=memory) as installation, command_line(home, folder) as line:
        yield Command(installation, line)
