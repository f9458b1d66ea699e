"""A ledger that is killed under load, and its database: what it acknowledged is there, and `fsck` finds it sound."""

import asyncio
import json
import random
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.backends import require
from tests.drills.alone import alone
from tests.drills.installation import ROOT
from tests.drills.ledger_history import Key, LedgerHistory, Place
from tests.servers import Postgres
from theory.core.chain import Event, NewEvent
from theory.core.errors import TheoryError
from theory.core.ledger import PlanEvent
from theory.sdk.ledger import LedgerClient
from theory.wire.channel import connect
from theory.wire.home import socket_url
from theory.wire.identity import Role, ServiceKeys

CHAINS = ("p-0", "p-1", "p-2")
WRITERS = 6
BATCH = 20
ACKED_BETWEEN_KILLS = 400
PATIENCE_S = 60.0
KIND = "scratch.kv.changed"
TS = "2026-01-02T03:04:05.000006Z"


class Drill:
    """Writers that never give up, and what they were told."""

    def __init__(self, urls: Sequence[str], token: str) -> None:
        self.history = LedgerHistory()
        self._urls = urls
        self._token = token

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Append at every replica, in the background, event by event and in batches; and look at heads."""
        async with AsyncExitStack() as stack:
            ledgers = []
            for url in self._urls:
                channel = await stack.enter_async_context(connect(url, token=self._token))
                ledgers.append(LedgerClient(channel))
            writers = [self._write(ledgers[at % len(ledgers)], f"w{at}") for at in range(WRITERS)]
            tasks = [asyncio.create_task(each) for each in (*writers, self._look(ledgers[0]))]
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
                assert answer.reason in {"STORE_UNREACHABLE", "SERVICE_UNREACHABLE", "SEQ_CONFLICT"}, answer
                again.append(item)
            else:
                place = Place(answer.seq, answer.this_hash)
                assert self.history.acked.setdefault(Key(item.plan_id, item.event.event_id), place) == place
        return again

    async def _look(self, ledger: LedgerClient) -> None:
        while True:
            try:
                heads = {head.plan_id: Place(head.seq, head.this_hash) async for head in ledger.chains()}
            except (TheoryError, TimeoutError):
                heads = {}
            self.history.heads.append({chain: place for chain, place in heads.items() if chain in CHAINS})
            await asyncio.sleep(0.02)

    async def judged(self, home: Path) -> list[str]:
        """What is wrong at the end: by what was told, and by the command that operators use."""
        async with connect(self._urls[0], token=self._token) as channel:
            ledger, stored = LedgerClient(channel), list[Event]()
            await _answering(ledger)
            for chain in CHAINS:
                stored += [event async for page in ledger.events(chain) for event in page.events]
        checked = await _fsck(home, self._urls[0])
        assert checked["size"] >= len(stored)
        return self.history.faults(stored) + [str(each) for each in checked["faults"]]


async def _answering(ledger: LedgerClient) -> None:
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


_KILLS = [4, pytest.param(60, marks=pytest.mark.long)]


@pytest.mark.drill
@pytest.mark.parametrize("kills", _KILLS)
async def test_a_ledger_in_a_file_that_is_killed_has_what_it_acknowledged(kills: int, tmp_path: Path) -> None:
    token = ServiceKeys.load_or_create(tmp_path).token_of(Role.RESOURCES)
    drill = Drill([socket_url(tmp_path, "ledger")], token)
    async with drill.writing():
        for _ in range(kills):
            async with alone("ledger", tmp_path) as process:
                await drill.until_more_is_acked()
                process.kill()
                await process.wait()
        async with alone("ledger", tmp_path):
            await drill.until_more_is_acked()
    async with alone("ledger", tmp_path):
        assert await drill.judged(tmp_path) == []
    assert len(drill.history.acked) >= ACKED_BETWEEN_KILLS * kills


@pytest.mark.drill
@pytest.mark.parametrize("kills", _KILLS)
async def test_replicas_and_a_server_that_are_killed_have_what_they_acknowledged(kills: int, tmp_path: Path) -> None:
    postgres, chance = Postgres(), random.Random(7)
    require("postgres", postgres.missing())
    homes = [tmp_path / "a", tmp_path / "b"]
    keys = ServiceKeys.load_or_create(homes[0])
    with postgres:
        settings = {"THEORY_LEDGER_DATABASE_URL": postgres.url}
        # The second replica signs with the same key, and knows the same callers.
        async with alone("ledger", homes[0], **settings), connect(socket_url(homes[0], "ledger")) as channel:
            await _answering(LedgerClient(channel))
        shutil.copytree(homes[0], homes[1], ignore=shutil.ignore_patterns("*.sock", "*.lock", "*.log"))
        drill = Drill([socket_url(each, "ledger") for each in homes], keys.token_of(Role.RESOURCES))
        async with AsyncExitStack() as stack, drill.writing():
            running = [await stack.enter_async_context(alone("ledger", each, **settings)) for each in homes]
            for at in range(kills):
                await drill.until_more_is_acked()
                victim = at % 3  # each of the replicas, and the server of both
                await asyncio.sleep(chance.random() * 0.05)
                if victim == len(running):
                    postgres.kill()
                    await asyncio.to_thread(postgres.restart)
                elif running[victim].returncode is None:
                    running[victim].kill()
                for each, process in enumerate(running):
                    # One that starts while its database is away ends by itself: whoever runs it starts it again.
                    if each == victim or process.returncode is not None:
                        await process.wait()
                        running[each] = await stack.enter_async_context(alone("ledger", homes[each], **settings))
            await drill.until_more_is_acked()
        async with alone("ledger", homes[0], **settings):
            assert await drill.judged(homes[0]) == []
    assert len(drill.history.acked) >= ACKED_BETWEEN_KILLS * kills
