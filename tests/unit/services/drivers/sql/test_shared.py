"""Adapters of one service share a database, and its events leave through one pump."""

from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, MetaData, Table, Text, inspect

from services.drivers.sql.shared import share_database, tell
from tests.surroundings import Notes, opening
from theory.core.clock import FakeClock
from theory.core.errors import Unavailable
from theory.core.scratch import kv_changed


def part(name: str) -> MetaData:
    metadata = MetaData()
    Table(name, metadata, Column("name", Text, primary_key=True))
    return metadata


async def test_one_address_is_one_database(tmp_path: Path) -> None:
    surroundings, url = opening(), f"sqlite:///{tmp_path}/a.db"
    one, two = (
        await share_database(surroundings, url, part("one")),
        await share_database(surroundings, url, part("two")),
    )
    assert one is two
    tables = await one.database.read(lambda connection: inspect(connection).get_table_names())
    assert {"one", "two", "outbox"} <= set(tables)
    assert not one.database.stable
    await surroundings.ready()
    other = await share_database(surroundings, f"sqlite:///{tmp_path}/b.db", part("one"))
    assert other is not one
    await surroundings.close()
    with pytest.raises(Unavailable):
        await one.ready()


async def test_changes_that_are_chosen_leave_with_the_service(tmp_path: Path) -> None:
    clock, notes = FakeClock(), Notes()
    surroundings = opening(clock, notes)
    shared = await share_database(surroundings, f"sqlite:///{tmp_path}/a.db", part("one"))

    def write(connection: Connection, every: int) -> bool:
        changes = [kv_changed(key, "put") for key in "ab"]
        return tell(connection, "p", "kv", changes, counted=4, every=every, now=1_767_225_600_000_000)

    assert not await shared.database.write(lambda connection: write(connection, 0))
    assert not await shared.database.write(lambda connection: write(connection, 10))
    assert await shared.database.write(lambda connection: write(connection, 3))
    shared.told()
    assert notes.appended == []
    surroundings.start()
    await clock.until_sleepers(1)
    [told] = notes.appended
    assert (told.plan_id, told.event.event_id, told.event.ts) == ("p", "kv/6", "2026-01-01T00:00:00.000000Z")
    await surroundings.close()
