"""The database itself refuses to change an event, whoever asks, but for the payload of one that proves nothing."""

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from services.drivers.sql import Database
from services.ledger.adapters.sql.schema import METADATA
from services.ledger.assembly import assemble
from services.ledger.config import LedgerConfig
from tests.backends import require
from tests.servers import Postgres
from theory.core.errors import TheoryError
from theory.core.ledger import PlanEvent
from theory.sdk.ledger import LedgerClient
from theory.testing.case import Target
from theory.testing.cases.ledger_plan import LedgerPlan, event
from theory.wire.identity import Role
from theory.wire.server import running

_NOTHING = {"sqlite": "x''", "postgresql": "''::bytea"}
_OTHER = {"sqlite": "x'7b7d'", "postgresql": "'{}'::bytea"}


@pytest.fixture(params=["sqlite", "postgresql"])
async def books(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Database, str]]:
    """The database of a ledger that holds a settlement, and one event that may be pruned."""
    server = None
    url = f"sqlite:///{tmp_path}/ledger.db"
    if request.param == "postgresql":
        server = Postgres()
        require("postgres", server.missing())
        server.__enter__()
        url = server.url
    try:
        unit = await assemble(LedgerConfig.load({"home": tmp_path, "database_url": url}))
        async with running([unit]) as served:
            plan = LedgerPlan(Target(served.channel))
            await plan.ledger.open_budget(plan.plan_id, 100)
            claimed = await plan.claim(reserve=40)
            executor = LedgerClient(served.channel(Role.EXECUTOR))
            await executor.append(PlanEvent(plan.plan_id.text, event("started")))
            await plan.ledger.settle(plan.end(claimed.epoch, cost=20))
        database = await Database.open(url, METADATA, durable=False)
        yield database, request.param
        await database.close()
    finally:
        if server is not None:
            server.__exit__(None, None, None)


def _deeds(dialect: str) -> list[str]:
    nothing, started = _NOTHING[dialect], "WHERE kind = 'execution.started'"
    columns = ("log_index", "chain", "seq", "ts_us")
    deeds = [
        "DELETE FROM event",
        "DELETE FROM receipt",
        "UPDATE receipt SET epoch = 9",
        "UPDATE event SET kind = 'a.b'",
        f"UPDATE event SET preimage = {nothing}",
        f"UPDATE event SET preimage = {nothing} WHERE kind = 'execution.settled'",
        f"UPDATE event SET preimage = {nothing} WHERE kind LIKE 'budget.%'",
        f"UPDATE event SET preimage = {_OTHER[dialect]} {started}",
        f"UPDATE event SET preimage = {nothing}, event_key = 'other' {started}",
        f"UPDATE event SET preimage = {nothing}, kind = 'scratch.a' {started}",
        f"UPDATE event SET preimage = {nothing}, this_hash = {_OTHER[dialect]} {started}",
        *(f"UPDATE event SET preimage = {nothing}, {each} = {each} + 1000 {started}" for each in columns),
    ]
    return deeds + (["TRUNCATE event", "TRUNCATE receipt"] if dialect == "postgresql" else [])


async def test_nothing_but_a_pruning_changes_an_event(books: tuple[Database, str]) -> None:
    database, dialect = books
    before = await database.read(_everything)
    for deed in _deeds(dialect):
        with pytest.raises((DBAPIError, TheoryError)) as caught:
            await database.write(_doing(deed))
        assert re.search("kept as it is|contradict|STORE_CORRUPT", f"{caught.value!r} {caught.value.__cause__!r}"), deed
        assert await database.read(_everything) == before
    emptied = f"UPDATE event SET preimage = {_NOTHING[dialect]} WHERE kind = 'execution.started'"
    assert await database.write(_doing(emptied)) == 1
    after = await database.read(_everything)
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 1


def _doing(deed: str) -> Callable[[Connection], int]:
    return lambda connection: connection.execute(text(deed)).rowcount


def _everything(connection: Connection) -> list[tuple[object, ...]]:
    rows = [
        *connection.execute(text("SELECT * FROM event ORDER BY log_index")),
        *connection.execute(text("SELECT * FROM receipt ORDER BY receipt_id")),
    ]
    return [tuple(bytes(each) if isinstance(each, memoryview) else each for each in row) for row in rows]
