"""What the SQL store of keys forgets, and how it finds."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.dialects import sqlite

from services.drivers.sql import Database
from services.resources.kv.adapters import sql
from theory.core.adapters import KVIncr, KVPut
from theory.core.clock import FakeClock

HOUR_S = 3_600


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(f"sqlite:///{tmp_path}/kv.db", sql.METADATA, durable=False)
    yield opened
    await opened.close()


async def rows(database: Database, table: str) -> int:
    counted = select(func.count()).select_from(sql.METADATA.tables[table])
    return await database.read(lambda connection: connection.execute(counted).scalar_one())


async def test_what_nobody_asks_for_goes_with_the_writes_of_others(database: Database) -> None:
    clock = FakeClock()
    kv = sql.SqlKV(database, clock)
    await kv.put_many("p-1", [KVPut(f"k{idx}", b"1", ttl_s=1) for idx in range(40)])
    await kv.put_many("p-1", [KVPut("stays", b"1")])
    clock.advance(1)
    for expected in (25, 9, 1):
        await kv.delete_many("p-2", ["other"])
        assert await rows(database, "kv_value") == expected


async def test_a_request_id_is_kept_for_a_day_and_for_the_life_of_its_plan(database: Database) -> None:
    clock = FakeClock()
    kv = sql.SqlKV(database, clock)
    for plan_id in ("ended", "alive"):
        assert await kv.incr_many(plan_id, [KVIncr("n")], "r") == [1]
    clock.advance(23 * HOUR_S)
    await kv.end_plan("ended")
    assert await kv.incr_many("ended", [KVIncr("n")], "r") == [1]
    clock.advance(HOUR_S)
    await kv.end_plan("other")
    assert await rows(database, "kv_request") == 1
    clock.advance(1_000 * HOUR_S)
    assert await kv.incr_many("alive", [KVIncr("n")], "r") == [1]


async def test_a_read_finds_its_keys_by_name(database: Database) -> None:
    asked = sql._FIND.params(plan="p", keys=["a", "b"], now=0)
    spelled = str(asked.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
    steps = await database.read(lambda connection: connection.execute(text(f"explain query plan {spelled}")).all())
    assert "SEARCH kv_value USING INDEX sqlite_autoindex_kv_value_1 (plan_id=? AND key=?)" in str(steps)
