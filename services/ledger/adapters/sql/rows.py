"""Rows of the ledger to and from the database: in bulk, and by the driver itself, on which its rate hangs."""

import sqlite3
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
import psycopg
from sqlalchemy import Connection, insert

from services.drivers.sql.statement import Rows, driver_of
from services.drivers.sql.words import upsert
from services.ledger.adapters.sql import schema
from services.ledger.adapters.sql.events import key_of, row_of, stored_of
from services.ledger.adapters.sql.words import WORDS_BY_DIALECT
from services.ledger.ports import (
    Attempt,
    AttemptState,
    Changes,
    EventFilter,
    Execution,
    Payload,
    StoredEvent,
    StoredReceipt,
)
from theory.core.errors import Conflict, Corrupt, shown
from theory.core.ledger import Budget, ChainHead
from theory.core.tiles import TileKey

_T = TypeVar("_T")
_Row = TypeVar("_Row", StoredEvent, StoredReceipt)

_MOVE_HEADS = Rows(upsert(schema.HEAD))
_ADD_EVENTS = Rows(insert(schema.EVENT))
_ADD_RECEIPTS = Rows(insert(schema.RECEIPT))
_ADD_BUDGETS = Rows(insert(schema.BUDGET))
_PUT_EXECUTIONS = Rows(upsert(schema.EXECUTION))
_PUT_ATTEMPTS = Rows(upsert(schema.ATTEMPT))
_PUT_TILES = Rows(upsert(schema.TILE))

_HEAD = (int, str, int, str)
_EVENT = (int, int, int, str, str, int, bytes, bytes)
_TILE = (int, int, bytes)
_BUDGET = (str, int, int, int, int)
_RECEIPT = (str, str, int, str, str, int, bytes)


class SqlTransaction:
    """Reads and writes inside the transaction that the database's thread has begun."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._driver = driver_of(connection)
        self._words = WORDS_BY_DIALECT[connection.dialect.name]
        self.appended: Collection[str] = ()
        """To which chains it appended."""
        self._chains: dict[str, int] = {}
        self._keys: dict[tuple[str, str], str] = {}

    def heads(self, plan_ids: Collection[str]) -> Mapping[str, ChainHead]:
        rows = list(_typed(self._among(self._words.heads, plan_ids), "head", _HEAD))
        self._chains |= {row[1]: row[0] for row in rows}
        return {row[1]: ChainHead(*row[1:]) for row in rows}

    def events(self, keys: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], StoredEvent]:
        self._keys |= {each: key_of(*each) for each in keys}
        rows = self._among(self._words.events_by_key, [self._keys[each] for each in keys])
        asked = {self._keys[each]: each for each in keys}
        # By what was asked: a pruned event has no id any more.
        return {asked[row[3]]: stored_of(row[:-1], row[-1]) for row in _typed(rows, "event", _EVENT)}

    def kinds(self, plan_id: str, among: Collection[str]) -> Collection[str]:
        return {row[0] for row in _fetch(self._driver, self._words.kinds, (plan_id, _json(among)))}

    def payloads(self, plan_id: str, *, after_seq: int, to_seq: int, chosen: EventFilter, limit: int) -> list[Payload]:
        values = (plan_id, after_seq, to_seq, _json(chosen.kinds), _json(chosen.families), limit)
        found = _fetch(self._driver, self._words.payloads, values)
        return [Payload(index, seq, kind, this_hash.hex(), size) for index, seq, kind, this_hash, size in found]

    def log_size(self) -> int:
        found = self._driver.execute(self._words.log_size).fetchone()
        return found[0] if found else 0

    def tiles(self, keys: Collection[TileKey]) -> Mapping[TileKey, bytes]:
        rows = self._among(self._words.tiles, [tuple(each) for each in keys])
        return {TileKey(*row[:2]): row[2] for row in _typed(rows, "tile", _TILE)}

    def budgets(self, plan_ids: Collection[str]) -> Mapping[str, Budget]:
        return {row[0]: Budget(*row) for row in _typed(self._among(self._words.budgets, plan_ids), "budget", _BUDGET)}

    def executions(self, execution_ids: Collection[str]) -> Mapping[str, Execution]:
        return {row[0]: Execution(*row) for row in self._among(self._words.executions, execution_ids)}

    def attempts(self, keys: Collection[tuple[str, int]]) -> Mapping[tuple[str, int], Attempt]:
        return {(row[0], row[1]): _attempt(*row) for row in self._among(self._words.attempts, keys)}

    def receipts(self, receipt_ids: Collection[str]) -> Mapping[str, StoredReceipt]:
        rows = self._among(self._words.receipts, receipt_ids)
        return {row[0]: StoredReceipt._make(row) for row in _typed(rows, "receipt", _RECEIPT)}

    def write(self, changes: Changes) -> None:
        self.appended = [each.plan_id for each in changes.heads]
        try:
            self._put_heads(changes.heads)
            self._add(_ADD_EVENTS, [self._row_of(each) for each in changes.events])
            if changes.pruned:
                self._driver.execute(self._words.prune, (_json([each.log_index for each in changes.pruned]),))
            self._add(_PUT_TILES, [(*key, hashes) for key, hashes in changes.tiles.items()])
            if changes.log_sizes is not None:
                self._grow(*changes.log_sizes)
            self._add(_ADD_RECEIPTS, changes.receipts)
            self._add(_PUT_EXECUTIONS, [_execution_row(each) for each in changes.executions])
            self._add(_PUT_ATTEMPTS, [_attempt_row(each) for each in changes.attempts])
            self._add(_ADD_BUDGETS, [_budget_row(after) for before, after in changes.budgets if before is None])
            for before, after in changes.budgets:
                if before is not None:
                    self._move(before, after)
        except (sqlite3.IntegrityError, psycopg.IntegrityError) as error:
            raise Corrupt("STORE_CORRUPT", "the books contradict themselves: verify the ledger") from error

    def _put_heads(self, heads: Collection[ChainHead]) -> None:
        if unread := [each.plan_id for each in heads if each.plan_id not in self._chains]:
            self.heads(unread)
        moved: list[tuple[object, ...]] = []
        for head in heads:
            if (chain := self._chains.get(head.plan_id)) is None:
                begun = self._driver.execute(self._words.begin_chain, tuple(head)).fetchone()
                self._chains[head.plan_id] = begun[0]
            else:
                moved.append((chain, *head))
        self._add(_MOVE_HEADS, moved)

    def _row_of(self, event: StoredEvent) -> tuple[object, ...]:
        key = self._keys.get((event.plan_id, event.event_id))
        return row_of(event, self._chains[event.plan_id], key or key_of(event.plan_id, event.event_id))

    def _add(self, rows: Rows, values: Collection[tuple[object, ...]]) -> None:
        if values:
            rows.add(self._connection, values)

    def _grow(self, before: int, after: int) -> None:
        if not before:
            self._driver.execute(self._words.begin_log, (after,))
        elif self._driver.execute(self._words.grow_log, (after, before)).rowcount != 1:
            raise Conflict("SEQ_CONFLICT", "another writer has appended")

    def _move(self, before: Budget, after: Budget) -> None:
        moved = self._driver.execute(self._words.move_budget, (*_held(after), after.plan_id, *_held(before)))
        if moved.rowcount != 1:
            raise Conflict("SEQ_CONFLICT", "another writer moved an account")

    def _among(self, statement: str, keys: Collection[object]) -> Iterable[Any]:
        return _fetch(self._driver, statement, (_json(keys),)) if keys else ()


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of a listing is read: rows, and bytes of their preimages. One row is read however long it is."""

    limit: int
    max_bytes: int


def events(
    connection: Connection, plan_id: str, after_seq: int, chosen: EventFilter, bounds: Bounds
) -> tuple[list[StoredEvent], bool]:
    """The chosen events of a chain in order, and whether more follow."""
    driver, words = driver_of(connection), WORDS_BY_DIALECT[connection.dialect.name]
    statement = words.events
    values: tuple[object, ...] = (plan_id, after_seq)
    if not chosen.everything:
        times = (chosen.begin_us, chosen.end_us)
        if chosen.kinds or chosen.families:
            statement = words.events_of_kinds
            values = (*values, *times, _json(chosen.kinds), _json(chosen.families))
        else:
            statement, values = words.events_of_time, (*values, *times)

    def read() -> tuple[list[StoredEvent], bool]:
        # Closed here, whatever is found: the trace of an error would keep it open.
        with closing(_streamed(connection, statement, (*values, bounds.limit + 1))) as rows:
            return _bounded((stored_of(row, plan_id) for row in _typed(rows, "event", _EVENT)), bounds)

    return _readable(driver, read)


def heads_after(connection: Connection, after: str, limit: int) -> tuple[list[ChainHead], bool]:
    """Heads in order of their plan ids, and whether more follow."""
    words = WORDS_BY_DIALECT[connection.dialect.name]
    rows = _fetch(driver_of(connection), words.heads_after, (after, limit + 1))
    found = [ChainHead(*row) for row in _typed(rows, "head", _HEAD[1:])]
    return found[:limit], len(found) > limit


def receipts(
    connection: Connection, plan_id: str, after_position: int, bounds: Bounds
) -> tuple[list[StoredReceipt], bool]:
    """Receipts of a plan in order, and whether more follow."""
    words = WORDS_BY_DIALECT[connection.dialect.name]
    wanted = (plan_id, after_position, bounds.limit + 1)

    def read() -> tuple[list[StoredReceipt], bool]:
        with closing(_streamed(connection, words.receipts_of_plan, wanted)) as rows:
            return _bounded(map(StoredReceipt._make, _typed(rows, "receipt", _RECEIPT)), bounds)

    return _readable(driver_of(connection), read)


def _streamed(connection: Connection, statement: str, values: tuple[object, ...]) -> Generator[Any, None, None]:
    """Rows one by one: most of a long page may have no room in the answer."""
    driver = driver_of(connection)
    if connection.dialect.name != "postgresql":
        yield from driver.execute(statement, values)
        return
    with driver.cursor(name="page") as cursor:  # on the server: it sends no more than is read
        cursor.itersize = 200
        cursor.execute(statement, values)
        yield from cursor


def _bounded(rows: Iterable[_Row], bounds: Bounds) -> tuple[list[_Row], bool]:
    kept: list[_Row] = []
    room = bounds.max_bytes
    for row in rows:
        room -= len(row.preimage)
        if kept and (len(kept) == bounds.limit or room < 0):
            return kept, True
        kept.append(row)
    return kept, False


def _typed(rows: Iterable[Any], table: str, types: tuple[type, ...]) -> Iterator[Any]:
    """The rows, as long as what their columns hold is of these types: damage turns a text into a number."""
    for row in rows:
        if tuple(map(type, row[: len(types)])) != types:
            sentence = f"a row of the table {table} holds what its columns cannot: {shown(repr(row[:3]))}"
            raise Corrupt("STORE_CORRUPT", sentence)
        yield row


def _fetch(driver: Any, statement: str, values: tuple[object, ...]) -> list[Any]:  # noqa: ANN401 - either driver's
    return _readable(driver, lambda: driver.execute(statement, values).fetchall())


def _readable(driver: Any, read: Callable[[], _T]) -> _T:  # noqa: ANN401 - either driver's
    """What `read` returns, whatever was done to the text of rows: a verifier has to see damage to name its place."""
    try:
        return read()
    except UnicodeDecodeError as error:  # SQLite says what is wrong with its schema in words that are damaged, too
        raise Corrupt("STORE_CORRUPT", "the tables of the ledger cannot be read: restore its file") from error
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


def _held(each: Budget) -> tuple[int, int, int, int]:
    return each.cap_usd_micro, each.reserved_usd_micro, each.spent_usd_micro, each.debt_usd_micro


def _budget_row(each: Budget) -> tuple[object, ...]:
    return each.plan_id, *_held(each)
