"""A ledger that is killed while it prunes: what was dropped is recorded, what was not is whole; a repeat ends it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.drills.alone import alone
from theory.core.chain import NewEvent
from theory.core.checkpoint import LogKey
from theory.core.errors import TheoryError
from theory.core.ledger import PlanEvent
from theory.sdk.fsck import LedgerCheck, check_ledger
from theory.sdk.ledger import LedgerClient
from theory.sdk.log import InFiles, LogClient
from theory.wire.channel import connect
from theory.wire.home import socket_url
from theory.wire.identity import Role, ServiceKeys

CHAIN = "p-drill"
EVENTS = 30_000
BATCH = 1_000
KILLS = 2
PATIENCE_S = 60.0
TS = "2026-01-02T03:04:05.000006Z"


class Drill:
    """One home, and the ledger in it."""

    def __init__(self, home: Path) -> None:
        self._home = home

    @asynccontextmanager
    async def ledger(self, role: Role) -> AsyncIterator[tuple[LedgerClient, asyncio.subprocess.Process]]:
        """A running ledger, called as `role`; what is left of it at the end is killed."""
        async with alone("ledger", self._home) as process:
            token = ServiceKeys.load_or_create(self._home).token_of(role)
            async with connect(socket_url(self._home, "ledger"), token=token) as channel:
                ledger = LedgerClient(channel)
                await _until(lambda: _answers(ledger))
                yield ledger, process

    async def fill(self) -> None:
        """Record what may be pruned, and between it what may not."""
        async with self.ledger(Role.RESOURCES) as (ledger, _):
            for first in range(0, EVENTS, BATCH):
                events = (f"scratch/{at}" for at in range(first, first + BATCH))
                body = {"key": "k" * 100, "op": "put"}
                await ledger.append_many(
                    [PlanEvent(CHAIN, NewEvent(each, "scratch.kv.changed", TS, body)) for each in events]
                )

    async def checked(self) -> LedgerCheck:
        """What a check of the whole ledger finds."""
        async with self.ledger(Role.CLIENT) as (ledger, _):
            key = LogKey.parse((self._home / "log.key").read_text())
            async with connect(socket_url(self._home, "ledger")) as channel:
                return await check_ledger(ledger, LogClient(channel, key, InFiles(self._home / "seen")))

    async def prune_and_kill(self, after_batches: int) -> None:
        """Prune until the ledger, which is killed in the middle of a batch, is gone."""
        async with self.ledger(Role.CLIENT) as (ledger, process):
            pruning = asyncio.create_task(ledger.prune(CHAIN))
            position = await _head(ledger)
            await _until(lambda: _reached(ledger, position + after_batches))  # each batch records itself
            process.kill()
            with pytest.raises((TheoryError, TimeoutError)):
                await pruning


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.01)


async def _reached(ledger: LedgerClient, seq: int) -> bool:
    return await _head(ledger) >= seq


async def _answers(ledger: LedgerClient) -> bool:
    try:
        await ledger.capabilities()
    except (TheoryError, TimeoutError):
        return False
    return True


async def _head(ledger: LedgerClient) -> int:
    head = 0
    async for page in ledger.events(CHAIN, 2**40):
        head = page.head.seq
    return head


@pytest.mark.drill
async def test_a_kill_in_the_middle_of_a_pruning_leaves_a_sound_ledger(tmp_path: Path) -> None:
    drill = Drill(tmp_path)
    await drill.fill()
    pruned = 0
    for _ in range(KILLS):
        await drill.prune_and_kill(after_batches=1)
        found = await drill.checked()
        assert found.faults == ()
        assert pruned < found.pruned < EVENTS
        pruned = found.pruned
    async with drill.ledger(Role.CLIENT) as (ledger, _):
        assert (await ledger.prune(CHAIN)).events == EVENTS - pruned
    found = await drill.checked()
    assert (found.faults, found.pruned) == ((), EVENTS)
