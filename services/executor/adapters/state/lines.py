"""The lines that executions stand in: one row for each that stands, in the order in which they came."""

from collections.abc import Collection

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)


class LineTable:
    """What a state does with the rows; each method within a transaction."""

    def __init__(self, metadata: MetaData) -> None:
        self._rows = Table(
            "place_in_line",
            metadata,
            Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
            Column("execution_id", Text, nullable=False, unique=True),
            Column("line", Text, nullable=False),
            Column("holder", Text, nullable=False),
            Column("lease_us", BigInteger, nullable=False),
            Index("places_of_line", "line", "position"),
        )

    def line_up(
        self, connection: Connection, execution_id: str, line: str, *, holder: str, now_us: int, until_us: int
    ) -> int:
        """Stand in the line, or go on standing there; how many stand before it whose time is not up."""
        rows = self._rows.c
        held = {"holder": holder, "lease_us": until_us}
        mine = (rows.execution_id == execution_id) & (rows.line == line)
        position = connection.execute(
            update(self._rows).where(mine).values(held).returning(rows.position)
        ).scalar_one_or_none()
        if position is None:
            connection.execute(delete(self._rows).where((rows.line == line) & (rows.lease_us < now_us)))
            place = {"execution_id": execution_id, "line": line, **held}
            position = connection.execute(insert(self._rows).values(place).returning(rows.position)).scalar_one()
        before = select(func.count()).where(rows.line == line, rows.position < position, rows.lease_us >= now_us)
        return int(connection.execute(before).scalar_one())

    def step_out(self, connection: Connection, execution_id: str, *, holder: str) -> None:
        """Stand nowhere, unless another holder put it there."""
        rows = self._rows.c
        connection.execute(delete(self._rows).where(rows.execution_id == execution_id, rows.holder == holder))

    def keep(self, connection: Connection, execution_ids: Collection[str], *, holder: str, until_us: int) -> None:
        """Let them stand for longer."""
        rows = self._rows.c
        mine = rows.execution_id.in_(execution_ids) & (rows.holder == holder)
        connection.execute(update(self._rows).where(mine).values(lease_us=until_us))
