"""What the SQL store of keys forgets and when, what it counts and tells, and how it finds; on every product."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select

from services.drivers.opening import Opening
from services.drivers.sql import Database
from services.drivers.sql.statement import Statement
from services.drivers.sqlite import driver_of
from services.resources.kv.adapters import open_store
from services.resources.kv.adapters.sql import SqlKV, entries, schema
from services.resources.kv.ports import KVFeature, KVQuotas
from tests.servers import Servers
from tests.surroundings import Notes, opening
from tests.turned_postgres import TurnedPostgres
from theory.core.adapters import KVIncr, KVPut
from theory.core.clock import FakeClock
from theory.core.errors import Exhausted, NotReady, TheoryError

HOUR_S = 3_600
PRODUCTS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]


@dataclass
class Place:
    """A database, and its surroundings."""

    url: str
    clock: FakeClock
    notes: Notes
    opening: Opening

    async def store(self, **quotas: int) -> SqlKV:
        made = await open_store(self.url, self.opening, KVQuotas(**quotas))
        assert isinstance(made, SqlKV)
        return made

    async def replica(self) -> tuple[SqlKV, Opening]:
        """The same database, opened by another process."""
        surroundings = opening(self.clock, self.notes)
        made = await open_store(self.url, surroundings, KVQuotas())
        assert isinstance(made, SqlKV)
        return made, surroundings


@pytest.fixture(params=PRODUCTS)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    url, clock, close = f"sqlite:///{tmp_path}/kv.db", FakeClock(), _nothing
    if request.param == "postgresql":
        servers: Servers = request.getfixturevalue("servers")
        url = servers.postgres()
        clock = turned = TurnedPostgres(url)
        close = turned.close
    notes = Notes()
    made = Place(url, clock, notes, opening(clock, notes))
    yield made
    await made.opening.close()
    close()


def _nothing() -> None:
    pass


async def rows(kv: SqlKV, table: str) -> int:
    counted = select(func.count()).select_from(schema.METADATA.tables[table])
    return await kv._shared.database.read(lambda connection: connection.execute(counted).scalar_one())


async def test_it_says_what_it_keeps(place: Place) -> None:
    kv = await place.store()
    assert (kv.kind, kv.durable) == ("sql", True)
    assert (KVFeature.STABLE in kv.features) is place.url.startswith("postgresql:")


async def test_what_nobody_asks_for_goes_with_the_writes_of_others(place: Place) -> None:
    kv = await place.store()
    await kv.put_many("p-1", [KVPut(f"k{idx}", b"1", ttl_s=1) for idx in range(40)])
    await kv.put_many("p-1", [KVPut("stays", b"1")])
    place.clock.advance(1)
    for expected in (41, 25, 9, 1):
        await kv.delete_many("p-2", ["other"])
        assert await rows(kv, "kv_entry") == expected


async def test_what_expired_in_a_plan_goes_with_its_own_writes(place: Place) -> None:
    kv = await place.store(keys=3)
    await kv.put_many("p", [KVPut("a", b"1", ttl_s=1), KVPut("b", b"1", ttl_s=2), KVPut("c", b"1", ttl_s=9)])
    place.clock.advance(2)
    assert await kv.put_many("p", [KVPut("d", b"1"), KVPut("e", b"1")]) == [None, None]
    assert await rows(kv, "kv_entry") == 3
    place.clock.advance(7)
    assert await kv.incr_many("p", [KVIncr("f")]) == [1]


async def test_an_ended_plan_is_hidden_at_once_and_removed_bit_by_bit(place: Place) -> None:
    kv = await place.store()
    for start in range(0, 2_100, 700):
        await kv.put_many("p", [KVPut(f"k{start + idx}", b"1") for idx in range(700)])
    await kv.end_plan("p")
    assert await kv.get_many("p", ["k0", "k2099"]) == [None, None]
    assert await rows(kv, "kv_entry") == 1_100
    place.clock.advance(1)
    for expected in (1_100, 100, 0):
        await kv.put_many("other", [KVPut("a", b"1")] * 1_000)
        assert await rows(kv, "kv_entry") == expected + 1


async def test_the_end_of_a_plan_is_known_for_a_week(place: Place) -> None:
    kv = await place.store()
    await kv.put_many("p", [KVPut("a", b"1")])
    await kv.end_plan("p")
    await kv.end_plan("never-begun")
    place.clock.advance(7 * 24 * HOUR_S - 1)
    for plan_id in ("p", "never-begun"):
        with pytest.raises(NotReady) as caught:
            await kv.put_many(plan_id, [KVPut("a", b"1")])
        assert (caught.value.reason, caught.value.metadata) == ("PLAN_ENDED", {"plan_id": plan_id})
    place.clock.advance(1)
    assert await kv.put_many("p", [KVPut("a", b"2")]) == [None]
    for _ in range(3):
        await kv.delete_many("other", ["a"])
    assert await rows(kv, "kv_plan") == 1


async def test_a_request_id_is_kept_for_a_day_and_for_the_life_of_its_plan(place: Place) -> None:
    kv = await place.store()
    for plan_id in ("ended", "alive"):
        assert await kv.incr_many(plan_id, [KVIncr("n")], "r") == [1]
    place.clock.advance(23 * HOUR_S)
    await kv.end_plan("ended")
    await kv.end_plan("ended")
    assert await kv.incr_many("ended", [KVIncr("n")], "r") == [1]
    with pytest.raises(NotReady):
        await kv.incr_many("ended", [KVIncr("n")], "r2")
    place.clock.advance(HOUR_S)
    await kv.end_plan("other")
    assert await rows(kv, "kv_request") == 1
    place.clock.advance(1_000 * HOUR_S)
    assert await kv.incr_many("alive", [KVIncr("n")], "r") == [1]


async def test_a_remembered_refusal_is_repeated(place: Place) -> None:
    kv = await place.store(keys=1)
    items = [KVIncr("n"), KVIncr("m"), KVIncr("n", (1 << 63) - 1)]
    first, again = [await kv.incr_many("p", items, "r") for _ in range(2)]
    assert [each.reason for each in first if isinstance(each, TheoryError)] == ["QUOTA_EXCEEDED", "COUNTER_OVERFLOW"]
    assert repr(again) == repr(first)


async def test_room_is_given_back(place: Place) -> None:
    kv = await place.store(keys=2, size_bytes=10)
    first, second, third = await kv.put_many("p", [KVPut("a", b"1234"), KVPut("b", b"1234"), KVPut("c", b"")])
    assert (first, second) == (None, None)
    assert isinstance(third, Exhausted)
    assert third.metadata == {"quota": "keys", "limit": "2"}
    grown, other = await kv.put_many("p", [KVPut("a", b"12345"), KVPut("b", b"123")])
    assert isinstance(grown, Exhausted)
    assert grown.metadata == {"quota": "bytes", "limit": "10"}
    assert other is None
    assert await kv.put_many("p", [KVPut("a", b"1", ttl_s=1), KVPut("b", b"1234567")]) == [None, None]
    place.clock.advance(1)
    assert await kv.put_many("p", [KVPut("\u00e9", b"")]) == [None]
    await kv.delete_many("p", ["b", "b", "nobody"])
    assert await kv.put_many("p", [KVPut("d", b"1234567")]) == [None]
    assert isinstance((await kv.put_many("p", [KVPut("d", b"12345678")]))[0], Exhausted)


async def test_every_second_change_is_told_and_waits_for_the_ledger(place: Place) -> None:
    kv = await place.store()
    await kv.put_many("p", [KVPut("before", b"1")])
    await kv.begin_plan("p", 2)
    await kv.put_many("p", [KVPut("a", b"1"), KVPut("b", b"secret")])
    await kv.incr_many("p", [KVIncr("n"), KVIncr("a"), KVIncr("b")])
    await kv.delete_many("p", ["nobody", "n"])
    await kv.end_plan("p")
    assert place.notes.emitted == []
    place.opening.start()
    await place.clock.until_sleepers(1)
    assert [(each.event.event_id, each.event.body) for each in place.notes.appended] == [
        ("kv/2", {"key": "b", "op": "put"}),
        ("kv/4", {"key": "a", "op": "incr"}),
    ]
    assert await rows(kv, "kv_plan") == 1


async def test_replicas_count_as_one(place: Place) -> None:
    one = await place.store()
    two, other = await place.replica()
    await one.begin_plan("p", 10)
    counted = await asyncio.gather(
        *((one, two)[idx % 2].incr_many(f"p{idx % 3 or ''}", [KVIncr("n"), KVIncr("m", 2)]) for idx in range(120))
    )
    assert sorted(total for total, _ in counted if isinstance(total, int)) == sorted(3 * list(range(1, 41)))
    assert await two.get_many("p", ["n", "m"]) == await one.get_many("p", ["n", "m"])
    repeated = await asyncio.gather(*((one, two)[idx % 2].incr_many("p", [KVIncr("n")], "r") for idx in range(20)))
    assert repeated == [[41]] * 20
    await one.end_plan("p")
    with pytest.raises(NotReady):
        await two.put_many("p", [KVPut("a", b"1")])
    other.start()
    place.opening.start()
    await place.clock.until_sleepers(2)
    assert sorted(each.event.event_id for each in place.notes.appended) == sorted(f"kv/{n}0" for n in range(1, 9))
    await other.close()


async def test_a_read_finds_its_keys_by_name(tmp_path: Path) -> None:
    database = await Database.open(f"sqlite:///{tmp_path}/kv.db", schema.METADATA, durable=False)

    def explain(statement: Statement) -> Callable[[Connection], str]:
        asked: dict[str, object] = {"plan": "p", "of_plan": 1, "keys": ["a", "b"], "now": 0}

        def read(connection: Connection) -> str:
            spelled = statement._spelling(connection)
            found = driver_of(connection).execute(f"EXPLAIN QUERY PLAN {spelled.text}", spelled.bound(asked))  # type: ignore[arg-type]
            return str(found.fetchall())

        return read

    for statement in (entries._FIND, entries._WEIGH):
        steps = await database.read(explain(statement))
        assert "SEARCH kv_entry USING INDEX sqlite_autoindex_kv_entry_1 (plan=? AND key=?)" in steps
    await database.close()
