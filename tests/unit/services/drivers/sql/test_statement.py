"""Statements that are said to the driver: the same values in and out, on every product."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    LargeBinary,
    MetaData,
    Table,
    Text,
    bindparam,
    insert,
    select,
    update,
)

from services.drivers.sql import Database
from services.drivers.sql.statement import Rows, Statement, among
from services.drivers.sql.words import insert_new, upsert
from tests.servers import Servers

METADATA = MetaData()
ITEM = Table(
    "item",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("body", LargeBinary),
    Column("size", BigInteger, nullable=False, default=0),
)

FIND = Statement(select(ITEM).where(among(ITEM.c.name, "names")).order_by(ITEM.c.name).limit(bindparam("most")))
GROW = Statement(update(ITEM).where(ITEM.c.size < 10).values(size=ITEM.c.size + bindparam("by")))
PRODUCTS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]


@pytest.fixture(params=PRODUCTS)
async def db(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    url = "memory:"
    if request.param == "postgresql":
        servers: Servers = request.getfixturevalue("servers")
        url = servers.postgres()
    made = await Database.open(url, METADATA, durable=False)
    yield made
    await made.close()


ROWS: list[tuple[object, ...]] = [
    ("a", b"\x00\xff\\'", 1 << 40),
    ("\u00e9 \U0001f511 '%s' \\ \" {}", b"", -1),
    ("c", None, 7),
]


async def test_any_value_comes_back_as_it_was(db: Database) -> None:
    def write(connection: Connection) -> list[tuple[object, ...]]:
        Rows(insert(ITEM)).add(connection, ROWS)
        return FIND.rows(connection, names=[row[0] for row in ROWS] + ["nobody"], most=9)

    found = await db.write(write)
    assert sorted(found) == sorted(ROWS)


async def test_the_later_of_two_inserts_stays_or_goes(db: Database) -> None:
    def write(connection: Connection) -> list[object]:
        Rows(upsert(ITEM)).add(connection, [("a", b"1", 1), ("b", b"2", 2)])
        Rows(upsert(ITEM)).add(connection, [("b", b"3", 3), ("c", b"4", 4)])
        Rows(insert_new(ITEM), ("name", "size")).add(connection, [("c", 5), ("d", 6)])
        return [row[2] for row in FIND.rows(connection, names=list("abcd"), most=9)]

    assert await db.write(write) == [1, 3, 4, 6]


async def test_a_statement_tells_what_it_found_or_touched(db: Database) -> None:
    def write(connection: Connection) -> tuple[object, ...]:
        Rows(insert(ITEM)).add(connection, [("a", None, 1), ("b", None, 20)])
        asked = {"names": ["a", "b"], "most": 1}
        return (
            GROW.run(connection, by=3),
            FIND.row(connection, **asked),
            FIND.scalar(connection, **asked),
            FIND.row(connection, names=[], most=1),
            FIND.scalar(connection, names=[], most=1),
        )

    assert await db.write(write) == (1, ("a", None, 4), "a", None, None)


async def test_a_value_that_is_missing_is_a_bug(db: Database) -> None:
    with pytest.raises(Exception, match="most"):
        await db.read(lambda connection: FIND.rows(connection, names=[]))
