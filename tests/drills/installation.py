"""An installation under drill: a server process that is killed and started again, and what must hold afterwards."""

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from theory.core.errors import TheoryError
from theory.core.ids import PlanId, RequestId
from theory.core.plan import PlanSpec
from theory.core.receipt import AttemptOutcome, Receipt
from theory.core.registry import SpecDraft
from theory.sdk.client import Theory
from theory.sdk.views import ExecutionView, PlanView
from theory.wire.home import socket_url

ROOT = Path(__file__).parents[2]
_PATIENCE_S = 60.0


class Installation:
    """One home; at most one server process in it at a time."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        self.url = socket_url(home, "theory")
        self._environment = environment

    def kill_at(self, point: str, count: int = 1) -> None:
        """Let the server die where it next reaches the point for the `count`-th time."""
        order = self.home / "kill_at"
        (self.home / "next_kill").write_text(f"{point} {count}")
        (self.home / "next_kill").rename(order)

    def spare(self) -> None:
        """Let the server live."""
        (self.home / "kill_at").unlink()

    @asynccontextmanager
    async def server(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """A running server; whatever is left of it at the end is killed."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("THEORY_")}
        environment = {**kept, "THEORY_HOME": str(self.home), **self._environment}
        with (self.home / "server.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.drills.server", cwd=ROOT, env=environment, stdout=log, stderr=log
            )
        try:
            await self._until_it_answers(process)
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def _until_it_answers(self, process: asyncio.subprocess.Process) -> None:
        async with asyncio.timeout(_PATIENCE_S), Theory.connect(self.url) as theory:
            while process.returncode is None:
                try:
                    await theory.executor.capabilities()
                except (TheoryError, TimeoutError):
                    await asyncio.sleep(0.05)
                else:
                    return

    async def submit(self, spec: PlanSpec, request_id: str) -> PlanId | None:
        """Submit a plan; None where the server died before it answered. A repeat finds the same plan."""
        async with Theory.connect(self.url) as theory:
            try:
                return (await theory.executor.submit(spec, RequestId.parse(request_id))).plan_id
            except (TheoryError, TimeoutError):
                return None

    async def publish(self, drafts: Sequence[SpecDraft]) -> None:
        """Publish documents."""
        async with Theory.connect(self.url) as theory:
            for answer in await theory.registry.publish_many(drafts):
                if isinstance(answer, TheoryError):
                    raise answer

    async def finish(self, plan_id: PlanId) -> tuple[PlanView, list[ExecutionView]]:
        """Follow a plan to its end."""
        async with asyncio.timeout(_PATIENCE_S), Theory.connect(self.url) as theory:
            async for change in theory.executor.watch(plan_id):
                plan = change.plan
            return plan, [each async for each in theory.executor.executions(plan_id)]

    async def check(self, plan: PlanView, executions: Sequence[ExecutionView]) -> None:
        """Hold everything against the plan that must hold however often its server was killed."""
        async with Theory.connect(self.url) as theory:
            assert not await theory.ledger.verify_plan(plan.plan_id.text)
            receipts = [each async for each in theory.ledger.receipts(plan.plan_id)]
            budget = await theory.ledger.get_budget(plan.plan_id)
            settled = [each for each in receipts if each.kind == "settle"]
            for execution in executions:
                final = [each for each in settled if each.execution_id == execution.execution_id.text and each.final]
                assert [each.receipt_id for each in final] == [execution.receipt_id], "settled exactly once"
                assert final[0].outcome is AttemptOutcome.SUCCEEDED
                for output in final[0].outputs:
                    artifact = await theory.artifacts.stat(plan.world, output.path)
                    assert artifact.cid == output.cid
                    await theory.artifacts.get_blob(output.cid)
            assert budget.reserved_usd_micro == 0
            assert budget.spent_usd_micro == sum(_spent(each) for each in settled)
            assert budget.debt_usd_micro == 0
        await self._check_nothing_left(executions)

    async def _check_nothing_left(self, executions: Sequence[ExecutionView]) -> None:
        async with asyncio.timeout(_PATIENCE_S):
            while left := self._left():  # noqa: ASYNC110 - only the disk tells
                await asyncio.sleep(0.02)
        assert not left
        names = [each.execution_id.text for each in executions]
        mounts = Path("/proc/self/mountinfo").read_text()
        assert not [name for name in names if name in mounts]
        table = sqlite3.connect(f"file:{self.home}/artifacts.db?mode=ro", uri=True)
        try:
            assert table.execute("select count(*) from hold where owner is not null").fetchone() == (0,)
        finally:
            table.close()

    def _left(self) -> list[str]:
        return sorted(each.name for each in (self.home / "executor" / "attempts").iterdir())

    @staticmethod
    async def killed(process: asyncio.subprocess.Process) -> bool:
        """Whether the server died by SIGKILL, once it has."""
        async with asyncio.timeout(_PATIENCE_S):
            return await process.wait() == -signal.SIGKILL


def _spent(receipt: Receipt) -> int:
    budget = receipt.document["budget"]
    assert isinstance(budget, dict)
    spent = budget["spent_usd_micro"]
    assert isinstance(spent, int)
    return spent
