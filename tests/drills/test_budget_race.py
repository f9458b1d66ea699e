"""Sixty-four clients reserve from one account at once, far more than it holds: none of them can overdraw it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import grpc
import pytest

from services.ledger.adapters.memory import MemoryLedger, MemoryTransaction, Tables
from services.ledger.assembly import assemble
from services.ledger.config import LedgerConfig
from services.ledger.ports import Changes, LedgerTransaction
from tests.backends import require
from tests.servers import Postgres
from theory.core.errors import TheoryError
from theory.core.ids import ExecutionId, PlanId
from theory.core.ledger import Budget
from theory.core.receipt import AttemptOutcome
from theory.core.settle import ClaimRequest, SettleRequest
from theory.sdk.ledger import LedgerClient
from theory.wire.channel import connect
from theory.wire.identity import Role, ServiceKeys
from theory.wire.server import running

CLIENTS = 64
AMOUNT = 7
COST = 3
"""What each second attempt costs; the rest of its reservation comes back."""
BATCH = 25
PLAN = PlanId("p-race")

_T = TypeVar("_T")


@dataclass
class Race:
    """What the clients were told, and what they saw of the account meanwhile."""

    cap: int
    asked: int = 0
    granted: int = 0
    settled: int = 0
    refused: int = 0
    errors: list[str] = field(default_factory=list)
    seen: list[Budget] = field(default_factory=list)

    async def run(self, ledgers: Sequence[LedgerClient], reserves: int) -> None:
        """Let every client claim its share, and look at the account all the time."""
        await ledgers[0].open_budget(PLAN, self.cap)
        watching = asyncio.create_task(self._watch(ledgers[-1]))
        share = reserves // len(ledgers)
        async with asyncio.TaskGroup() as group:
            for at, ledger in enumerate(ledgers):
                group.create_task(self._claim(ledger, at, share))
        await self._claim_the_rest(ledgers[0])
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    async def _claim(self, ledger: LedgerClient, client: int, share: int) -> None:
        for first in range(0, share, BATCH):
            names = [ExecutionId(f"{PLAN}.c{client}-{at}") for at in range(first, min(first + BATCH, share))]
            self.asked += len(names)
            answers = await ledger.claim_many([ClaimRequest(PLAN, each, 0, AMOUNT, 0) for each in names])
            ending = []
            for name, answer in zip(names, answers, strict=True):
                if isinstance(answer, TheoryError):
                    self._count(answer)
                    continue
                self.granted += 1
                if self.granted % 2:
                    ending.append(SettleRequest(PLAN, name, answer.epoch, 0, AttemptOutcome.FAILED, True, COST))
            if ending:
                for settled in await ledger.settle_many(ending):
                    if isinstance(settled, TheoryError):
                        self.errors.append(settled.reason)
                    else:
                        self.settled += 1

    async def _claim_the_rest(self, ledger: LedgerClient) -> None:
        """What settlements gave back behind the last claim of a client."""
        for at in range(self.cap // AMOUNT):
            name = ExecutionId(f"{PLAN}.rest-{at}")
            [answer] = await ledger.claim_many([ClaimRequest(PLAN, name, 0, AMOUNT, 0)])
            if isinstance(answer, TheoryError):
                return
            self.granted += 1

    def _count(self, error: TheoryError) -> None:
        if error.reason == "BUDGET_INSUFFICIENT":
            self.refused += 1
        else:
            self.errors.append(error.reason)

    async def _watch(self, ledger: LedgerClient) -> None:
        while True:
            self.seen.append(await ledger.get_budget(PLAN))
            await asyncio.sleep(0.002)

    async def faults(self, ledger: LedgerClient) -> list[str]:
        """What is wrong with the account, by what clients were told; nothing where it is sound."""
        account = await ledger.get_budget(PLAN)
        found = [f"{each.what} {each.seq}" for each in await ledger.verify_plan(PLAN.text)] + self.errors
        for each in (*self.seen, account):
            if each.reserved_usd_micro + each.spent_usd_micro > self.cap or each.debt_usd_micro:
                found.append(f"overdrawn: {each}")
        told = Budget(PLAN.text, self.cap, (self.granted - self.settled) * AMOUNT, self.settled * COST)
        if account != told:
            found.append(f"the account is {account}, clients were told {told}")
        if account.available_usd_micro >= AMOUNT:
            found.append(f"{account.available_usd_micro} were left, and somebody was refused")
        return found


@asynccontextmanager
async def clients(urls: Sequence[str], keys: ServiceKeys) -> AsyncIterator[list[LedgerClient]]:
    """Each with a connection of its own, shared out among the servers."""
    async with AsyncExitStack() as stack:
        channels: list[grpc.aio.Channel] = []
        for at in range(CLIENTS):
            channel = connect(urls[at % len(urls)], token=keys.token_of(Role.EXECUTOR))
            channels.append(await stack.enter_async_context(channel))
        yield [LedgerClient(each) for each in channels]


async def raced(urls: Sequence[str], keys: ServiceKeys, reserves: int) -> None:
    # Enough for a third of them, and one unit that nobody can have.
    race = Race(reserves // 3 * AMOUNT + 1)
    async with clients(urls, keys) as ledgers:
        await race.run(ledgers, reserves)
        assert await race.faults(ledgers[0]) == []
    assert race.granted + race.refused >= race.asked >= reserves - CLIENTS
    assert race.refused > 0
    assert len(race.seen) > 10


_SIZES = [6_400, pytest.param(100_000, marks=pytest.mark.long)]


@pytest.mark.drill
@pytest.mark.parametrize("reserves", _SIZES)
async def test_no_race_overdraws_an_account_in_a_file(reserves: int, tmp_path: Path) -> None:
    keys = ServiceKeys.fresh()
    unit = await assemble(LedgerConfig.load({"home": tmp_path, "database_url": f"sqlite:///{tmp_path}/ledger.db"}))
    async with running([unit], keys=keys) as server:
        await raced([server.url], keys, reserves)


@pytest.mark.drill
@pytest.mark.parametrize("reserves", _SIZES)
async def test_no_race_overdraws_an_account_that_two_replicas_share(reserves: int, tmp_path: Path) -> None:
    keys, postgres = ServiceKeys.fresh(), Postgres()
    require("postgres", postgres.missing())
    with postgres:
        async with AsyncExitStack() as stack:
            urls = []
            for _ in range(2):
                unit = await assemble(LedgerConfig.load({"home": tmp_path, "database_url": postgres.url}))
                urls.append((await stack.enter_async_context(running([unit], keys=keys))).url)
            await raced(urls, keys, reserves)


class Forgetful(MemoryLedger):
    """A store of someone who reads an account, checks it, and writes it, with others doing so in between."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(tables)
        self._stale: dict[str, Budget] = {}
        self._reads = 0

    async def transact(self, fn: Callable[[LedgerTransaction], _T]) -> _T:
        self._reads += 1
        if self._reads % 3 == 1:
            self._stale = dict(self._tables.budgets)
        return fn(_Stale(self._tables, self._stale))


class _Stale(MemoryTransaction):
    def __init__(self, tables: Tables, stale: Mapping[str, Budget]) -> None:
        super().__init__(tables)
        self._known, self._seen = tables.budgets, stale

    def budgets(self, plan_ids: Collection[str]) -> Mapping[str, Budget]:
        found = dict(super().budgets(plan_ids))
        return {each: self._seen.get(each, account) for each, account in found.items()}

    def write(self, changes: Changes) -> None:
        moves = [(self._known.get(after.plan_id), after) for _, after in changes.budgets]
        super().write(replace(changes, budgets=moves))


async def test_who_reads_checks_and_writes_is_found_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The judge of the race finds the fault that it is there for."""
    keys = ServiceKeys.fresh()

    async def forgetful(*_: object) -> Forgetful:
        return Forgetful(Tables())

    monkeypatch.setattr("services.ledger.assembly.open_store", forgetful)
    unit = await assemble(LedgerConfig.load({"home": tmp_path}))
    async with running([unit], keys=keys) as server:
        race = Race(1_000 * AMOUNT)
        async with clients([server.url], keys) as ledgers:
            await race.run(ledgers, 6_400)
            found = await race.faults(ledgers[0])
    assert any(each.startswith("BUDGET") for each in found)
    assert any(each.startswith("the account is") for each in found)
