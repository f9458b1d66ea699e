"""What the resources service answered survives kill -9, and a repeat of what it did not answer does no harm."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.drills.alone import alone
from theory.core.adapters import KVIncr, QueuePublish
from theory.core.errors import TheoryError
from theory.sdk.kv import KVClient
from theory.sdk.queue import QueueClient
from theory.wire.channel import connect
from theory.wire.home import socket_url

PLAN, TOPIC = "p-drill", "work"
KILLS = 3
WORKERS = 8
ACKED_BEFORE_KILL = 40
PATIENCE_S = 60.0


class Scratch:
    """One home, its service, and what the service acknowledged."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.published: set[bytes] = set()
        self.sums: dict[str, int] = {}
        self.tried = 0
        self._enough = asyncio.Event()

    @asynccontextmanager
    async def server(self) -> AsyncIterator[tuple[KVClient, QueueClient, asyncio.subprocess.Process]]:
        """A running service; what is left of it at the end is killed."""
        async with (
            alone("resources", self.home) as process,
            connect(socket_url(self.home, "resources")) as channel,
        ):
            kv = KVClient(channel)
            await self._until_it_answers(kv, process)
            yield kv, QueueClient(channel), process

    async def _until_it_answers(self, kv: KVClient, process: asyncio.subprocess.Process) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while process.returncode is None:
                try:
                    await kv.capabilities()
                except (TheoryError, TimeoutError):
                    await asyncio.sleep(0.05)
                else:
                    return

    async def work(self, kv: KVClient, queue: QueueClient) -> None:
        """Publish and add until the service is gone."""
        while True:
            self.tried += 1
            name = f"r-{self.tried}"
            try:
                [published] = await queue.publish_many(PLAN, TOPIC, [QueuePublish(name.encode(), name)])
                assert not isinstance(published, TheoryError)
                self.published.add(name.encode())
                [total] = await kv.incr_many(PLAN, [KVIncr("n")], name)
                assert isinstance(total, int)
                self.sums[name] = total
            except (TheoryError, TimeoutError):
                return
            if len(self.sums) % ACKED_BEFORE_KILL == 0:
                self._enough.set()

    async def until_enough(self) -> None:
        """Return in the middle of the work."""
        self._enough.clear()
        async with asyncio.timeout(PATIENCE_S):
            await self._enough.wait()


@pytest.mark.drill
async def test_what_was_answered_survives_kill_9(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    for _ in range(KILLS):
        async with scratch.server() as (kv, queue, process):
            workers = [asyncio.create_task(scratch.work(kv, queue)) for _ in range(WORKERS)]
            await scratch.until_enough()
            process.kill()
            await asyncio.gather(*workers)

    async with scratch.server() as (kv, queue, _):
        found: list[bytes] = []
        while messages := await queue.consume(plan_id=PLAN, topic=TOPIC, max_messages=30, visibility_timeout_s=600):
            found += [message.body for message in messages]
        assert len(found) == len(set(found))
        assert scratch.published <= set(found)

        assert len(set(scratch.sums.values())) == len(scratch.sums)
        counted = int(await kv.get(plan_id=PLAN, key="n") or b"0")
        assert len(scratch.sums) <= counted <= scratch.tried
        for name, total in scratch.sums.items():
            assert await kv.incr_many(PLAN, [KVIncr("n")], name) == [total]
            assert await queue.publish_many(PLAN, TOPIC, [QueuePublish(b"twice", name)]) != []
        assert int(await kv.get(plan_id=PLAN, key="n") or b"0") == counted
        assert await queue.consume(plan_id=PLAN, topic=TOPIC) == []
