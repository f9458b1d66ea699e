"""Documents and snapshots in SQL: tables that take rows, and never change one nor let it go."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import orjson
from sqlalchemy import Column, Connection, LargeBinary, MetaData, Table, Text, text
from sqlalchemy.dialects.sqlite import insert

from services.drivers import outbox
from services.drivers.sql import Database
from services.drivers.sql.owner import RIGHTS
from services.drivers.sql.schema import Part, declare
from services.registry.ports import EventSink, RegistryStore, SnapshotRow, SpecRow
from theory.core.clock import Clock
from theory.core.ledger import PlanEvent
from theory.core.refs import Ref, SpecKind
from theory.core.registry import SpecName

METADATA = declare(MetaData(), [Part("registry", Path(__file__).parent / "migrations")])
outbox.add_to(METADATA)

_SPEC = Table(
    "spec",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("ref", Text, primary_key=True),
    Column("document", LargeBinary, nullable=False),
    Column("digest", Text, nullable=False),
    Column("create_time", Text, nullable=False),
    Column("seal", Text, nullable=False),
    sqlite_strict=True,
    info={RIGHTS: "SELECT, INSERT"},
)
_SNAPSHOT = Table(
    "snapshot",
    METADATA,
    Column("snapshot_id", Text, primary_key=True),
    Column("document", LargeBinary, nullable=False),
    Column("digest", Text, nullable=False),
    sqlite_strict=True,
    info={RIGHTS: "SELECT, INSERT"},
)
# Texts are read as bytes: a damaged one may be no text any more, and the rules have to see that.
_SPEC_COLUMNS = (
    "CAST(kind AS BLOB), CAST(ref AS BLOB), document,"
    " CAST(digest AS BLOB), CAST(create_time AS BLOB), CAST(seal AS BLOB)"
)
# CROSS JOIN fixes the order: for each name, look up its row. The asked names come back as they were asked for.
_FIND = text(f"""
SELECT json_extract(a.value, '$[0]'), json_extract(a.value, '$[1]'), {_SPEC_COLUMNS}
FROM json_each(:asked) AS a CROSS JOIN spec
ON kind = json_extract(a.value, '$[0]') AND ref = json_extract(a.value, '$[1]')""")  # noqa: S608 - names of columns
_PAGE = f"SELECT {_SPEC_COLUMNS} FROM spec WHERE (kind, ref) > (:after_kind, :after_ref)"  # noqa: S608 - as above
_ORDER = " ORDER BY kind, ref"
_PAGE_OF_ALL = text(_PAGE + _ORDER)
_PAGE_OF_KIND = text(_PAGE + " AND kind = :kind" + _ORDER)
_SNAPSHOT_BY_ID = text("""
SELECT CAST(snapshot_id AS BLOB), document, CAST(digest AS BLOB) FROM snapshot WHERE snapshot_id = :snapshot_id""")


async def open(url: str, clock: Clock) -> RegistryStore:
    """`sqlite:///path`, where what is answered is on the disk; or `memory:`, empty."""
    return SqlRegistry(await Database.open(url, METADATA, durable=True), clock, durable=url != "memory:")


class SqlRegistry:
    """One database, written by one thread: what was looked up inside a write holds until its commit."""

    def __init__(self, database: Database, clock: Clock, *, durable: bool) -> None:
        self.kind = "sql" if durable else "memory"
        self.durable = durable
        self._database = database
        self._clock = clock
        self._pump: outbox.Pump | None = None

    async def add(self, items: Sequence[tuple[SpecRow, PlanEvent]]) -> Sequence[SpecRow | None]:
        def write(connection: Connection) -> list[SpecRow | None]:
            names = {_name(row): None for row, _ in items}
            standing = dict(_find(connection, names))
            fresh: list[tuple[SpecRow, PlanEvent]] = []
            answers: list[SpecRow | None] = []
            for row, happened in items:
                answers.append(standing.get(_name(row)))
                if answers[-1] is None:
                    standing[_name(row)] = row
                    fresh.append((row, happened))
            if fresh:
                connection.execute(insert(_SPEC), [row._asdict() for row, _ in fresh])
                outbox.enqueue(connection, [happened for _, happened in fresh])
            return answers

        answers = await self._database.write(write)
        if self._pump is not None and None in answers:
            self._pump.poke()
        return answers

    async def find(self, names: Collection[SpecName]) -> Mapping[SpecName, SpecRow]:
        asked = [(name.kind.value, name.ref.text) for name in names]
        found = await self._database.read(lambda connection: _find(connection, asked))
        return {SpecName(SpecKind(kind), Ref(ref)): row for (kind, ref), row in found.items()}

    async def page(
        self, kind: SpecKind | None, *, after: tuple[str, str], limit: int, max_bytes: int
    ) -> tuple[Sequence[SpecRow], bool]:
        statement = _PAGE_OF_ALL if kind is None else _PAGE_OF_KIND
        asked = {"after_kind": after[0], "after_ref": after[1], "kind": kind}

        def read(connection: Connection) -> tuple[Sequence[SpecRow], bool]:
            rows: list[SpecRow] = []
            room = max_bytes
            with connection.execute(statement, asked) as found:
                for columns in found:
                    room -= len(columns[2])
                    if len(rows) == limit or (rows and room < 0):
                        return rows, True
                    rows.append(_spec_row(*columns))
            return rows, False

        return await self._database.read(read)

    async def pin(self, row: SnapshotRow) -> SnapshotRow:
        def write(connection: Connection) -> SnapshotRow:
            connection.execute(insert(_SNAPSHOT).on_conflict_do_nothing(), row._asdict())
            return _snapshot(connection, row.snapshot_id) or row

        # Plans of one kind pin the same snapshot again and again: that needs no commit.
        standing = await self.snapshot(row.snapshot_id)
        return await self._database.write(write) if standing is None else standing

    async def snapshot(self, snapshot_id: str) -> SnapshotRow | None:
        return await self._database.read(lambda connection: _snapshot(connection, snapshot_id))

    def start(self, sink: EventSink) -> None:
        self._pump = outbox.Pump(self._database, sink.append, self._clock)
        self._pump.start()

    async def close(self) -> None:
        if self._pump is not None:
            await self._pump.close()
        await self._database.close()


def _name(row: SpecRow) -> tuple[str, str]:
    return row.kind, row.ref


def _find(connection: Connection, names: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], SpecRow]:
    found = connection.execute(_FIND, {"asked": orjson.dumps(list(names)).decode()})
    return {(kind, ref): _spec_row(*columns) for kind, ref, *columns in found}


def _spec_row(kind: bytes, ref: bytes, document: bytes, *facts: bytes) -> SpecRow:
    return SpecRow(_text(kind), _text(ref), document, *map(_text, facts))


def _snapshot(connection: Connection, snapshot_id: str) -> SnapshotRow | None:
    row = connection.execute(_SNAPSHOT_BY_ID, {"snapshot_id": snapshot_id}).one_or_none()
    return None if row is None else SnapshotRow(_text(row[0]), row[1], _text(row[2]))


def _text(stored: bytes) -> str:
    # A byte that is no UTF-8 becomes a character that nothing of ours holds: no seal fits it.
    return stored.decode("utf-8", "replace")
