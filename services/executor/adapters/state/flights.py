"""What is in flight: one row for each memo key that an executor makes a result for."""

from collections.abc import Collection

from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, Text, delete, update

from services.drivers.sql.words import insert_new


class FlightTable:
    """What a state does with the rows; each method within a transaction."""

    def __init__(self, metadata: MetaData) -> None:
        self._rows = Table(
            "memo_flight",
            metadata,
            Column("memo_key", Text, primary_key=True),
            Column("holder", Text, nullable=False),
            Column("until_us", BigInteger, nullable=False),
        )
        self._insert = insert_new(self._rows)

    def take(self, connection: Connection, memo_key: str, *, holder: str, now_us: int, until_us: int) -> bool:
        """Have the key, unless another holder has it whose time is not up."""
        rows = self._rows.c
        row = {"memo_key": memo_key, "holder": holder, "until_us": until_us}
        if connection.execute(self._insert, row).rowcount == 1:
            return True
        free = (rows.holder == holder) | (rows.until_us < now_us)
        taking = update(self._rows).where(rows.memo_key == memo_key, free)
        return connection.execute(taking.values(holder=holder, until_us=until_us)).rowcount == 1

    def leave(self, connection: Connection, memo_key: str, *, holder: str) -> None:
        """Have it no more, unless another holder has it."""
        rows = self._rows.c
        connection.execute(delete(self._rows).where(rows.memo_key == memo_key, rows.holder == holder))

    def keep(self, connection: Connection, memo_keys: Collection[str], *, holder: str, until_us: int) -> None:
        """Have them for longer."""
        rows = self._rows.c
        mine = rows.memo_key.in_(memo_keys) & (rows.holder == holder)
        connection.execute(update(self._rows).where(mine).values(until_us=until_us))
