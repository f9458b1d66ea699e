"""Statements that are said to the driver itself: SQLAlchemy's own way costs more than most of what is said."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, cast

import orjson
from sqlalchemy import ARRAY, ColumnElement, Connection, Insert, Table, Text, bindparam, func, select
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler


def driver_of(connection: Connection) -> Any:  # noqa: ANN401 - whatever the driver calls it
    """The driver's connection below `connection`."""
    return connection.connection.driver_connection


class Statement:
    """A statement of SQLAlchemy Core, spelled once for each product.

    What it is given and what it returns are the driver's plain values: text, numbers, bytes, None, and a list of text
    where the statement says `among`. Its errors are the driver's; the database translates those, too.
    """

    def __init__(self, clause: ClauseElement, columns: Collection[str] | None = None) -> None:
        """`columns`: those that an insert or an update gives values to; all of the table where it is None."""
        self._clause = clause
        self._columns = columns
        self._spelled: dict[str, _Spelled] = {}

    def cursor(self, connection: Connection, /, **values: object) -> Any:  # noqa: ANN401 - the driver's
        """The driver's cursor; whoever does not read it to its end closes it."""
        spelled = self._spelling(connection)
        return driver_of(connection).execute(spelled.text, spelled.bound(values))

    def rows(self, connection: Connection, /, **values: object) -> list[tuple[Any, ...]]:
        """Every row."""
        rows: list[tuple[Any, ...]] = self.cursor(connection, **values).fetchall()
        return rows

    def row(self, connection: Connection, /, **values: object) -> tuple[Any, ...] | None:
        """The first row."""
        found = self.rows(connection, **values)
        return found[0] if found else None

    def scalar(self, connection: Connection, /, **values: object) -> Any:  # noqa: ANN401 - what the statement says
        """The first value of the first row; None where there is none."""
        found = self.rows(connection, **values)
        return found[0][0] if found else None

    def run(self, connection: Connection, /, **values: object) -> int:
        """How many rows it touched."""
        return int(self.cursor(connection, **values).rowcount)

    def text(self, connection: Connection) -> str:
        """As the product's driver takes it."""
        return self._spelling(connection).text

    def _spelling(self, connection: Connection) -> "_Spelled":
        dialect = connection.dialect
        if dialect.name not in self._spelled:
            compiled = cast("SQLCompiler", self._clause.compile(dialect=dialect, column_keys=self._columns))
            constants = {name: bind.value for bind, name in compiled.bind_names.items() if not bind.required}
            self._spelled[dialect.name] = _Spelled(str(compiled), compiled.positiontup, constants)
        return self._spelled[dialect.name]


class Rows:
    """An insert of many rows at once."""

    def __init__(self, clause: Insert, columns: Collection[str] | None = None) -> None:
        """`columns`: those whose values a row has, in their order; all of the table where it is None."""
        table = cast("Table", clause.table)
        self._names = tuple(column.name for column in table.c) if columns is None else tuple(columns)
        self._each = Statement(clause, self._names)
        # To say each row costs a server's driver more than the server: there a column is one list.
        lists = [func.unnest(bindparam(f"all_{name}", type_=ARRAY(table.c[name].type))) for name in self._names]
        self._all = Statement(clause.from_select(self._names, select(*lists)))

    def add(self, connection: Connection, rows: Collection[tuple[object, ...]]) -> None:
        """Insert them; a row may not come twice."""
        if connection.dialect.name == "postgresql":
            columns = zip(self._names, zip(*rows, strict=True), strict=True)
            self._all.run(connection, **{f"all_{name}": list(column) for name, column in columns})
        else:
            driver_of(connection).executemany(self._each.text(connection), rows)


class _Spelled(NamedTuple):
    text: str
    order: list[str] | None
    """The names of the values where the driver counts them; None where it takes them by name."""
    constants: Mapping[str, object]

    def bound(self, values: Mapping[str, object]) -> object:
        if self.order is None:
            return {**self.constants, **values}
        known = {**self.constants, **values}
        return [_listed(known[name]) for name in self.order]


def _listed(value: object) -> object:
    return orjson.dumps(value).decode() if isinstance(value, list) else value


class among(ColumnElement[Any]):  # noqa: N801 - reads as the operator that it is
    """`column` is one of the list that is given by this name, however long it is: the statement keeps its text."""

    inherit_cache = False

    def __init__(self, column: ColumnElement[str], name: str) -> None:
        self.column = column
        self.list: ColumnElement[Any] = bindparam(name, type_=cast("Any", ARRAY(Text)))


@compiles(among)
def _any(clause: among, compiler: SQLCompiler, **_: Any) -> str:
    return f"{compiler.process(clause.column)} = ANY ({compiler.process(clause.list)})"


@compiles(among, "sqlite")
def _in_json(clause: among, compiler: SQLiteCompiler, **_: Any) -> str:
    column, given = compiler.process(clause.column), compiler.process(clause.list)
    return f"{column} IN (SELECT value FROM json_each({given}))"  # noqa: S608 - names of ours
