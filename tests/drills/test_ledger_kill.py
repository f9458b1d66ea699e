"""A ledger that is killed under load, and its database: what it acknowledged is there, and `fsck` finds it sound."""

import asyncio
import random
import shutil
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.backends import require
from tests.drills.alone import alone
from tests.drills.ledger_drill import ACKED_BETWEEN_KILLS, Drill, answering
from tests.servers import Postgres
from theory.sdk.ledger import LedgerClient
from theory.wire.channel import connect
from theory.wire.home import socket_url
from theory.wire.identity import ServiceKeys

_KILLS = [4, pytest.param(60, marks=pytest.mark.long)]


@pytest.mark.drill
@pytest.mark.parametrize("kills", _KILLS)
async def test_a_ledger_in_a_file_that_is_killed_has_what_it_acknowledged(kills: int, tmp_path: Path) -> None:
    drill = Drill([socket_url(tmp_path, "ledger")], ServiceKeys.load_or_create(tmp_path), tmp_path / "log.key")
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
            await answering(LedgerClient(channel))
        shutil.copytree(homes[0], homes[1], ignore=shutil.ignore_patterns("*.sock", "*.lock", "*.log"))
        drill = Drill([socket_url(each, "ledger") for each in homes], keys, homes[0] / "log.key")
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
