"""Words that every product understands."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, select

from services.drivers.moments import to_us
from services.drivers.sql import Database
from services.drivers.sql.words import insert_new, now_us, upsert
from tests.servers import Servers
from theory.core.clock import FakeClock, SystemClock

METADATA = MetaData()
ITEM = Table(
    "item",
    METADATA,
    Column("place", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("group", Integer),
)

PRODUCTS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]


@pytest.fixture(params=PRODUCTS)
async def db(request: pytest.FixtureRequest) -> Database:
    if request.param == "sqlite":
        return await Database.open("memory:", METADATA, durable=False)
    servers: Servers = request.getfixturevalue("servers")
    return await Database.open(servers.postgres(), METADATA, durable=False)


def row(name: str, group: int) -> dict[str, object]:
    return {"place": "p", "name": name, "group": group}


async def test_the_later_of_two_rows_of_one_key_stays_or_goes(db: Database) -> None:
    def write(connection: Connection) -> list[int]:
        connection.execute(upsert(ITEM), [row("a", 1), row("b", 2), row("a", 3)])
        connection.execute(insert_new(ITEM), [row("a", 4), row("c", 5)])
        return list(connection.scalars(select(ITEM.c.group).order_by(ITEM.c.name)))

    assert await db.write(write) == [3, 2, 5]
    await db.close()


async def test_the_time_is_the_servers_where_there_is_one(db: Database) -> None:
    clock = FakeClock(datetime(2030, 1, 1, tzinfo=UTC))
    ours = to_us(clock.now())

    def write(connection: Connection) -> tuple[str, int, int]:
        one = now_us(connection, clock)
        clock.advance(1.5)
        return connection.dialect.name, one, now_us(connection, clock)

    product, one, two = await db.write(write)
    assert two - one == 1_500_000
    assert (one == ours) is (product == "sqlite")
    _, later, _ = await db.write(write)
    assert (later == ours + 1_500_000) is (product == "sqlite")
    assert abs(later - to_us(SystemClock().now())) < 60_000_000 or product == "sqlite"
    await db.close()
