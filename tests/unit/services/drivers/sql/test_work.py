"""Batches on a server: what lost is run again, what nobody knows is not."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from sqlalchemy import Column, Connection, MetaData, Table, Text, insert, select, text

from services.drivers.sql import Database
from tests.servers import Postgres, Servers
from theory.core.errors import Unavailable

pytestmark = pytest.mark.slow

METADATA = MetaData()
ITEM = Table("item", METADATA, Column("name", Text, primary_key=True))

LEAVE = text("SELECT pg_terminate_backend(pg_backend_pid())")
LOSE = text("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$")
LEAVE_AT_COMMIT = """
CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql
  AS 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER leave AFTER INSERT ON item DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.name = 'leaves') EXECUTE FUNCTION leave();
"""


@pytest.fixture
def url(servers: Servers) -> str:
    return servers.postgres()


@pytest.fixture
async def db(url: str) -> AsyncIterator[Database]:
    opened = await Database.open(url, METADATA, durable=True)
    yield opened
    await opened.close()


class Add:
    """Writes one row, and lets something happen in the first runs."""

    def __init__(self, name: str, happens: Sequence[object] = ()) -> None:
        self.name = name
        self.happens = list(happens)
        self.runs = 0

    def __call__(self, connection: Connection) -> str:
        self.runs += 1
        connection.execute(insert(ITEM).values(name=self.name))
        if self.happens:
            connection.execute(self.happens.pop())  # type: ignore[call-overload]  # any statement
        return self.name


def names(connection: Connection) -> list[str]:
    return list(connection.scalars(select(ITEM.c.name).order_by(ITEM.c.name)))


async def together(db: Database, *fns: Callable[[Connection], str]) -> list[object]:
    """What each answered or raised; they share a transaction."""
    return list(await asyncio.gather(*map(db.write, fns), return_exceptions=True))


@pytest.mark.parametrize("happens", [LEAVE, LOSE], ids=["connection", "race"])
async def test_a_batch_that_is_lost_before_its_commit_runs_again(db: Database, happens: object) -> None:
    for number, fns in enumerate(([Add("0", [happens])], [Add("1"), Add("2", [happens]), Add("3")])):
        assert await together(db, *fns) == [each.name for each in fns]
        assert [each.runs for each in fns if each.name in "02"] == [2], number
    assert await db.read(names) == ["0", "1", "2", "3"]


async def test_a_race_that_is_never_won_is_unavailable(db: Database) -> None:
    loser = Add("a", [LOSE] * 10)
    [error] = await together(db, loser)
    assert isinstance(error, Unavailable)
    assert loser.runs == 5
    assert await together(db, Add("b")) == ["b"]
    assert await db.read(names) == ["b"]


async def test_a_connection_that_is_lost_again_is_unavailable(db: Database) -> None:
    leaver = Add("a", [LEAVE] * 10)
    [error] = await together(db, leaver)
    assert isinstance(error, Unavailable)
    assert leaver.runs == 2
    assert await together(db, Add("b")) == ["b"]


async def test_a_commit_that_nobody_knows_of_is_not_repeated(db: Database) -> None:
    await db.write(lambda connection: connection.exec_driver_sql(LEAVE_AT_COMMIT).close())
    leaver = Add("leaves")
    [error] = await together(db, leaver)
    assert isinstance(error, Unavailable)
    assert error.reason == "STORE_UNREACHABLE"
    assert leaver.runs == 1
    assert await together(db, Add("stays")) == ["stays"]


async def test_a_read_that_lost_its_connection_is_repeated(db: Database) -> None:
    runs = []

    def read(connection: Connection) -> list[str]:
        runs.append(1)
        if len(runs) == 1:
            connection.execute(LEAVE)
        return names(connection)

    await db.write(Add("a"))
    assert await asyncio.gather(*map(db.read, (names, read, names))) == [["a"]] * 3
    assert len(runs) == 2


@pytest.mark.drill
async def test_a_server_that_comes_back_is_used_again() -> None:
    with Postgres() as server:
        db = await Database.open(server.url, METADATA, durable=True)
        await db.write(Add("a"))
        server.kill()
        for run in (db.write(Add("b")), db.read(names), db.write(Add("b"))):
            with pytest.raises(Unavailable):
                await run
        server.restart()
        assert await db.write(Add("c")) == "c"
        assert await db.read(names) == ["a", "c"]
        await db.close()


async def test_a_deadlock_ends_with_both_kept(url: str) -> None:
    """Rows that two replicas take in different orders; names of locks would have kept them apart."""
    one, two = [await Database.open(url, METADATA, durable=False) for _ in range(2)]
    await together(one, Add("a"), Add("b"))
    barrier = asyncio.Barrier(2)
    loop = asyncio.get_running_loop()
    met: list[bool] = []

    def lock(*order: str) -> Callable[[Connection], str]:
        def fn(connection: Connection) -> str:
            for idx, name in enumerate(order):
                connection.execute(select(ITEM).where(ITEM.c.name == name).with_for_update())
                if idx == 0 and len(met) < 2:
                    met.append(True)
                    asyncio.run_coroutine_threadsafe(barrier.wait(), loop).result(10)
            return order[0]

        return fn

    writes = [one.write(lock("a", "b")), two.write(lock("b", "a"))]
    assert await asyncio.gather(*writes) == ["a", "b"]
    await one.close()
    await two.close()
