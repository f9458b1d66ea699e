"""The table in SQL answers as the one in memory does, whatever happens to both."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from services.artifacts.adapters.bindings import sql, sql_retention
from services.artifacts.adapters.bindings.memory import MemoryTable
from services.artifacts.adapters.bindings.sql import SqlBindings
from services.artifacts.adapters.blobs.memory import MemoryBlobs
from services.artifacts.domain import bindings, pinning
from services.artifacts.domain.bindings import Write, Written
from services.artifacts.domain.holdings import folders_of
from services.artifacts.ports import (
    BindingReader,
    BindingTransaction,
    DroppedWorld,
    Fence,
    Hold,
    PathKey,
    Pin,
    PinKind,
    Probe,
    StoredBlob,
)
from services.drivers.sql.statement import Statement, driver_of
from theory.core.artifact import Output
from theory.core.binding import Abortion, Commitment, Preparation
from theory.core.cid import Cid
from theory.core.clock import FakeClock
from theory.core.errors import Invalid, TheoryError
from theory.core.ids import ExecutionId, PlanId
from theory.core.world_path import WorldName, WorldPath

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SEGMENTS = ["a", "a.b", "a0", "b", "c", "d", "é"]
WORLDS = [WorldName("w"), WorldName("v")]
EXECUTIONS = [ExecutionId(name) for name in "stuvwxyz"]
DATA = [b"one", b"two"]
BLOBS = MemoryBlobs()
BLOBS.data_by_cid.update({Cid.of(data): data for data in DATA})
CIDS = [Cid.of(data) for data in DATA]
LATER = NOW + timedelta(days=1)
STEPS = 80


@pytest.fixture
async def table(tmp_path: Path) -> AsyncIterator[SqlBindings]:
    opened = await sql.open(f"sqlite:///{tmp_path}/artifacts.db", FakeClock())
    assert isinstance(opened, SqlBindings)
    yield opened
    await opened.close()


def some_path(chance: random.Random) -> WorldPath:
    return WorldPath("/artifacts/" + "/".join(chance.choices(SEGMENTS, k=chance.randint(1, 3))))


def some_outputs(chance: random.Random) -> tuple[Output, ...]:
    paths = {some_path(chance) for _ in range(chance.randint(0, 3))}
    data = [chance.choice(DATA) for _ in paths]
    return tuple(Output(path, Cid.of(each), len(each)) for path, each in zip(sorted(paths), data, strict=True))


def step(chance: random.Random, transaction: BindingTransaction, now: datetime) -> list[str]:
    """One batch of a history: what it came to, item by item."""
    count = chance.randint(1, 3)
    results: list[Written | TheoryError | None]
    match chance.choice(["bind", "prepare", "prepare", "prepare", "commit", "commit", "abort", "pin", "go"]):
        case "bind":
            world = chance.choice(WORLDS)
            writes = [
                Write(world, some_path(chance), Cid.of(chance.choice(DATA)), "text/plain", None) for _ in range(count)
            ]
            results = [*bindings.bind(transaction, BLOBS, writes, now=now)]
        case "prepare":
            prepared = [_prepared(chance, transaction) for _ in range(count)]
            results = [*bindings.prepare(transaction, BLOBS, prepared, now=now)]
        case "commit":
            settled = [_settled(chance, transaction) for _ in range(count)]
            results = [*bindings.commit(transaction, settled, now=now)]
        case "pin":
            results = [*pinning.pin(transaction, BLOBS, [_pin(chance) for _ in range(count)])]
        case "go":
            _gone(chance, transaction, now)
            results = []
        case _:
            execution = chance.choice(EXECUTIONS)
            bindings.abort(transaction, [Abortion(execution, _epoch(chance, transaction, execution))], now=now)
            results = []
    return [each.reason if isinstance(each, TheoryError) else repr(each) for each in results]


def _epoch(chance: random.Random, reader: BindingReader, execution: ExecutionId) -> int:
    """The one in force, or the next; now and then one that is over."""
    fence = reader.fences([execution]).get(execution)
    return max(1, (fence.epoch if fence else 0) + chance.choice([-1, 0, 0, 1, 1, 1, 1]))


def _prepared(chance: random.Random, reader: BindingReader) -> Preparation:
    execution = chance.choice(EXECUTIONS)
    epoch = _epoch(chance, reader, execution)
    return Preparation(WORLDS[0], PlanId("p-1"), execution, epoch, some_outputs(chance))


def _settled(chance: random.Random, reader: BindingReader) -> Commitment:
    """Mostly what an execution has reserved, so that commits succeed now and then."""
    world, execution = WORLDS[0], chance.choice(EXECUTIONS)
    fence = reader.fences([execution]).get(execution)
    keys = [PathKey(world.text, path.text) for path in EVERY_PATH]
    held = [hold for hold in reader.holds(keys).values() if hold.owner == execution.text]
    held.sort(key=lambda hold: hold.key)
    chosen = held if chance.random() < 0.8 else held[1:]
    outputs = tuple(Output(WorldPath(hold.key.path), hold.cid, hold.size_bytes, hold.content_type) for hold in chosen)
    return Commitment(world, PlanId("p-1"), execution, fence.epoch if fence else 1, "b3:receipt", outputs)


def _pin(chance: random.Random) -> Pin:
    data = chance.choice([*DATA, b"nowhere"])
    return Pin(chance.choice(EXECUTIONS).text, chance.choice(WORLDS).text, Cid.of(data), chance.choice([*PinKind]))


def _gone(chance: random.Random, transaction: BindingTransaction, now: datetime) -> None:
    """Marks come and go; now and then a world is dropped, in pieces."""
    some = chance.sample([Cid.of(data) for data in DATA], chance.randint(0, 2))
    match chance.choice(["mark", "mark", "unmark", "condemn", "drop", "note"]):
        case "mark":
            transaction.mark([StoredBlob(cid, 3, now) for cid in some], now)
        case "unmark":
            transaction.unmark(some)
        case "condemn":
            transaction.condemn(some)
        case "drop":
            rows = transaction.drop_rows(WORLDS[1].text, 1)
            transaction.drop(DroppedWorld("x", NOW, sum(rows), done=chance.random() < 0.5))
        case _:
            transaction.note(chance.choice("ab"), chance.choice("cd"))


def _every_path() -> list[WorldPath]:
    paths = [f"/artifacts/{first}" for first in SEGMENTS]
    for _ in range(2):
        paths += [f"{path}/{segment}" for path in paths for segment in SEGMENTS]
    return [WorldPath(path) for path in dict.fromkeys(paths) if path.count("/") <= 4]


EVERY_PATH = _every_path()
EVERY_KEY = [PathKey(world.text, path.text) for world in WORLDS for path in EVERY_PATH]


def everything(reader: BindingReader) -> tuple[object, ...]:
    """All that a table can be asked."""
    return (
        dict(reader.holds(EVERY_KEY)),
        dict(reader.below([Probe(key, owner) for key in EVERY_KEY[:60] for owner in ("", "x")])),
        dict(reader.fences(EXECUTIONS)),
        reader.bound_page(WORLDS[0], "", "", 1000),
        reader.bound_page(WORLDS[0], "/artifacts/a/", "/artifacts/a/a", 3),
        sorted(reader.open_fences(NOW + timedelta(days=1), 10), key=lambda fence: fence.execution_id),
        [reader.pinned(each.text, CIDS) for each in EXECUTIONS],
        (reader.referenced(CIDS), reader.marked(), reader.marks(CIDS), reader.deleting(5), reader.due(LATER, 5)),
        (reader.dropped(["x", "w"]), reader.dropping(), [reader.noted(name) for name in "abc"]),
        [reader.reserver(world.text) is None for world in WORLDS],
    )


@pytest.mark.parametrize("seed", range(4))
async def test_any_history_goes_the_same_way(table: SqlBindings, seed: int) -> None:
    ours, theirs, memory = random.Random(seed), random.Random(seed), MemoryTable()
    for number in range(STEPS):
        now = NOW + timedelta(microseconds=number)
        expected = step(theirs, memory, now)
        assert await table.write(lambda step_on, at=now: step(ours, step_on, at)) == expected  # type: ignore[misc]
        if number % 40 == 39:
            assert await table.read(everything) == everything(memory)
    held = memory.holds(EVERY_KEY)
    assert held
    # I-9, looked at without any of the rules: nothing that is held is a folder of anything that is held.
    assert not {folder for key in held for folder in folders_of(key)} & held.keys()


async def test_questions_are_answered_from_an_index(table: SqlBindings) -> None:
    asked = {"asked": "[]", "world": "w", "low": "", "high": "", "after": "", "limit": 1, "before": 1}
    for statement in (sql._HOLDS, sql._BELOW, sql._FENCES, sql._PAGE, sql._IN_DOUBT, sql._RELEASE):
        explained = text(f"EXPLAIN QUERY PLAN {statement.text}")
        needed = {name: asked[name] for name in explained._bindparams}

        def plan(connection, explained=explained, needed=needed):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            return [row[3] for row in connection.execute(explained, needed)]

        steps = await table._database.read(plan)
        assert [each for each in steps if each.startswith("SCAN") and "VIRTUAL TABLE" not in each] == [], statement.text


async def test_questions_about_what_goes_are_answered_from_an_index(table: SqlBindings) -> None:
    values = {"asked": "[]", "holder": "x", "before": 1, "most": 1, "world": "w", "name": "n"}
    for name in ("PINNED", "REFERENCED", "MARKS", "DUE", "DELETING", "DROPPED", "DROPPING", "RESERVER", "NOTED"):
        statement: Statement = getattr(sql_retention, name)

        def plan(connection: Connection, statement: Statement = statement) -> list[str]:
            spelled = statement.text(connection)
            names = statement._spelling(connection).order or []
            asked = [values[each] for each in names]
            return [row[3] for row in driver_of(connection).execute(f"EXPLAIN QUERY PLAN {spelled}", asked)]

        steps = await table._database.read(plan)
        scans = [each for each in steps if each.startswith("SCAN") and "VIRTUAL TABLE" not in each]
        # A small index is read through where it holds nothing else: reservations that are open, drops under way.
        assert [each for each in scans if "USING INDEX" not in each and "COVERING INDEX" not in each] == [], name


async def test_a_step_that_raises_leaves_nothing(table: SqlBindings) -> None:
    key = PathKey("w", "/artifacts/a")

    def fails(transaction: BindingTransaction) -> None:
        transaction.bind([Hold(key, Cid.of(b""), 0, "text/plain", NOW, None)])
        raise Invalid("FIELD_INVALID", "no")

    with pytest.raises(Invalid):
        await table.write(fails)
    assert await table.read(lambda reader: reader.holds([key])) == {}


async def test_the_database_itself_never_binds_a_path_twice(table: SqlBindings) -> None:
    key = PathKey("w", "/artifacts/a")
    first, second = (Hold(key, Cid.of(data), 0, "text/plain", NOW, None) for data in DATA)
    await table.write(lambda transaction: transaction.bind([first]))
    await table.write(lambda transaction: transaction.bind([second]))
    assert await table.read(lambda reader: reader.holds([key])) == {key: first}


async def test_what_was_written_is_there_after_a_restart(table: SqlBindings, tmp_path: Path) -> None:
    key, x = PathKey("w", "/artifacts/é"), ExecutionId("x")
    hold = Hold(key, Cid.of(b""), 7, "text/plain", NOW + timedelta(microseconds=1), "x")
    fence = Fence(x, PlanId("p-1"), WORLDS[0], 2**62, open=True, time=NOW)

    def written(transaction: BindingTransaction) -> None:
        transaction.reserve([hold])
        transaction.fence([fence])

    await table.write(written)
    await table.close()
    again = await sql.open(f"sqlite:///{tmp_path}/artifacts.db", FakeClock())
    assert await again.read(lambda reader: reader.holds([key])) == {key: hold}
    assert await again.read(lambda reader: reader.fences([x])) == {x: fence}
    await again.close()
