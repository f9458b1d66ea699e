"""Paths in SQL: one row per path that is taken, one per execution that ever prepared.

A path is a primary key, so the database itself lets it be taken once; bound and reserved paths share the table, so that
one range of it answers what lies below a path. Questions are asked for a whole batch in one statement, whose parameter
is a JSON array of what is asked.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Boolean, Column, Connection, Index, Integer, MetaData, Table, Text, TextClause, text

from services.artifacts.adapters.bindings import sql_inputs, sql_retention
from services.artifacts.adapters.bindings.sql_inputs import InputRows
from services.artifacts.adapters.bindings.sql_lists import json_of
from services.artifacts.ports import (
    BindingAdapter,
    BindingReader,
    BindingTransaction,
    EventSink,
    Fence,
    Hold,
    PathKey,
    Probe,
)
from services.drivers import outbox
from services.drivers.moments import from_us, to_us
from services.drivers.sql import Database
from services.drivers.sql.schema import Part, declare
from theory.core.cid import Cid
from theory.core.clock import Clock
from theory.core.ids import ExecutionId, PlanId
from theory.core.ledger import PlanEvent
from theory.core.world_path import WorldName

_T = TypeVar("_T")
METADATA = declare(MetaData(), [Part("artifacts", Path(__file__).parent / "migrations")])
outbox.add_to(METADATA)
sql_retention.add_to(METADATA)
sql_inputs.add_to(METADATA)

_HOLD = Table(
    "hold",
    METADATA,
    Column("world", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("cid", Text, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("time_us", Integer, nullable=False),
    Column("owner", Text),
    # Text sorts by its bytes here, which is what "below a path" and the order of listings rely on.
    sqlite_with_rowid=False,
)
Index("hold_of_cid", _HOLD.c.cid)
Index("hold_of_owner", _HOLD.c.owner, sqlite_where=_HOLD.c.owner.is_not(None))

_FENCE = Table(
    "fence",
    METADATA,
    Column("execution_id", Text, primary_key=True),
    Column("plan_id", Text),
    Column("world", Text),
    Column("epoch", Integer, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("time_us", Integer, nullable=False),
    sqlite_with_rowid=False,
)
Index("fence_in_doubt", _FENCE.c.time_us, sqlite_where=_FENCE.c.open)

_HOLD_COLUMNS = "h.world, h.path, h.cid, h.size_bytes, h.content_type, h.time_us, h.owner"
_FENCE_COLUMNS = "f.execution_id, f.plan_id, f.world, f.epoch, f.open, f.time_us"

_ASKED_WORLD = "json_extract(a.value, '$[0]')"
_ASKED_PATH = "json_extract(a.value, '$[1]')"

_HOLDS = text(f"""
SELECT {_HOLD_COLUMNS} FROM json_each(:asked) AS a CROSS JOIN hold AS h
ON h.world = {_ASKED_WORLD} AND h.path = {_ASKED_PATH}""")  # noqa: S608 - names of columns
# '0' is the character behind '/': between the two lies everything below the path.
_BELOW = text(f"""
SELECT a.key, {_HOLD_COLUMNS} FROM json_each(:asked) AS a CROSS JOIN hold AS h
ON h.world = {_ASKED_WORLD} AND h.path = (
  SELECT b.path FROM hold AS b
  WHERE b.world = {_ASKED_WORLD} AND b.path > {_ASKED_PATH} || '/' AND b.path < {_ASKED_PATH} || '0'
  AND b.owner IS NOT json_extract(a.value, '$[2]') ORDER BY b.path LIMIT 1)""")  # noqa: S608 - names of columns
_FENCES = text(f"""
SELECT {_FENCE_COLUMNS} FROM json_each(:asked) AS a CROSS JOIN fence AS f
ON f.execution_id = a.value""")  # noqa: S608 - names of columns
_PAGE = text(f"""
SELECT {_HOLD_COLUMNS} FROM hold AS h
WHERE h.world = :world AND h.path >= :low AND h.path < :high AND h.path > :after AND h.owner IS NULL
ORDER BY h.path LIMIT :limit""")  # noqa: S608 - names of columns
_IN_DOUBT = text(f"""
SELECT {_FENCE_COLUMNS} FROM fence AS f WHERE f.open AND f.time_us < :before
ORDER BY f.time_us LIMIT :limit""")  # noqa: S608 - names of columns
_BIND = text("""
INSERT INTO hold (world, path, cid, size_bytes, content_type, time_us, owner)
VALUES (:world, :path, :cid, :size_bytes, :content_type, :time_us, NULL)
ON CONFLICT (world, path) DO UPDATE SET cid = excluded.cid, size_bytes = excluded.size_bytes,
content_type = excluded.content_type, time_us = excluded.time_us, owner = NULL WHERE owner IS NOT NULL""")
_RELEASE = text("DELETE FROM hold WHERE owner IN (SELECT value FROM json_each(:asked))")
_RESERVE = text("""
INSERT INTO hold (world, path, cid, size_bytes, content_type, time_us, owner)
VALUES (:world, :path, :cid, :size_bytes, :content_type, :time_us, :owner)""")
_REMEMBER = text("""
INSERT INTO fence (execution_id, plan_id, world, epoch, open, time_us)
VALUES (:execution_id, :plan_id, :world, :epoch, :open, :time_us)
ON CONFLICT (execution_id) DO UPDATE SET plan_id = excluded.plan_id, world = excluded.world,
epoch = excluded.epoch, open = excluded.open, time_us = excluded.time_us""")


async def open(url: str, clock: Clock) -> BindingAdapter:
    """`sqlite:///path`. What is answered is on the disk."""
    database = await Database.open(url, METADATA, durable=True)
    return SqlBindings(database, clock)


class _Table(InputRows):
    """A `BindingTransaction` on one connection; where that may only read, a `BindingReader`."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.recorded = False

    def holds(self, keys: Collection[PathKey]) -> Mapping[PathKey, Hold]:
        return {PathKey(row[0], row[1]): _hold_of(row) for row in self._asked(_HOLDS, map(tuple, keys))}

    def below(self, probes: Collection[Probe]) -> Mapping[Probe, Hold]:
        asked = list(probes)
        rows = self._asked(_BELOW, [(*probe.key, probe.owner) for probe in asked])
        return {asked[row[0]]: _hold_of(row[1:]) for row in rows}

    def fences(self, execution_ids: Collection[ExecutionId]) -> Mapping[ExecutionId, Fence]:
        found = (_fence_of(row) for row in self._asked(_FENCES, {each.text: None for each in execution_ids}))
        return {fence.execution_id: fence for fence in found}

    def bound_page(self, world: WorldName, prefix: str, after: str, limit: int) -> list[Hold]:
        # Every path begins with a slash, so an empty prefix ends where the slashes end.
        high = f"{prefix[:-1]}0"
        asked = {"world": world.text, "low": prefix, "high": high, "after": after, "limit": limit}
        return [_hold_of(row) for row in self._connection.execute(_PAGE, asked)]

    def open_fences(self, before: datetime, limit: int) -> list[Fence]:
        asked = {"before": to_us(before), "limit": limit}
        return [_fence_of(row) for row in self._connection.execute(_IN_DOUBT, asked)]

    def bind(self, holds: Sequence[Hold]) -> None:
        self._connection.execute(_BIND, [_row_of(hold) for hold in holds])

    def release(self, execution_ids: Collection[ExecutionId]) -> None:
        self._connection.execute(_RELEASE, {"asked": json_of([each.text for each in execution_ids])})

    def reserve(self, holds: Sequence[Hold]) -> None:
        self._connection.execute(_RESERVE, [_row_of(hold) for hold in holds])

    def fence(self, fences: Sequence[Fence]) -> None:
        rows = [
            {
                "execution_id": each.execution_id.text,
                "plan_id": each.plan_id and each.plan_id.text,
                "world": each.world and each.world.text,
                "epoch": each.epoch,
                "open": each.open,
                "time_us": to_us(each.time),
            }
            for each in fences
        ]
        self._connection.execute(_REMEMBER, rows)

    def record(self, events: Iterable[PlanEvent]) -> None:
        recorded = list(events)
        outbox.enqueue(self._connection, recorded)
        self.recorded = self.recorded or bool(recorded)

    def _asked(self, statement: TextClause, asked: Iterable[object]) -> Sequence[Sequence[Any]]:
        array = list(asked)
        return self._connection.execute(statement, {"asked": json_of(array)}).all() if array else ()


class SqlBindings:
    """The table behind the port; writes of one moment share a transaction."""

    durable = True

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._pump: outbox.Pump | None = None

    async def write(self, step: Callable[[BindingTransaction], _T]) -> _T:
        result, recorded = await self._database.write(lambda connection: _run(step, connection))
        if recorded and self._pump is not None:
            self._pump.poke()
        return result

    async def read(self, step: Callable[[BindingReader], _T]) -> _T:
        return await self._database.read(lambda connection: step(_Table(connection)))

    def start(self, sink: EventSink) -> None:
        self._pump = outbox.Pump(self._database, sink.append, self._clock)
        self._pump.start()

    async def close(self) -> None:
        if self._pump is not None:
            await self._pump.close()
        await self._database.close()


def _run(step: Callable[[BindingTransaction], _T], connection: Connection) -> tuple[_T, bool]:
    table = _Table(connection)
    return step(table), table.recorded


def _row_of(hold: Hold) -> dict[str, object]:
    return {
        "world": hold.key.world,
        "path": hold.key.path,
        "cid": hold.cid.text,
        "size_bytes": hold.size_bytes,
        "content_type": hold.content_type,
        "time_us": to_us(hold.time),
        "owner": hold.owner,
    }


def _hold_of(row: Sequence[Any]) -> Hold:
    world, path, cid, size_bytes, content_type, time_us, owner = row
    return Hold(PathKey(world, path), Cid(cid), size_bytes, content_type, from_us(time_us), owner)


def _fence_of(row: Sequence[Any]) -> Fence:
    execution_id, plan_id, world, epoch, is_open, time_us = row
    plan, name = plan_id and PlanId(plan_id), world and WorldName(world)
    return Fence(ExecutionId(execution_id), plan, name, epoch, bool(is_open), from_us(time_us))
