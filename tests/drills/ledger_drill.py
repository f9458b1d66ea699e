"""Clients of a ledger that is killed under them: what they do, and how it is judged by what they were told."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count, cycle
from pathlib import Path
from typing import Any

import grpc

from tests.drills.installation import ROOT
from tests.drills.ledger_history import Key, LedgerHistory, Place
from theory.core.chain import Event, NewEvent
from theory.core.checkpoint import LogKey
from theory.core.errors import Corrupt, TheoryError
from theory.core.ids import ExecutionId, PlanId
from theory.core.ledger import PlanEvent
from theory.core.receipt import AttemptOutcome
from theory.core.settle import ClaimRequest, SettleRequest
from theory.sdk.ledger import LedgerClient
from theory.sdk.log import InMemory, LogClient
from theory.wire.channel import connect
from theory.wire.identity import Role, ServiceKeys

CHAINS = ("p-0", "p-1", "p-2")
SPENDER = PlanId("spender")
WRITERS = 6
BATCH = 20
ACKED_BETWEEN_KILLS = 400
PATIENCE_S = 60.0
KIND = "scratch.kv.changed"
TS = "2026-01-02T03:04:05.000006Z"
CAP = 1_000_000
RESERVED, COST = 5, 3
"""What an execution reserves, and what it costs."""
_AWAY = frozenset({"STORE_UNREACHABLE", "SERVICE_UNREACHABLE", "SEQ_CONFLICT"})
"""Why an answer may fail to come while things are killed."""


class Drill:
    """Writers that never give up, and what they were told.

    Some append events; one claims executions and settles them; one looks at heads and at signed checkpoints, at all
    replicas in turn, and believes no checkpoint that does not contain every one before it.
    """

    def __init__(self, urls: Sequence[str], keys: ServiceKeys, log_key: Path) -> None:
        self.history = LedgerHistory()
        self.spent: dict[str, int] = {}
        """What executions were said to have cost, by id."""
        self._urls = urls
        self._keys = keys
        self._log_key = log_key
        self._memory = InMemory()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Append at every replica, in the background, event by event and in batches; and look at heads."""
        async with AsyncExitStack() as stack:
            channels: list[grpc.aio.Channel] = []
            for url in self._urls:
                token = self._keys.token_of(Role.RESOURCES)
                channels.append(await stack.enter_async_context(connect(url, token=token)))
            token = self._keys.token_of(Role.EXECUTOR)
            executor = LedgerClient(await stack.enter_async_context(connect(self._urls[-1], token=token)))
            ledgers = [LedgerClient(each) for each in channels]
            writers = [self._write(ledgers[at % len(ledgers)], f"w{at}") for at in range(WRITERS)]
            others = (self._spend(executor), self._look(channels))
            tasks = [asyncio.create_task(each) for each in (*writers, *others)]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
                assert [each for each in ended if isinstance(each, Exception)] == []

    async def until_more_is_acked(self, more: int = ACKED_BETWEEN_KILLS) -> None:
        """Return in the middle of the work."""
        goal = len(self.history.acked) + more
        async with asyncio.timeout(PATIENCE_S):
            while True:
                if len(self.history.acked) >= goal:
                    return
                await asyncio.sleep(0.005)

    async def _write(self, ledger: LedgerClient, name: str) -> None:
        for number in count():
            size = 1 if number % 3 else BATCH
            items = [
                PlanEvent(CHAINS[(number + at) % len(CHAINS)], NewEvent(f"{name}/{number}/{at}", KIND, TS, {}))
                for at in range(size)
            ]
            self.history.tried |= {Key(each.plan_id, each.event.event_id) for each in items}
            while items:
                items = await self._append(ledger, items)

    async def _append(self, ledger: LedgerClient, items: Sequence[PlanEvent]) -> list[PlanEvent]:
        """Those that have to be sent again: nobody knows whether they are stored."""
        try:
            answers = await ledger.append_many(items)
        except (TheoryError, TimeoutError):
            await asyncio.sleep(0.02)
            return list(items)
        again = []
        for item, answer in zip(items, answers, strict=True):
            if isinstance(answer, TheoryError):
                assert answer.reason in _AWAY, answer
                again.append(item)
            else:
                place = Place(answer.seq, answer.this_hash)
                assert self.history.acked.setdefault(Key(item.plan_id, item.event.event_id), place) == place
        return again

    async def _spend(self, ledger: LedgerClient) -> None:
        """Claim, and settle; whatever is not answered is claimed again, which closes what was there."""
        for number in count():
            execution_id = ExecutionId(f"{SPENDER}.step.{number}")
            while execution_id.text not in self.spent:
                try:
                    await ledger.open_budget(SPENDER, CAP)
                    claimed = await ledger.claim(ClaimRequest(SPENDER, execution_id, 0, RESERVED, 0))
                    if claimed.settled is None:
                        end = SettleRequest(SPENDER, execution_id, claimed.epoch, 0, AttemptOutcome.FAILED, True, COST)
                        await ledger.settle(end)
                    self.spent[execution_id.text] = COST
                except (TheoryError, TimeoutError) as error:
                    _refuse_other(error)
                    await asyncio.sleep(0.02)

    async def _look(self, channels: Sequence[grpc.aio.Channel]) -> None:
        for channel in cycle(channels):
            try:
                heads = {head.plan_id: Place(head.seq, head.this_hash) async for head in LedgerClient(channel).chains()}
                self.history.heads.append({chain: place for chain, place in heads.items() if chain in CHAINS})
                if key := await asyncio.to_thread(self._key):
                    await LogClient(channel, key, self._memory).checkpoint()
                    self.history.checkpoints += 1
            except Corrupt as error:
                self.history.refused.append(str(error))
            except (TheoryError, TimeoutError) as error:
                _refuse_other(error)
            await asyncio.sleep(0.02)

    def _key(self) -> LogKey | None:
        """None before the ledger has made one."""
        return LogKey.parse(self._log_key.read_text()) if self._log_key.exists() else None

    async def judged(self, home: Path) -> list[str]:
        """What is wrong at the end: by what was told, and by the command that operators use."""
        async with connect(self._urls[0], token=self._keys.token_of(Role.RESOURCES)) as channel:
            ledger, stored = LedgerClient(channel), list[Event]()
            await answering(ledger)
            for chain in CHAINS:
                stored += [event async for page in ledger.events(chain) for event in page.events]
            account = await ledger.get_budget(SPENDER)
            if key := self._key():
                await LogClient(channel, key, self._memory).checkpoint()  # it contains all that were seen
        checked = await _fsck(home, self._urls[0])
        assert checked["size"] >= len(stored)
        found = self.history.faults(stored) + [str(each) for each in checked["faults"]]
        # One more may have been settled, or be held, than anybody was told.
        if account.spent_usd_micro - sum(self.spent.values()) not in {0, COST}:
            found.append(f"{sum(self.spent.values())} were said to be spent, and the account is {account}")
        if account.reserved_usd_micro not in {0, RESERVED}:
            found.append(f"one execution is open at most, and the account is {account}")
        return found


def _refuse_other(error: TheoryError | TimeoutError) -> None:
    """Raise again what no kill explains."""
    if isinstance(error, TheoryError) and error.reason not in _AWAY:
        raise error


async def answering(ledger: LedgerClient) -> None:
    """Return once it does."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await ledger.capabilities()
                return
            except (TheoryError, TimeoutError):
                await asyncio.sleep(0.05)


async def _fsck(home: Path, url: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "theory.cli", "--home", str(home), "--url", url, "ledger", "fsck", "--json"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    found: dict[str, Any] = json.loads(out)
    assert (process.returncode == 0) is bool(found["sound"])
    return found
