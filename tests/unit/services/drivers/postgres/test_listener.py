"""What other replicas note is heard, also by those whose server was away."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection, MetaData

from services.drivers.sql import Database
from services.drivers.sql.words import note
from tests.servers import Postgres, Servers
from theory.core.clock import FakeClock

pytestmark = pytest.mark.slow


class Ears:
    """What was heard, to be waited for."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._more = asyncio.Event()

    def hear(self, said: str) -> None:
        self.heard.append(said)
        self._more.set()

    async def until(self, said: str) -> None:
        while said not in self.heard:
            self._more.clear()
            await asyncio.wait_for(self._more.wait(), 10)


async def say(db: Database, said: str) -> None:
    def write(connection: Connection) -> None:
        note(connection, said)

    await db.write(write)


async def until_listening(db: Database, listeners: int = 1) -> None:
    """Notes are not kept for those who come later."""
    asked = "SELECT count(*) FROM pg_stat_activity WHERE query = 'LISTEN theory' AND state = 'idle'"
    while await db.read(lambda connection: connection.exec_driver_sql(asked).scalar_one()) < listeners:  # noqa: ASYNC110
        await asyncio.sleep(0)


@pytest.fixture
async def replicas(servers: Servers) -> AsyncIterator[tuple[Database, Database]]:
    url = servers.postgres()
    one, two = [await Database.open(url, MetaData(), durable=False) for _ in range(2)]
    yield one, two
    await one.close()
    await two.close()


async def test_a_replica_hears_the_others_and_not_itself(replicas: tuple[Database, Database]) -> None:
    one, two = replicas
    ears = Ears()
    listener = one.listener(ears.hear, FakeClock())
    assert listener is not None
    listener.start()
    await until_listening(one)
    await say(one, "own")
    await say(two, "queue p t")
    await ears.until("queue p t")
    assert ears.heard == ["queue p t"]
    await listener.close()


@pytest.mark.drill
async def test_a_server_that_comes_back_is_heard_again() -> None:
    with Postgres() as server:
        one, two = [await Database.open(server.url, MetaData(), durable=False) for _ in range(2)]
        clock, ears = FakeClock(), Ears()
        listener = one.listener(ears.hear, clock)
        assert listener is not None
        listener.start()
        await until_listening(one)
        server.kill()
        await clock.until_sleepers(1)
        server.restart()
        clock.advance(0.1)
        await until_listening(one)
        await say(two, "again")
        await ears.until("again")
        await listener.close()
        await one.close()
        await two.close()
