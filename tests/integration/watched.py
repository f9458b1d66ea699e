"""An installation under watch: it logs all it can, every wire is tapped, and everything that is said is kept."""

import asyncio
import http.client
import os
import socket
import sys
import traceback
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any, NamedTuple, cast

import grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.integration.command_line import CommandLine, Ended, command_line
from tests.integration.processes import EMBEDDED, PROCESSES, ROOT, SERVICES, Installation, Processes
from tests.integration.sweeping import Engine, Piece, cells, files, processes
from tests.integration.wires import Wires
from theory.core.errors import TheoryError
from theory.sdk.client import Theory
from theory.wire.home import socket_url

METRICS = "metrics, probes and reflection"
PLACES = ("files", "cells", "logs", "command line", "errors", "wires", "processes", METRICS, "engine")
"""Where a canary is looked for."""


class Admin(NamedTuple):
    """Where a process serves its operators."""

    port: int
    socket: Path

    @property
    def urls(self) -> str:
        """As the setting is written."""
        return f"http://127.0.0.1:{self.port},unix://{self.socket}"


class Talkative(Processes):
    """Processes that log whatever can be logged, each with an environment of its own."""

    def __init__(
        self, deployment: str, home: Path, variables: Mapping[str, Mapping[str, str]], admins: Mapping[str, "Admin"]
    ) -> None:
        super().__init__(deployment, home)
        self._variables = variables
        self._admins = admins

    @property
    def admins(self) -> dict[str, "Admin"]:
        """Where those that run serve their operators."""
        return {name: self._admins[name] for name in self._running}

    @property
    def pids(self) -> dict[int, str]:
        """Which processes of the machine they are."""
        return {process.pid: f"the process {name}" for name, process in self._running.items()}

    async def _begun(self, name: str) -> asyncio.subprocess.Process:
        module = "services" if name == "theory" else f"services.{name}"
        with (self.home / f"{name}.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.integration.talkative", module),
                cwd=ROOT,
                env={"PATH": os.environ["PATH"], "THEORY_HOME": str(self.home), **self._variables[name]},
                stdout=log,
                stderr=log,
            )


class House:
    """The installation, its client and its command line; and what can be found of it, place by place."""

    def __init__(self, folder: Path, processes: Talkative, wires: Wires, theory: Theory, command: CommandLine) -> None:
        self.folder = folder
        self.home = processes.home
        self.processes = processes
        self.wires = wires
        self.theory = theory
        self.installation = Installation(processes, theory)
        self.engine: Engine | None = None
        self.command = command
        self._said: list[Piece] = []
        self._errors: list[Piece] = []

    async def say(self, *arguments: str) -> Ended:
        """Run a command line, and keep what it answers."""
        ended = await self.command(*arguments)
        self._said.append(Piece(f"theory {' '.join(arguments)}", ended.out + ended.err))
        return ended

    def keep_error(self, doing: str, error: TheoryError) -> None:
        """Keep an error as a caller sees it."""
        whole = "".join(traceback.format_exception(error))
        self._errors.append(Piece(f"error of {doing}", f"{whole}{error!r}{error.metadata}"))

    async def look(self) -> dict[str, Iterator[Piece]]:
        """What there is now, by place."""
        everything = list(files(self.folder))
        metrics = await self._metrics()
        return {
            "files": (each for each in everything if ".log" not in each.where),
            "logs": (each for each in everything if ".log" in each.where),
            "cells": cells(self.home),
            "command line": iter(self._said),
            "errors": iter(self._errors),
            "wires": self.wires.pieces(),
            "processes": processes(self.processes.pids),
            METRICS: iter(metrics),
            "engine": iter(()) if self.engine is None else self.engine.pieces(),
        }

    async def _metrics(self) -> list[Piece]:
        pieces = []
        for name, (port, path) in self.processes.admins.items():
            for page in ("metrics", "live", "ready"):
                with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as asking:
                    asking.request("GET", f"/{page}")
                    pieces.append(Piece(f"{page} of {name}", asking.getresponse().read()))
            async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
                stub: Any = reflection_pb2_grpc.ServerReflectionStub(cast("grpc.Channel", channel))
                asked = [
                    reflection_pb2.ServerReflectionRequest(list_services=""),
                    reflection_pb2.ServerReflectionRequest(
                        file_containing_symbol="theory.api.resources.v1.SecretService"
                    ),
                ]
                answers = [each async for each in stub.ServerReflectionInfo(iter(asked))]
                pieces += [Piece(f"reflection of {name}", each.SerializeToString()) for each in answers]
        return pieces


@asynccontextmanager
async def watched(
    deployment: str, folder: Path, *, variables: Mapping[str, str], secret_variables: Mapping[str, str]
) -> AsyncIterator[House]:
    """An installation below `folder`, started. `secret_variables` are given to the process of secrets alone."""
    home, user, temporary, sockets = (folder / each for each in ("home", "user", "tmp", "wires"))
    for each in (home, user, temporary, sockets):
        each.mkdir(mode=0o700)
    own = {name: socket_url(home, "theory" if deployment == EMBEDDED else name) for name in SERVICES}
    callers = ["client"] if deployment == EMBEDDED else ["client", *SERVICES]
    async with AsyncExitStack() as stack:
        wires = await stack.enter_async_context(Wires.laid(sockets, callers, own))
        admins = {name: Admin(_free_port(), sockets / f"{name}.admin.sock") for name in PROCESSES[deployment]}
        environments = {
            name: {
                "HOME": str(user),
                "TMPDIR": str(temporary),
                f"THEORY_{'SERVICES' if name == 'theory' else name.upper()}_ADMIN_URL": admin.urls,
                **_peers(name, own, wires),
                **variables,
                **(secret_variables if name in {"theory", "resources"} else {}),
            }
            for name, admin in admins.items()
        }
        running = Talkative(deployment, home, environments, admins)
        stack.push_async_callback(running.kill)
        await running.start()
        urls = wires.urls("client")
        theory = await stack.enter_async_context(Theory.connect(urls["executor"], url_by_service=urls))
        (folder / "user" / "plans").mkdir()
        command = await stack.enter_async_context(command_line(home, folder / "user" / "plans"))
        yield House(folder, running, wires, theory, command)


def _peers(name: str, own: Mapping[str, str], wires: Wires) -> dict[str, str]:
    if name == "theory":
        return {}
    urls = {**wires.urls(name), name: own[name]}
    return {f"THEORY_{service.upper()}_URL": url for service, url in urls.items()}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
