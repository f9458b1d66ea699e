"""What attempts may read in SQL: the same answers as in memory, whatever happened, and each from an index."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from services.artifacts.adapters.bindings import sql, sql_inputs
from services.artifacts.adapters.bindings.memory import MemoryTable
from services.artifacts.adapters.bindings.sql import SqlBindings
from services.artifacts.ports import BindingReader, BindingTransaction, Input, Pin, PinKind
from theory.core.cid import Cid
from theory.core.clock import FakeClock
from theory.core.ids import ExecutionId

EXECUTIONS = [ExecutionId("x"), ExecutionId("x.0"), ExecutionId("y")]
PATHS = ["/artifacts/a", "/artifacts/a/b", "/artifacts/a-b", "/artifacts/b/é", "/streams/s/0"]
CIDS = [Cid.of(bytes([n])) for n in range(4)]


@pytest.fixture
async def table(tmp_path: Path) -> AsyncIterator[SqlBindings]:
    table = await sql.open(f"sqlite:///{tmp_path}/paths.db", FakeClock())
    assert isinstance(table, SqlBindings)
    yield table
    await table.close()


def step(chance: random.Random, transaction: BindingTransaction) -> None:
    execution = chance.choice(EXECUTIONS)
    match chance.choice(["tell", "tell", "forget", "upload", "input", "unpin"]):
        case "tell":
            epoch = chance.randint(1, 2)
            paths = chance.sample(PATHS, chance.randint(0, len(PATHS)))
            transaction.tell([Input(execution, epoch, "w", path, chance.choice(CIDS)) for path in paths])
        case "forget":
            transaction.forget_inputs([execution])
        case "upload":
            transaction.pin([Pin(execution.text, "w", chance.choice(CIDS), PinKind.UPLOAD)])
        case "input":
            transaction.pin([Pin(execution.text, "w", chance.choice(CIDS), PinKind.INPUT)])
        case _:
            transaction.unpin([execution.text], PinKind.UPLOAD)


def everything(reader: BindingReader) -> list[object]:
    return [
        (
            reader.told([execution]),
            reader.input_paths(execution, epoch, PATHS),
            reader.input_page(execution, epoch, "/artifacts/", "", 10),
            reader.input_page(execution, epoch, "/artifacts/a/", "", 10),
            reader.input_page(execution, epoch, "/artifacts/", "/artifacts/a", 2),
            reader.readable(execution, epoch, CIDS),
        )
        for execution in EXECUTIONS
        for epoch in (1, 2)
    ]


async def test_any_history_goes_the_same_way(table: SqlBindings) -> None:
    ours, theirs, memory = random.Random(7), random.Random(7), MemoryTable()
    seen: set[str] = set()
    for number in range(120):
        step(theirs, memory)
        await table.write(lambda transaction: step(ours, transaction))
        if number % 8 == 7:
            expected = everything(memory)
            assert await table.read(everything) == expected
            seen.add(repr(expected))
    assert len(seen) > 10


async def test_no_question_is_asked_of_nothing(table: SqlBindings) -> None:
    assert await table.read(lambda reader: reader.readable(EXECUTIONS[0], 1, [])) == set()
    assert await table.read(lambda reader: reader.told([])) == {}


async def test_questions_are_answered_from_an_index(table: SqlBindings) -> None:
    asked = {"asked": "[]", "execution_id": "x", "epoch": 1, "low": "", "high": "", "after": "", "most": 1}
    statements = (sql_inputs.TOLD, sql_inputs.PATHS, sql_inputs.PAGE, sql_inputs.READABLE, sql_inputs.FORGET)
    for statement in statements:
        explained = text(f"EXPLAIN QUERY PLAN {statement._clause}")
        needed = {name: asked[name] for name in explained._bindparams}

        def plan(connection: Connection, explained: object = explained, needed: object = needed) -> list[str]:
            return [row[3] for row in connection.execute(explained, needed)]  # type: ignore[call-overload]

        steps = await table._database.read(plan)
        assert [each for each in steps if each.startswith("SCAN") and "VIRTUAL TABLE" not in each] == [], explained


async def test_a_step_that_is_undone_leaves_what_was_there() -> None:
    memory = MemoryTable()
    memory.tell([Input(EXECUTIONS[0], 1, "w", PATHS[0], CIDS[0])])
    before = everything(memory)
    memory._journal.clear()
    memory.forget_inputs(EXECUTIONS)
    memory.tell([Input(EXECUTIONS[0], 2, "w", PATHS[1], CIDS[1])])
    memory.undo()
    assert everything(memory) == before
