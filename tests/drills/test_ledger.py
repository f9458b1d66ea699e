"""Two ledgers on one Postgres that is killed again and again: what was answered is there, once, in one tree."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from services.ledger.assembly import assemble
from services.ledger.config import LedgerConfig
from tests.servers import Postgres
from theory.core.chain import NewEvent
from theory.core.checkpoint import LogKey
from theory.core.errors import TheoryError, Unavailable
from theory.core.ids import ExecutionId, PlanId
from theory.core.ledger import PlanEvent
from theory.core.receipt import AttemptOutcome
from theory.core.settle import ClaimRequest, SettleRequest
from theory.sdk.fsck import check_ledger
from theory.sdk.ledger import LedgerClient
from theory.sdk.log import InFiles, LogClient
from theory.wire.identity import Role, ServiceKeys
from theory.wire.server import RunningServer, running

KILLS = 3
CHAINS = ("shared-0", "shared-1")
WRITERS = 3
"""Of events, at each replica; they share chains."""
ACKED_BEFORE_KILL = 200
CAP = 500
"""What the plan of the claims may spend; each claim reserves one."""
TS = "2026-01-02T03:04:05.000006Z"
PATIENCE_S = 60.0
SPENDER = PlanId("spender")


class Drill:
    """What two replicas answered."""

    def __init__(self) -> None:
        self.places: dict[tuple[str, str], tuple[int, str]] = {}
        self.spent = 0
        self.reasons: set[str] = set()
        self._enough = asyncio.Event()

    async def until_enough(self) -> None:
        """Return in the middle of the work."""
        self._enough.clear()
        async with asyncio.timeout(PATIENCE_S):
            await self._enough.wait()

    async def append(self, ledger: LedgerClient, name: str) -> None:
        """Append events for ever, each until it is answered."""
        for number in count():
            chain, event_id = CHAINS[number % len(CHAINS)], f"{name}/{number}"
            item = PlanEvent(chain, NewEvent(event_id, "scratch.kv.changed", TS, {"key": event_id}))
            while True:
                try:
                    place = await ledger.append(item)
                    break
                except (TheoryError, TimeoutError) as error:
                    self._note(error)
                    await asyncio.sleep(0.02)
            self.places[chain, event_id] = place.seq, place.this_hash
            if len(self.places) % ACKED_BEFORE_KILL == 0:
                self._enough.set()

    async def spend(self, ledger: LedgerClient, name: str) -> None:
        """Claim and settle executions until the budget is used up; what is not answered is claimed again."""
        for number in count():
            execution_id = ExecutionId(f"{SPENDER}.{name}-{number}")
            while True:
                try:
                    claimed = await ledger.claim(ClaimRequest(SPENDER, execution_id, 0, 1, 1))
                    if claimed.settled is None:
                        await ledger.settle(
                            SettleRequest(SPENDER, execution_id, claimed.epoch, 0, AttemptOutcome.FAILED, True, 1)
                        )
                    self.spent += 1
                    break
                except (TheoryError, TimeoutError) as error:
                    if getattr(error, "reason", "") == "BUDGET_INSUFFICIENT":
                        return
                    self._note(error)
                    await asyncio.sleep(0.02)

    def _note(self, error: Exception) -> None:
        self.reasons.add(getattr(error, "reason", type(error).__name__))


@asynccontextmanager
async def replicas(server: Postgres, home: Path, keys: ServiceKeys) -> AsyncIterator[list[RunningServer]]:
    async with AsyncExitStack() as stack:
        found = []
        for _ in range(2):
            unit = await assemble(LedgerConfig.load({"home": home, "database_url": server.url}))
            found.append(await stack.enter_async_context(running([unit], keys=keys)))
        yield found


@pytest.mark.drill
async def test_two_ledgers_keep_one_history_though_their_database_is_killed(tmp_path: Path) -> None:
    drill, keys = Drill(), ServiceKeys.fresh()
    with Postgres() as server:
        async with replicas(server, tmp_path, keys) as both:
            await LedgerClient(both[0].channel(Role.EXECUTOR)).open_budget(SPENDER, CAP)
            key = LogKey.parse((tmp_path / "log.key").read_text())
            logs = [LogClient(each.channel(), key, InFiles(tmp_path / "seen")) for each in both]
            async with asyncio.TaskGroup() as group:
                tasks = []
                for at, each in enumerate(both):
                    events = LedgerClient(each.channel(Role.RESOURCES))
                    tasks += [group.create_task(drill.append(events, f"{at}-{one}")) for one in range(WRITERS)]
                    tasks.append(group.create_task(drill.spend(LedgerClient(each.channel(Role.EXECUTOR)), f"s{at}")))
                for _ in range(KILLS):
                    await drill.until_enough()
                    server.kill()
                    await asyncio.to_thread(server.restart)
                    for log in logs:  # each contains what the other one signed before
                        await _signed(log)
                await drill.until_enough()
                for task in tasks:
                    task.cancel()

            for each, log in zip(both, logs, strict=True):
                ledger = LedgerClient(each.channel())
                found = await check_ledger(ledger, log)
                assert found.ok, found.faults
                kept: dict[tuple[str, str], tuple[int, str]] = {}
                for chain in CHAINS:
                    async for page in ledger.events(chain):
                        kept |= {(chain, event.event_id): (event.seq, event.this_hash) for event in page.events}
                assert {key: place for key, place in drill.places.items() if kept.get(key) != place} == {}
                budget = await ledger.get_budget(SPENDER)
                assert budget.spent_usd_micro + budget.reserved_usd_micro <= CAP
                assert budget.spent_usd_micro >= drill.spent > 0
    assert len(drill.places) > ACKED_BEFORE_KILL * KILLS
    assert drill.reasons <= {"STORE_UNREACHABLE", "SEQ_CONFLICT", "EPOCH_FENCED"}
    assert "STORE_UNREACHABLE" in drill.reasons


async def _signed(log: LogClient) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await log.checkpoint()
            except Unavailable:
                await asyncio.sleep(0.05)
            else:
                return
