"""What attempts may read, in SQL, beside the table of paths, in whose transactions it is written."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Column, Index, Integer, MetaData, Table, Text, text

from services.artifacts.adapters.bindings.sql_lists import json_of, texts_of
from services.artifacts.adapters.bindings.sql_retention import RetentionRows
from services.artifacts.ports import Input
from services.drivers.sql.statement import Statement
from theory.core.cid import Cid
from theory.core.ids import ExecutionId

_METADATA = MetaData()

_INPUT = Table(
    "input",
    _METADATA,
    Column("execution_id", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("cid", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("world", Text, nullable=False),
    sqlite_with_rowid=False,
)
Index("input_of_cid", _INPUT.c.execution_id, _INPUT.c.cid)
Index("input_of_world", _INPUT.c.world)

# Said to the driver: one of them stands in the way of every settlement, and finds nothing.
TOLD = Statement(
    text("""
SELECT i.execution_id, max(i.epoch) FROM input AS i
WHERE i.execution_id IN (SELECT value FROM json_each(:asked)) GROUP BY i.execution_id""")
)
PATHS = Statement(
    text("""
SELECT i.path FROM input AS i WHERE i.execution_id = :execution_id AND i.epoch = :epoch
AND i.path IN (SELECT value FROM json_each(:asked))""")
)
PAGE = Statement(
    text("""
SELECT i.path FROM input AS i WHERE i.execution_id = :execution_id AND i.epoch = :epoch
AND i.path >= :low AND i.path < :high AND i.path > :after ORDER BY i.path LIMIT :most""")
)
READABLE = Statement(
    text("""
SELECT a.value FROM json_each(:asked) AS a
WHERE EXISTS (SELECT 1 FROM pin AS p WHERE p.holder = :execution_id AND p.kind = 'upload' AND p.cid = a.value)
OR EXISTS (SELECT 1 FROM input AS i WHERE i.execution_id = :execution_id AND i.cid = a.value AND i.epoch = :epoch)""")
)
_TELL = Statement(
    text("""
INSERT INTO input (execution_id, path, cid, epoch, world)
SELECT json_extract(a.value, '$[0]'), json_extract(a.value, '$[1]'), json_extract(a.value, '$[2]'),
json_extract(a.value, '$[3]'), json_extract(a.value, '$[4]') FROM json_each(:asked) AS a WHERE true
ON CONFLICT DO NOTHING""")
)
DROP = Statement(text("DELETE FROM input WHERE world = :world"))
FORGET = Statement(text("DELETE FROM input WHERE execution_id IN (SELECT value FROM json_each(:asked))"))


def add_to(metadata: MetaData) -> None:
    """Make this table a part of the database."""
    _INPUT.to_metadata(metadata)


class InputRows(RetentionRows):
    """That part of a `BindingTransaction`, on one connection, beside the pins."""

    def drop_rows(self, world: str, limit: int) -> tuple[int, int]:
        DROP.run(self._connection, world=world)
        return super().drop_rows(world, limit)

    def told(self, execution_ids: Collection[ExecutionId]) -> Mapping[ExecutionId, int]:
        rows = TOLD.rows(self._connection, asked=texts_of(execution_ids))
        return {ExecutionId(row[0]): row[1] for row in rows}

    def input_paths(self, execution_id: ExecutionId, epoch: int, paths: Collection[str]) -> set[str]:
        asked = json_of(list(paths))
        rows = PATHS.rows(self._connection, execution_id=execution_id.text, epoch=epoch, asked=asked)
        return {row[0] for row in rows}

    def input_page(self, execution_id: ExecutionId, epoch: int, prefix: str, after: str, limit: int) -> list[str]:
        asked = {"epoch": epoch, "low": prefix, "high": f"{prefix[:-1]}0", "after": after, "most": limit}
        rows = PAGE.rows(self._connection, execution_id=execution_id.text, **asked)
        return [row[0] for row in rows]

    def readable(self, execution_id: ExecutionId, epoch: int, cids: Collection[Cid]) -> set[Cid]:
        if not cids:
            return set()
        rows = READABLE.rows(self._connection, execution_id=execution_id.text, epoch=epoch, asked=texts_of(cids))
        return {Cid(row[0]) for row in rows}

    def tell(self, inputs: Sequence[Input]) -> None:
        rows = [(each.execution_id.text, each.path, each.cid.text, each.epoch, each.world) for each in inputs]
        if rows:
            _TELL.run(self._connection, asked=json_of(rows))

    def forget_inputs(self, execution_ids: Collection[ExecutionId]) -> None:
        if execution_ids:
            FORGET.run(self._connection, asked=texts_of(execution_ids))
