"""Rows of the ledger to and from the database: in bulk, and by the driver itself, on which its rate hangs."""

import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from sqlalchemy import Connection

from services.drivers import sqlite
from services.ledger.ports import Attempt, AttemptState, Changes, Execution, StoredEvent, StoredReceipt
from theory.core.errors import Conflict, Corrupt
from theory.core.ledger import Budget, ChainHead

_T = TypeVar("_T")
_Row = TypeVar("_Row", StoredEvent, StoredReceipt)

# A list of keys is one JSON parameter, so that a statement has one text however many there are. CROSS JOIN fixes the
# order: for each key, look up its row.
_HEADS = "SELECT head.* FROM json_each(?) AS key CROSS JOIN head ON plan_id = key.value"
_HEADS_AFTER = "SELECT * FROM head WHERE plan_id > ? ORDER BY plan_id LIMIT ?"
_BUDGETS = "SELECT budget.* FROM json_each(?) AS key CROSS JOIN budget ON plan_id = key.value"
_EXECUTIONS = "SELECT execution.* FROM json_each(?) AS key CROSS JOIN execution ON execution_id = key.value"
_RECEIPTS = "SELECT receipt.* FROM json_each(?) AS key CROSS JOIN receipt ON receipt_id = key.value"
_EVENTS_BY_ID = (
    "SELECT event.* FROM json_each(?) AS key CROSS JOIN event"
    " ON plan_id = json_extract(key.value, '$[0]') AND event_id = json_extract(key.value, '$[1]')"
)
_ATTEMPTS = (
    "SELECT attempt.* FROM json_each(?) AS key CROSS JOIN attempt"
    " ON execution_id = json_extract(key.value, '$[0]') AND epoch = json_extract(key.value, '$[1]')"
)
_EVENTS = "SELECT * FROM event WHERE plan_id = ? AND seq > ? ORDER BY seq"
_EVENTS_OF_KINDS = (
    "SELECT * FROM event WHERE plan_id = ? AND seq > ? AND kind IN (SELECT value FROM json_each(?)) ORDER BY seq"
)
_RECEIPTS_OF_PLAN = "SELECT * FROM receipt WHERE plan_id = ? AND position > ? ORDER BY position"

_ADD_EVENT = "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_ADD_RECEIPT = "INSERT INTO receipt VALUES (?, ?, ?, ?, ?, ?, ?)"
_ADD_BUDGET = "INSERT INTO budget VALUES (?, ?, ?, ?, ?)"
_MOVE_BUDGET = (
    "UPDATE budget SET reserved = ?, spent = ?, debt = ? WHERE plan_id = ? AND reserved = ? AND spent = ? AND debt = ?"
)
_PUT_HEAD = (
    "INSERT INTO head VALUES (?, ?, ?) ON CONFLICT (plan_id)"
    " DO UPDATE SET seq = excluded.seq, this_hash = excluded.this_hash"
)
_PUT_EXECUTION = (
    "INSERT INTO execution VALUES (?, ?, ?, ?, ?) ON CONFLICT (execution_id)"
    " DO UPDATE SET plan_id = excluded.plan_id, epoch = excluded.epoch, fenced_epoch = excluded.fenced_epoch,"
    " settled_receipt_id = excluded.settled_receipt_id"
)
_PUT_ATTEMPT = (
    "INSERT INTO attempt VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (execution_id, epoch)"
    " DO UPDATE SET state = excluded.state, outcome = excluded.outcome, cost = excluded.cost,"
    " receipt_id = excluded.receipt_id"
)


class SqlTransaction:
    """Reads and writes inside the transaction that the database's thread has begun."""

    def __init__(self, connection: Connection) -> None:
        self._driver = sqlite.driver_of(connection)

    def heads(self, plan_ids: Collection[str]) -> Mapping[str, ChainHead]:
        return {row[0]: ChainHead(*row) for row in self._among(_HEADS, plan_ids)}

    def events(self, keys: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], StoredEvent]:
        return {(row[0], row[2]): StoredEvent._make(row) for row in self._among(_EVENTS_BY_ID, keys)}

    def budgets(self, plan_ids: Collection[str]) -> Mapping[str, Budget]:
        return {row[0]: Budget(*row) for row in self._among(_BUDGETS, plan_ids)}

    def executions(self, execution_ids: Collection[str]) -> Mapping[str, Execution]:
        return {row[0]: Execution(*row) for row in self._among(_EXECUTIONS, execution_ids)}

    def attempts(self, keys: Collection[tuple[str, int]]) -> Mapping[tuple[str, int], Attempt]:
        return {(row[0], row[1]): _attempt(*row) for row in self._among(_ATTEMPTS, keys)}

    def receipts(self, receipt_ids: Collection[str]) -> Mapping[str, StoredReceipt]:
        return {row[0]: StoredReceipt._make(row) for row in self._among(_RECEIPTS, receipt_ids)}

    def write(self, changes: Changes) -> None:
        many = self._driver.executemany
        try:
            many(_ADD_EVENT, changes.events)
            many(_PUT_HEAD, [(each.plan_id, each.seq, each.this_hash) for each in changes.heads])
            many(_ADD_RECEIPT, changes.receipts)
            many(_PUT_EXECUTION, map(_execution_row, changes.executions))
            many(_PUT_ATTEMPT, map(_attempt_row, changes.attempts))
            many(_ADD_BUDGET, [_budget_row(after) for before, after in changes.budgets if before is None])
            moved = [(*_held(after), after.plan_id, *_held(before)) for before, after in changes.budgets if before]
            if moved and many(_MOVE_BUDGET, moved).rowcount != len(moved):
                raise Conflict("SEQ_CONFLICT", "another writer moved an account")
        except sqlite3.IntegrityError as error:
            raise Corrupt("STORE_CORRUPT", "the books contradict themselves: verify the ledger") from error

    def _among(self, statement: str, keys: Collection[object]) -> Iterable[Any]:
        return _fetch(self._driver, statement, (_json(keys),)) if keys else ()


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of a listing is read: rows, and bytes of their preimages. One row is read however long it is."""

    limit: int
    max_bytes: int


def events(
    connection: Connection, plan_id: str, after_seq: int, kinds: Collection[str], bounds: Bounds
) -> tuple[list[StoredEvent], bool]:
    """Events of a chain in order, and whether more follow."""
    driver = sqlite.driver_of(connection)
    statement = _EVENTS
    parameters: list[object] = [plan_id, after_seq]
    if kinds:
        statement = _EVENTS_OF_KINDS
        parameters.append(_json(kinds))
    return _readable(driver, lambda: _bounded(map(StoredEvent._make, driver.execute(statement, parameters)), bounds))


def heads_after(connection: Connection, after: str, limit: int) -> tuple[list[ChainHead], bool]:
    """Heads in order of their plan ids, and whether more follow."""
    found = [ChainHead(*row) for row in _fetch(sqlite.driver_of(connection), _HEADS_AFTER, (after, limit + 1))]
    return found[:limit], len(found) > limit


def receipts(
    connection: Connection, plan_id: str, after_position: int, bounds: Bounds
) -> tuple[list[StoredReceipt], bool]:
    """Receipts of a plan in order, and whether more follow."""
    driver = sqlite.driver_of(connection)
    wanted = (plan_id, after_position)
    return _readable(
        driver, lambda: _bounded(map(StoredReceipt._make, driver.execute(_RECEIPTS_OF_PLAN, wanted)), bounds)
    )


def _bounded(rows: Iterable[_Row], bounds: Bounds) -> tuple[list[_Row], bool]:
    kept: list[_Row] = []
    room = bounds.max_bytes
    for row in rows:
        room -= len(row.preimage)
        if kept and (len(kept) == bounds.limit or room < 0):
            return kept, True
        kept.append(row)
    return kept, False


def _fetch(driver: sqlite3.Connection, statement: str, parameters: tuple[object, ...]) -> list[Any]:
    return _readable(driver, lambda: driver.execute(statement, parameters).fetchall())


def _readable(driver: sqlite3.Connection, read: Callable[[], _T]) -> _T:
    """What `read` returns, whatever was done to the text of rows: a verifier has to see damage to name its place."""
    try:
        return read()
    except sqlite3.OperationalError as error:
        if not str(error).startswith("Could not decode"):
            raise
        driver.text_factory = lambda text: text.decode("utf-8", "replace")
        try:
            return read()
        finally:
            driver.text_factory = str


def _json(keys: Collection[object]) -> str:
    return orjson.dumps(list(keys)).decode()


def _attempt(execution_id: str, epoch: int, attempt_idx: int, reserved: int, state: str, *end: Any) -> Attempt:
    return Attempt(execution_id, epoch, attempt_idx, reserved, AttemptState(state), *end)


def _attempt_row(each: Attempt) -> tuple[object, ...]:
    end = (each.state.value, each.outcome, each.cost_usd_micro, each.receipt_id)
    return each.execution_id, each.epoch, each.attempt_idx, each.reserved_usd_micro, *end


def _execution_row(each: Execution) -> tuple[object, ...]:
    return each.execution_id, each.plan_id, each.epoch, each.fenced_epoch, each.settled_receipt_id


def _held(each: Budget) -> tuple[int, int, int]:
    return each.reserved_usd_micro, each.spent_usd_micro, each.debt_usd_micro


def _budget_row(each: Budget) -> tuple[object, ...]:
    return each.plan_id, each.cap_usd_micro, *_held(each)
