"""Processes of the fake's sandboxes: what they print can be read by anyone from any place."""

import asyncio
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol, Self

_PART = 64 * 1024
FILE_TOOL = "/__modal/.bin/modal-sandbox-fs-tools"
_in_work = re.compile(r"/work\b").sub


class Printed:
    """A stream of bytes that grows until it is closed."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._closed = False
        self._changed = asyncio.Event()

    def add(self, data: bytes) -> None:
        self._data += data
        self._wake()

    def close(self) -> None:
        self._closed = True
        self._wake()

    async def behind(self, offset: int) -> AsyncIterator[tuple[int, bytes]]:
        """Parts with their offsets, until it is closed."""
        while True:
            changed = self._changed
            if part := bytes(self._data[offset : offset + _PART]):
                yield offset, part
                offset += len(part)
            elif self._closed:
                return
            else:
                await changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Process:
    """A child with all that it starts."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child
        self.stdout, self.stderr = Printed(), Printed()
        self.fed_bytes, self.fed_all = 0, False
        self.ended = asyncio.create_task(self._run())

    @classmethod
    async def start(cls, command: Sequence[str], variables: Mapping[str, str], folder: Path) -> Self:
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(
            *command, env=dict(variables), cwd=folder, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        )
        return cls(child)

    async def feed(self, data: bytes, *, last: bool) -> None:
        stdin = self._child.stdin
        if stdin is None:
            return
        self.fed_bytes, self.fed_all = self.fed_bytes + len(data), last
        with suppress(ConnectionError):
            if data:
                stdin.write(data)
                await stdin.drain()
            if last:
                stdin.close()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)

    async def _run(self) -> int:
        async def pump(stream: asyncio.StreamReader | None, printed: Printed) -> None:
            while stream is not None and (data := await stream.read(_PART)):
                printed.add(data)
            printed.close()

        await asyncio.gather(pump(self._child.stdout, self.stdout), pump(self._child.stderr, self.stderr))
        return await self._child.wait()


class Runner(Protocol):
    """Where sandboxes run."""

    async def begin(
        self, task_id: str, reference: str, command: Sequence[str], variables: Mapping[str, str]
    ) -> Process:
        """The main process of a new sandbox."""
        ...

    async def run(self, task_id: str, command: Sequence[str], variables: Mapping[str, str], folder: str) -> Process:
        """Another process in it."""
        ...

    def end(self, task_id: str) -> None:
        """Remove all of it."""
        ...


class ProcessRunner:
    """Processes of this machine. A sandbox has a folder for its `/work`, which its commands are told instead."""

    def __init__(self) -> None:
        self.folders: dict[str, Path] = {}
        self.variables: dict[str, Mapping[str, str]] = {}
        """What each sandbox was given."""

    async def begin(
        self, task_id: str, reference: str, command: Sequence[str], variables: Mapping[str, str]
    ) -> Process:
        root = self.folders[task_id] = Path(tempfile.mkdtemp(prefix="fake-sandbox-"))
        (root / "work").mkdir()
        self.variables[task_id] = dict(variables)
        return await self.run(task_id, command, {}, "")

    async def run(self, task_id: str, command: Sequence[str], variables: Mapping[str, str], folder: str) -> Process:
        root = self.folders[task_id]
        work = str(root / "work")
        told = [_in_work(work, each) for each in command]
        if command[0] == FILE_TOOL:
            told = [sys.executable, str(Path(__file__).with_name("file_tool.py")), *told[1:]]
        given = {"PATH": os.environ["PATH"], **self.variables[task_id], **variables, "THEORY_WORK_DIR": work}
        return await Process.start(told, given, root)

    def end(self, task_id: str) -> None:
        if (folder := self.folders.pop(task_id, None)) is not None:
            shutil.rmtree(folder, ignore_errors=True)
