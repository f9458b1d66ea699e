"""A server of this machine for tests: started, killed and started again on what its directory holds."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import psutil

from tests.backends import require

READY_S = 30.0
STOP_S = 10.0
_POLL_S = 0.02

AWS_REGION = "eu-central-1"
AWS_VARIABLES: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "theory",
    "AWS_SECRET_ACCESS_KEY": "theory-theory",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""What a process needs in its environment to be a client of `aws_emulator`, and of a bucket."""


class Server(ABC):
    """A server of this machine. Entering it returns once it does what it is for."""

    name: ClassVar[str]
    """What THEORY_REQUIRE calls it."""

    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    url: str
    """Where it answers; the same from entering to leaving, also after `restart`."""

    home: Path
    """Its directory, which `restart` keeps and leaving removes."""

    _child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        require(self.name, self.missing())
        # A socket's path holds about a hundred bytes: never below the deep folders of pytest.
        self.home = Path(tempfile.mkdtemp(prefix="theory-"))
        try:
            self._prepare()
            self.restart()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._leave()

    def restart(self) -> None:
        """Start it again, on what its directory holds, and return when it is ready. It must not be running."""
        with (self.home / "log").open("ab") as log:
            self._child = subprocess.Popen(
                self._command(), env={**os.environ, **self._variables()}, cwd=self.home, stdout=log, stderr=log
            )
        deadline = time.monotonic() + READY_S
        while not self._ready():
            try:
                self._child.wait(_POLL_S)
            except subprocess.TimeoutExpired:
                if time.monotonic() < deadline:
                    continue
            said = (self.home / "log").read_text("utf-8", "replace")[-2000:]
            raise RuntimeError(f"{self.name} did not get ready within {READY_S:g} s:\n{said}")

    def kill(self) -> None:
        """End it as a crash does, with all its processes: nothing is flushed, nobody is told."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in good order."""
        self._end(self.stop_signal)

    def _end(self, number: signal.Signals) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        family = psutil.Process(child.pid).children(recursive=True) if child.poll() is None else []
        child.send_signal(number)
        try:
            child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        for each in family:
            if each.is_running():
                each.kill()
        psutil.wait_procs(family, STOP_S)

    def _leave(self) -> None:
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    @abstractmethod
    def missing(self) -> str | None:
        """None where this machine has it, else what was looked for."""

    @abstractmethod
    def _prepare(self) -> None:
        """Fill the new directory and set `url`."""

    def _variables(self) -> dict[str, str]:
        return {}

    @abstractmethod
    def _command(self) -> list[str]: ...

    @abstractmethod
    def _ready(self) -> bool: ...


def free_port() -> int:
    """A port of loopback that nobody holds, below those that the system gives to outgoing connections."""
    for port in range(20_000 + os.getpid() % 10_000, 32_768):
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no port is free")
