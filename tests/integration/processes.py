"""An installation as its users start it: one process of five services, or five processes of one each."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.embedded import Ran
from theory.core.ids import ExecutionId, PlanId, RequestId
from theory.core.jcs import JSON
from theory.core.plan import PlanFile, PlanSpec
from theory.core.world_path import WorldPath
from theory.sdk.client import Theory
from theory.sdk.views import ExecutionView, PlanView
from theory.wire.home import socket_url
from theory.wire.identity import Role, ServiceKeys

ROOT = Path(__file__).parents[2]
SERVICES = ("ledger", "registry", "artifacts", "resources", "executor")
EMBEDDED, SPLIT = "embedded", "split"
PROCESSES: Mapping[str, tuple[str, ...]] = {EMBEDDED: ("theory",), SPLIT: SERVICES}
"""The processes of each deployment, by the name of their socket."""

START_S = 60.0
STOP_S = 15.0
_EAGER = (("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 100))
_VARIABLES = {"THEORY_EXECUTOR_RUNTIMES": "mock", "THEORY_EXECUTOR_DEFAULT_RUNTIME": "mock"}


class Processes:
    """The processes of one installation, which may be stopped and started one by one."""

    def __init__(self, deployment: str, home: Path) -> None:
        self.deployment = deployment
        self.home = home
        self._running: dict[str, asyncio.subprocess.Process] = {}

    @property
    def urls(self) -> dict[str, str]:
        """Where each service answers."""
        return {name: socket_url(self.home, "theory" if self.deployment == EMBEDDED else name) for name in SERVICES}

    async def start(self, names: Iterable[str] | None = None) -> None:
        """Start processes, by the names of their sockets, and return once all their services are ready."""
        names = tuple(names or PROCESSES[self.deployment])
        for name in names:
            self._running[name] = await self._begun(name)
        async with asyncio.timeout(START_S):
            await asyncio.gather(*(self._ready(name) for name in names))

    async def stop(self, names: Iterable[str] | None = None, *, number: int = signal.SIGTERM) -> dict[str, int]:
        """Send processes a signal, all at once, and return how each ended."""
        stopping = {name: self._running.pop(name) for name in tuple(names or self._running)}
        for process in stopping.values():
            process.send_signal(number)
        async with asyncio.timeout(STOP_S):
            return {name: await process.wait() for name, process in stopping.items()}

    async def kill(self) -> None:
        """End whatever still runs."""
        for process in self._running.values():
            if process.returncode is None:
                process.kill()
            await process.wait()
        self._running.clear()

    async def second(self, name: str) -> int:
        """Start a process once more, though it runs, and return how that ended."""
        process = await self._begun(name)
        async with asyncio.timeout(START_S):
            return await process.wait()

    def log(self, name: str) -> str:
        """What a process wrote."""
        return (self.home / f"{name}.log").read_text()

    def token(self, role: Role) -> str:
        """The token of a role of this installation."""
        return ServiceKeys.load(self.home).token_of(role)

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "THEORY_HOME": str(self.home), **_VARIABLES}

    async def _begun(self, name: str) -> asyncio.subprocess.Process:
        module = "services" if name == "theory" else f"services.{name}"
        with (self.home / f"{name}.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", module, cwd=ROOT, env=self._environment(), stdout=log, stderr=log
            )

    async def _ready(self, name: str) -> None:
        """Return once the process says that it is ready; `AssertionError` with its log where it ends instead."""
        answered = asyncio.ensure_future(_serving(socket_url(self.home, name)))
        ended = asyncio.ensure_future(self._running[name].wait())
        try:
            await asyncio.wait([answered, ended], return_when=asyncio.FIRST_COMPLETED)
            assert answered.done(), self.log(name)
            await answered
        finally:
            answered.cancel()
            ended.cancel()


async def _serving(url: str) -> None:
    while True:
        try:
            await _told(url)
        except grpc.aio.AioRpcError as error:
            # A connection that one who was killed had taken, and never answered.
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
        else:
            return


async def _told(url: str) -> None:
    async with grpc.aio.insecure_channel(url, options=_EAGER) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        watching = stub.Watch(health_pb2.HealthCheckRequest(service="ready"), wait_for_ready=True)
        async for answer in watching:
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                watching.cancel()
                return
    raise AssertionError("the health service went away")


class Installation:
    """A running installation, and what tests ask of it as its clients."""

    def __init__(self, processes: Processes, theory: Theory) -> None:
        self.processes = processes
        self.theory = theory

    @property
    def deployment(self) -> str:
        """`embedded` or `split`."""
        return self.processes.deployment

    async def upload(self, files: Mapping[str, bytes]) -> list[JSON]:
        """Store files, by World path: the value of a plan's `files`."""
        return [
            PlanFile(WorldPath.parse(path), await self.theory.artifacts.put_blob(data), len(data)).to_document()
            for path, data in files.items()
        ]

    async def submit(self, document: JSON, request_id: str | None = None) -> PlanView:
        """Submit a plan."""
        named = RequestId.parse(request_id) if request_id else None
        return await self.theory.executor.submit(PlanSpec.parse(document), named)

    async def ended(self, plan_id: PlanId) -> Ran:
        """The plan, once it has ended."""
        changes = [change async for change in self.theory.executor.watch(plan_id)]
        executions = [each async for each in self.theory.executor.executions(plan_id)]
        return Ran(changes[-1].plan, tuple(executions))

    async def run(self, document: JSON) -> Ran:
        """Submit a plan and wait for its end."""
        return await self.ended((await self.submit(document)).plan_id)

    async def until(self, plan_id: PlanId, name: str, state: str, attempt_idx: int = 0) -> ExecutionView:
        """The execution, once it stands so."""
        wanted = (state, attempt_idx)
        async for _ in self.theory.executor.watch(plan_id):
            each = await self.theory.executor.get_execution(ExecutionId.parse(f"{plan_id}.{name}"))
            if (each.state.value, each.attempt_idx) == wanted:
                return each
        message = f"{name} was never {state}"
        raise AssertionError(message)


@asynccontextmanager
async def installed(deployment: str, home: Path) -> AsyncIterator[Installation]:
    """Start everything, and in the end stop it."""
    async with AsyncExitStack() as stack:
        processes = Processes(deployment, home)
        stack.push_async_callback(processes.kill)
        await processes.start()
        theory = Theory.connect(processes.urls["executor"], url_by_service=processes.urls)
        yield Installation(processes, await stack.enter_async_context(theory))
