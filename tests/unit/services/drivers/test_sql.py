"""The database of a service: group commit, isolation of neighbours, answers after the commit; on every product."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, func, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from services.drivers.sql import Database
from tests.servers import Servers
from theory.core.errors import Conflict, Corrupt, Exhausted, Invalid, Unavailable

METADATA = MetaData()
ITEM = Table("item", METADATA, Column("name", Text, primary_key=True), Column("n", Integer))


PRODUCTS = ["memory", "sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]


@pytest.fixture(params=PRODUCTS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        servers: Servers = request.getfixturevalue("servers")
        return servers.postgres()
    return "memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/home/items.db"


@pytest.fixture
async def db(url: str) -> AsyncIterator[Database]:
    opened = await Database.open(url, METADATA, durable=True)
    yield opened
    await opened.close()


class Add:
    """Writes one row, then fails if told to."""

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.name = name
        self.error = error

    def __call__(self, connection: Connection) -> str:
        connection.execute(insert(ITEM).values(name=self.name))
        if self.error is not None:
            raise self.error
        return self.name


def names(connection: Connection) -> list[str]:
    return list(connection.scalars(select(ITEM.c.name).order_by(ITEM.c.name)))


async def test_a_read_sees_every_answered_write(db: Database) -> None:
    assert await db.write(Add("a")) == "a"
    assert await db.read(names) == ["a"]


async def test_writes_that_queue_together_are_all_kept(db: Database) -> None:
    expected = [f"{number:03}" for number in range(300)]
    assert await asyncio.gather(*(db.write(Add(each)) for each in expected)) == expected
    assert await db.read(names) == expected


async def test_a_failing_write_undoes_itself_and_not_its_neighbours(db: Database) -> None:
    gate = threading.Event()
    blocked = asyncio.ensure_future(db.write(lambda _: gate.wait()))
    batch = [db.write(Add("a")), db.write(Add("b", Conflict("X", "no"))), db.write(Add("c"))]
    answers = asyncio.gather(blocked, *batch, return_exceptions=True)
    await asyncio.sleep(0)
    gate.set()
    _, first, second, third = await answers
    assert (first, third) == ("a", "c")
    assert isinstance(second, Conflict)
    assert await db.read(names) == ["a", "c"]


async def test_a_failing_write_alone_in_its_batch_is_undone(db: Database) -> None:
    with pytest.raises(Conflict):
        await db.write(Add("a", Conflict("X", "no")))
    assert await db.read(names) == []


async def test_what_a_constraint_refuses_stays_visible_to_the_adapter(db: Database) -> None:
    await db.write(Add("a"))
    with pytest.raises(IntegrityError):
        await db.write(Add("a"))


async def test_a_cancelled_caller_disturbs_nobody(db: Database) -> None:
    gate = threading.Event()
    blocked = asyncio.ensure_future(db.write(lambda _: gate.wait()))
    gone = asyncio.ensure_future(db.write(Add("gone")))
    stays = asyncio.ensure_future(db.write(Add("stays")))
    await asyncio.sleep(0)
    gone.cancel()
    gate.set()
    assert await blocked
    assert await stays == "stays"
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert "stays" in await db.read(names)


async def test_what_was_queued_is_kept_when_it_closes(url: str) -> None:
    db = await Database.open(url, METADATA, durable=False)
    writes = [asyncio.ensure_future(db.write(Add(str(each)))) for each in range(5)]
    await asyncio.sleep(0)
    await db.close()
    assert sorted(await asyncio.gather(*writes)) == ["0", "1", "2", "3", "4"]
    await db.close()
    with pytest.raises(Unavailable, match="closed"):
        await db.read(names)


@pytest.mark.parametrize("url", PRODUCTS[1:], indirect=True)
async def test_a_reader_cannot_write(db: Database) -> None:
    with pytest.raises(Unavailable):
        await db.read(Add("a"))
    assert await db.read(names) == []


async def test_an_error_of_a_read_reaches_its_caller_alone(db: Database) -> None:
    good, bad = await asyncio.gather(db.read(names), db.read(lambda _: 1 // 0), return_exceptions=True)
    assert good == []
    assert isinstance(bad, ZeroDivisionError)


async def test_a_statement_that_fails_stops_no_other(db: Database) -> None:
    def wrong(connection: Connection) -> None:
        connection.execute(text("SELECT * FROM nowhere"))

    for run in (db.read, db.write):
        first, bad, last = await asyncio.gather(run(names), run(wrong), run(names), return_exceptions=True)
        assert (first, last) == ([], [])
        assert isinstance(bad, DBAPIError)


@pytest.mark.parametrize("url", PRODUCTS[:2], indirect=True)
async def test_a_full_disk_is_exhausted(db: Database) -> None:
    pages = await db.write(lambda connection: connection.exec_driver_sql("PRAGMA page_count").scalar_one())
    await db.write(lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 1}").scalar_one())
    big = [asyncio.ensure_future(db.write(Add(str(each) + "x" * 100_000))) for each in range(3)]
    errors = await asyncio.gather(*big, return_exceptions=True)
    assert {type(each) for each in errors} == {Exhausted}
    assert await db.read(names) == []
    assert await db.write(Add("small")) == "small"


async def test_a_locked_file_is_unavailable(tmp_path: Path) -> None:
    db = await Database.open(f"sqlite:///{tmp_path}/items.db", METADATA, durable=True)
    await db.write(lambda connection: connection.exec_driver_sql("PRAGMA busy_timeout=0").scalar_one())
    other = sqlite3.connect(tmp_path / "items.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable) as caught:
        await db.write(Add("a"))
    other.close()
    assert caught.value.reason == "STORE_UNREACHABLE"
    assert await db.write(Add("a")) == "a"
    await db.close()


async def test_a_file_that_is_no_database_is_corrupt(tmp_path: Path) -> None:
    (tmp_path / "items.db").write_bytes(b"not a database, whatever it is called. " * 100)
    with pytest.raises(Corrupt):
        await Database.open(f"sqlite:///{tmp_path}/items.db", METADATA, durable=True)


async def test_two_parts_share_a_database(db: Database) -> None:
    other = MetaData()
    part = Table("part", other, Column("name", Text, primary_key=True))
    for _ in range(2):
        await db.add(other)
    await db.write(lambda connection: connection.execute(insert(part).values(name="a")).close())
    assert await db.read(lambda connection: connection.scalar(select(part.c.name))) == "a"


@pytest.mark.parametrize("url", PRODUCTS[1:], indirect=True)
async def test_replicas_may_start_at_once(url: str) -> None:
    opened = await asyncio.gather(*(Database.open(url, METADATA, durable=True) for _ in range(6)))
    await asyncio.gather(*(each.write(Add(str(idx))) for idx, each in enumerate(opened)))
    assert await opened[0].read(names) == list("012345")
    for each in opened:
        await each.close()


@pytest.mark.parametrize("url", PRODUCTS[1:], indirect=True)
async def test_what_was_read_under_a_lock_holds_until_the_commit(url: str) -> None:
    def count(connection: Connection) -> int:
        before = connection.scalar(select(func.count()).select_from(ITEM)) or 0
        connection.execute(insert(ITEM).values(name=f"{before:03}"))
        return before

    opened = [await Database.open(url, METADATA, durable=False) for _ in range(2)]
    locks = [["a", "b"], ["b", "c"], ["c", "b", "a"]]
    counted = await asyncio.gather(*(opened[idx % 2].write(count, locks=locks[idx % 3]) for idx in range(60)))
    assert sorted(counted) == list(range(60))
    for each in opened:
        await each.close()


async def test_an_opened_file_keeps_what_it_held(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a%20b/items.db"
    for _ in range(2):
        db = await Database.open(url, METADATA, durable=True)
        count = await db.write(lambda connection: connection.scalar(select(func.count()).select_from(ITEM)))
        await db.write(Add(f"row {count}"))
        await db.close()
    assert (tmp_path / "a b" / "items.db").is_file()
    db = await Database.open(url, METADATA, durable=True)
    assert await db.read(names) == ["row 0", "row 1"]
    await db.close()


async def test_durable_means_that_a_commit_waits_for_the_disk(tmp_path: Path) -> None:
    level_by_durable = {}
    for durable in (True, False):
        db = await Database.open(f"sqlite:///{tmp_path}/{durable}.db", METADATA, durable=durable)
        level_by_durable[durable] = await db.write(lambda each: each.scalar(text("PRAGMA synchronous")))
        await db.close()
    assert level_by_durable == {True: 2, False: 1}


@pytest.mark.parametrize("url", ["sqlite:", "sqlite:///", "sqlite://host/x", "mysql://host/x", "sqlite:///x?mode=ro"])
async def test_another_address_is_refused(url: str) -> None:
    with pytest.raises(Invalid):
        await Database.open(url, METADATA, durable=True)


async def test_an_iterator_that_ended_inside_a_function_is_a_bug_with_a_name(db: Database) -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        await db.write(lambda _: next(iter(())))
