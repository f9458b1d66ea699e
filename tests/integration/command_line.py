"""The command `theory`, many times in one process of its own: starting Python for each would take most of the time."""

import asyncio
import contextlib
import io
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from theory.core import jcs

ROOT = Path(__file__).parents[2]
_LINE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Ended:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What a command said that was asked for JSON."""
        return jcs.parse(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The error document of a command that was asked for JSON."""
        document = json.loads(self.err)
        assert document["exit_code"] == self.code
        found: dict[str, Any] = document["error"]
        return found


class CommandLine:
    """The command, used on one home, in a folder of its own."""

    def __init__(self, process: asyncio.subprocess.Process, home: Path, folder: Path) -> None:
        self._process = process
        self._home = home
        self.folder = folder

    async def __call__(self, *arguments: str, stdin: bytes = b"") -> Ended:
        """Run one command line; whatever goes wrong, nobody sees a stack."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {"arguments": ["--home", str(self._home), *arguments], "stdin": stdin.decode("latin-1")}
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        await self._process.stdin.drain()
        ended = Ended(**json.loads(await self._process.stdout.readline()))
        assert "Traceback" not in ended.out + ended.err, ended
        return ended

    async def run(self, plan: str, *options: str) -> Ended:
        """`theory run`, of a plan with this text."""
        (self.folder / "plan.yaml").write_text(plan)
        return await self("run", "plan.yaml", *options)


@asynccontextmanager
async def command_line(home: Path, folder: Path) -> AsyncIterator[CommandLine]:
    """The command on the installation in `home`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.command_line", str(folder)),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LINE_BYTES,
    )
    try:
        yield CommandLine(process, home, folder)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


def _answer(arguments: list[str], stdin: str) -> dict[str, Any]:
    from theory.cli.app import main  # noqa: PLC0415 - a test imports this module for its client alone

    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    given = io.TextIOWrapper(io.BytesIO(stdin.encode("latin-1")), "utf-8")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), patch.object(sys, "stdin", given):
        code = main(arguments)
    return {"code": code, "out": _text(out), "err": _text(err)}


def _text(stream: io.TextIOWrapper) -> str:
    written = stream.buffer
    assert isinstance(written, io.BytesIO)
    return written.getvalue().decode()


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    for _line in sys.stdin:
        sys.stdout.write(json.dumps(_answer(**json.loads(_line))) + "\n")
        sys.stdout.flush()
