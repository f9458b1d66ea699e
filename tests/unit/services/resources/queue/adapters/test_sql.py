"""What the SQL store of messages keeps, for how long, and how it finds it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.dialects import sqlite

from services.drivers.sql import Database
from services.drivers.sqlite import driver_of
from services.resources.queue.adapters import sql
from theory.core.adapters import QueuePublish
from theory.core.clock import FakeClock
from theory.core.ids import SequenceIds


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(f"sqlite:///{tmp_path}/queue.db", sql.METADATA, durable=False)
    yield opened
    await opened.close()


async def rows(database: Database) -> dict[str, int]:
    counted = {name: select(func.count()).select_from(table) for name, table in sql.METADATA.tables.items()}
    return await database.read(
        lambda connection: {name: connection.execute(count).scalar_one() for name, count in counted.items()}
    )


async def test_a_body_goes_with_its_message(database: Database) -> None:
    queue = sql.SqlQueue(database, FakeClock(), SequenceIds())
    await queue.publish_many("p", "t", [QueuePublish(b"1"), QueuePublish(b"2", "k"), QueuePublish(b"3")])
    messages = await queue.consume(plan_id="p", topic="t", max_messages=2, visibility_timeout_s=1)
    await queue.ack_many("p", "t", [each.receipt_handle for each in messages])
    assert await rows(database) == {"queue_message": 1, "queue_body": 1, "queue_key": 1}
    await queue.end_plan("p")
    assert await rows(database) == {"queue_message": 0, "queue_body": 0, "queue_key": 0}


async def test_old_keys_go_with_the_publishes_of_others(database: Database) -> None:
    clock = FakeClock()
    queue = sql.SqlQueue(database, clock, SequenceIds())
    await queue.publish_many("p", "t", [QueuePublish(b"", f"k{idx}") for idx in range(20)])
    clock.advance(600)
    for expected in (5, 2):
        await queue.publish_many("other", "t", [QueuePublish(b"", str(expected))])
        assert (await rows(database))["queue_key"] == expected


async def test_a_consume_reads_the_messages_that_are_due_and_no_others(database: Database) -> None:
    spelled = f"explain query plan {sql._HAND_OUT.compile(dialect=sqlite.dialect())}"
    values = [1] * spelled.count("?")
    steps = await database.read(lambda connection: driver_of(connection).execute(spelled, values).fetchall())
    assert "queue_message_visible (plan_id=? AND topic=? AND visible_us<?)" in str(steps)
    assert "queue_message USING PRIMARY KEY (plan_id=? AND topic=? AND message_id=?)" in str(steps)
