"""The ledger's books in one SQL database: group commit, and tables that refuse to forget."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import Connection

from services.drivers.sql import Database
from services.ledger.adapters.sql import rows
from services.ledger.adapters.sql.rows import SqlTransaction
from services.ledger.adapters.sql.schema import METADATA
from services.ledger.ports import EventFilter, LedgerTransaction, StoredEvent, StoredReceipt
from theory.core.chain import GENESIS
from theory.core.ledger import Budget, ChainHead
from theory.core.secret import Secret
from theory.core.tiles import TileKey

_T = TypeVar("_T")


async def open(url: str, secret: Secret | None = None) -> "SqlLedger":
    """`sqlite:///path` or `postgresql://...`; the tables are made where there are none."""
    return SqlLedger(await Database.open(url, METADATA, durable=True, secret=secret))


_WRITER = "ledger"
"""What every transaction that writes locks: the events of all replicas are leaves of one tree, in one order."""


class SqlLedger:
    """One database, written by one thread of one replica at a time."""

    kind = "sql"
    durable = True

    def __init__(self, db: Database) -> None:
        self._db = db
        self._hear: Callable[[Collection[str]], None] | None = None

    def listen(self, hear: Callable[[Collection[str]], None]) -> None:
        self._hear = hear

    async def transact(self, fn: Callable[[LedgerTransaction], _T]) -> _T:
        appended: Collection[str] = ()

        def run(connection: Connection) -> _T:
            nonlocal appended
            transaction = SqlTransaction(connection)
            answer = fn(transaction)
            appended = transaction.appended
            return answer

        answer = await self._db.write(run, locks=[_WRITER])
        if self._hear is not None and appended:
            self._hear(appended)
        return answer

    async def list_events(
        self, plan_id: str, *, after_seq: int, chosen: EventFilter, limit: int, max_bytes: int
    ) -> tuple[Sequence[StoredEvent], ChainHead, bool]:
        def run(connection: Connection) -> tuple[Sequence[StoredEvent], ChainHead, bool]:
            found, more = rows.events(connection, plan_id, after_seq, chosen, rows.Bounds(limit, max_bytes))
            head = SqlTransaction(connection).heads([plan_id]).get(plan_id, ChainHead(plan_id, 0, GENESIS))
            return found, head, more

        return await self._db.read(run)

    async def heads(self, plan_ids: Collection[str]) -> Mapping[str, ChainHead]:
        return await self._db.read(lambda connection: SqlTransaction(connection).heads(plan_ids))

    async def list_heads(self, *, after: str, limit: int) -> tuple[Sequence[ChainHead], bool]:
        return await self._db.read(lambda connection: rows.heads_after(connection, after, limit))

    async def log_size(self) -> int:
        return await self._db.read(lambda connection: SqlTransaction(connection).log_size())

    async def tiles(self, keys: Collection[TileKey]) -> Mapping[TileKey, bytes]:
        return await self._db.read(lambda connection: SqlTransaction(connection).tiles(keys))

    async def budget(self, plan_id: str) -> Budget | None:
        return await self._db.read(lambda connection: SqlTransaction(connection).budgets([plan_id]).get(plan_id))

    async def receipts(self, receipt_ids: Collection[str]) -> Mapping[str, StoredReceipt]:
        return await self._db.read(lambda connection: SqlTransaction(connection).receipts(receipt_ids))

    async def list_receipts(
        self, plan_id: str, *, after_position: int, limit: int, max_bytes: int
    ) -> tuple[Sequence[StoredReceipt], bool]:
        bounds = rows.Bounds(limit, max_bytes)
        return await self._db.read(lambda connection: rows.receipts(connection, plan_id, after_position, bounds))

    async def close(self) -> None:
        await self._db.close()
