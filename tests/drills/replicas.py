"""Several executors on one Postgres, each a process with a home of its own, beside one process of everything else."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from services.artifacts.assembly import assemble as artifacts
from services.artifacts.config import ArtifactsConfig
from services.ledger.assembly import assemble as ledger
from services.ledger.config import LedgerConfig
from services.registry.assembly import assemble as registry
from services.registry.config import RegistryConfig
from services.resources.assembly import assemble as resources
from services.resources.config import ResourcesConfig
from tests.drills.alone import alone
from theory.core.errors import TheoryError
from theory.core.ids import PlanId, RequestId
from theory.core.plan import PlanSpec
from theory.sdk.client import Theory
from theory.sdk.views import ExecutionView, PlanView
from theory.wire.home import socket_url
from theory.wire.identity import ServiceKeys
from theory.wire.server import running

PATIENCE_S = 60.0
LEASE_S = 2


class Replicas:
    """The executors, which are killed, stopped and started again; and everything else, which is not."""

    def __init__(self, folder: Path, others_url: str, database_url: str, names: Sequence[str], **settings: str) -> None:
        self._others_url = others_url
        self.homes = {name: folder / name for name in names}
        self._settings = {
            "THEORY_EXECUTOR_DATABASE_URL": database_url,
            "THEORY_EXECUTOR_LEASE_S": str(LEASE_S),
            "THEORY_EXECUTOR_RUNTIMES": "mock process",
            "THEORY_EXECUTOR_DEFAULT_RUNTIME": "mock",
            **{f"THEORY_{each}_URL": others_url for each in ("LEDGER", "REGISTRY", "ARTIFACTS", "RESOURCES")},
            **settings,
        }
        self.processes: dict[str, asyncio.subprocess.Process] = {}
        self._stack = AsyncExitStack()

    async def start(self, name: str) -> None:
        """Run an executor, and wait until it answers."""
        process = await self._stack.enter_async_context(alone("executor", self.homes[name], **self._settings))
        self.processes[name] = process
        async with asyncio.timeout(PATIENCE_S), self.client(name) as theory:
            while process.returncode is None:
                try:
                    await theory.executor.capabilities()
                except (TheoryError, TimeoutError):
                    await asyncio.sleep(0.05)
                else:
                    return
        raise AssertionError((self.homes[name] / "executor.log").read_text()[-2_000:])

    async def kill(self, name: str) -> None:
        """End an executor without a word."""
        self.processes[name].kill()
        await self.processes[name].wait()

    def stop(self, name: str) -> None:
        """Let an executor sleep in the middle of whatever it does."""
        os.kill(self.processes[name].pid, signal.SIGSTOP)

    def go_on(self, name: str) -> None:
        """Wake it, as if no time had passed."""
        os.kill(self.processes[name].pid, signal.SIGCONT)

    async def close(self) -> None:
        """End all of them."""
        await self._stack.aclose()

    @asynccontextmanager
    async def client(self, name: str) -> AsyncIterator[Theory]:
        """A client of one executor, and of everything else."""
        executor = {"executor": socket_url(self.homes[name], "executor")}
        async with Theory.connect(self._others_url, url_by_service=executor) as theory:
            yield theory

    async def submit(self, name: str, spec: PlanSpec, request_id: str) -> PlanId:
        """Submit a plan to one of them."""
        async with self.client(name) as theory:
            return (await theory.executor.submit(spec, RequestId.parse(request_id))).plan_id

    async def finish(self, name: str, plan_id: PlanId) -> tuple[PlanView, list[ExecutionView]]:
        """Follow a plan to its end at one of them, whoever carries it out."""
        async with asyncio.timeout(PATIENCE_S), self.client(name) as theory:
            async for change in theory.executor.watch(plan_id):
                plan = change.plan
            return plan, [each async for each in theory.executor.executions(plan_id)]

    async def faults(self, name: str, plan: PlanView, executions: Sequence[ExecutionView]) -> list[str]:
        """What of a plan is not as it must be, however often executors died."""
        async with self.client(name) as theory:
            found = [str(each) for each in await theory.ledger.verify_plan(plan.plan_id.text)]
            receipts = [each async for each in theory.ledger.receipts(plan.plan_id)]
            budget = await theory.ledger.get_budget(plan.plan_id)
            settled = [each for each in receipts if each.kind == "settle"]
            for execution in executions:
                final = [each for each in settled if each.execution_id == execution.execution_id.text and each.final]
                if [each.receipt_id for each in final] != [execution.receipt_id]:
                    found.append(f"{execution.execution_id} was settled {len(final)} times")
                bound = [(await theory.artifacts.stat(plan.world, each.path)).cid for each in execution.outputs]
                if bound != [each.cid for each in execution.outputs]:
                    found.append(f"the outputs of {execution.execution_id} are not what was settled")
            if budget.reserved_usd_micro or budget.debt_usd_micro:
                found.append(f"the account is {budget}")
        return found

    def left(self) -> list[Path]:
        """Places of attempts that are still there."""
        return [
            path for home in self.homes.values() for path in (home / "executor" / "attempts").glob("*") if path.is_dir()
        ]


@asynccontextmanager
async def replicas(folder: Path, database_url: str, names: Sequence[str], **settings: str) -> AsyncIterator[Replicas]:
    """Executors of these names, running, with more settings; everything else in this process, in files."""
    base = folder / "base"
    base.mkdir()
    keys = ServiceKeys.load_or_create(base)
    url = f"unix://{base}/theory.sock"
    peers = {"home": base, "ledger_url": url}
    units = [
        await ledger(LedgerConfig.load({"home": base})),
        await registry(RegistryConfig.load(peers)),
        await artifacts(ArtifactsConfig.load({**peers, "data_url": "off"})),
        await resources(ResourcesConfig.load({**peers, "secrets_url": "env:THEORY_TEST_NOTHING_"})),
    ]
    async with running(units, url=url, keys=keys):
        found = Replicas(folder, url, database_url, names, **settings)
        for home in found.homes.values():
            home.mkdir(mode=0o700)
            shutil.copy(base / "service.key", home / "service.key")
        try:
            for name in names:
                await found.start(name)
            yield found
        finally:
            await found.close()
