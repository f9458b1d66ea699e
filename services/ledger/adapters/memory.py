"""The ledger's books in memory: every promise but durability; gone with the process."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Self, TypeVar

from services.drivers.moments import to_us
from services.ledger.ports import (
    Attempt,
    Changes,
    EventFilter,
    Execution,
    LedgerTransaction,
    Payload,
    StoredEvent,
    StoredReceipt,
)
from theory.core.chain import GENESIS
from theory.core.clock import parse_rfc3339
from theory.core.errors import Corrupt
from theory.core.ledger import Budget, ChainHead
from theory.core.secret import Secret
from theory.core.tiles import TileKey

_T = TypeVar("_T")


async def open(url: str, secret: Secret | None = None) -> "MemoryLedger":
    """`memory:`, with nothing in it."""
    return MemoryLedger(Tables())


@dataclass(slots=True)
class Tables:
    """All rows. They are immutable, so a copy of the tables is a copy of the state."""

    events: dict[str, list[StoredEvent]] = field(default_factory=dict)
    """By plan id, in order."""
    event_by_id: dict[tuple[str, str], StoredEvent] = field(default_factory=dict)
    heads: dict[str, ChainHead] = field(default_factory=dict)
    budgets: dict[str, Budget] = field(default_factory=dict)
    executions: dict[str, Execution] = field(default_factory=dict)
    attempts: dict[tuple[str, int], Attempt] = field(default_factory=dict)
    receipts: dict[str, StoredReceipt] = field(default_factory=dict)
    tiles: dict[TileKey, bytes] = field(default_factory=dict)
    log_size: int = 0

    def copy(self) -> Self:
        """The same state, changed by nobody else."""
        return type(self)(
            {plan_id: list(events) for plan_id, events in self.events.items()},
            dict(self.event_by_id),
            dict(self.heads),
            dict(self.budgets),
            dict(self.executions),
            dict(self.attempts),
            dict(self.receipts),
            dict(self.tiles),
            self.log_size,
        )


class MemoryTransaction:
    """Reads and writes tables at once; nothing comes between, because nothing in it waits."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.appended: Collection[str] = ()
        """To which chains it appended."""

    def heads(self, plan_ids: Collection[str]) -> Mapping[str, ChainHead]:
        return _among(self._tables.heads, plan_ids)

    def events(self, keys: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], StoredEvent]:
        return _among(self._tables.event_by_id, keys)

    def kinds(self, plan_id: str, among: Collection[str]) -> Collection[str]:
        return {each.kind for each in self._tables.events.get(plan_id, ()) if each.kind in among}

    def payloads(self, plan_id: str, *, after_seq: int, to_seq: int, chosen: EventFilter, limit: int) -> list[Payload]:
        among = self._tables.events.get(plan_id, [])[after_seq:to_seq]
        wanted = (each for each in among if each.preimage and chosen.takes(each.kind, 0))
        found = (Payload(each.log_index, each.seq, each.kind, each.this_hash, len(each.preimage)) for each in wanted)
        return list(islice(found, limit))

    def budgets(self, plan_ids: Collection[str]) -> Mapping[str, Budget]:
        return _among(self._tables.budgets, plan_ids)

    def executions(self, execution_ids: Collection[str]) -> Mapping[str, Execution]:
        return _among(self._tables.executions, execution_ids)

    def attempts(self, keys: Collection[tuple[str, int]]) -> Mapping[tuple[str, int], Attempt]:
        return _among(self._tables.attempts, keys)

    def receipts(self, receipt_ids: Collection[str]) -> Mapping[str, StoredReceipt]:
        return _among(self._tables.receipts, receipt_ids)

    def log_size(self) -> int:
        return self._tables.log_size

    def tiles(self, keys: Collection[TileKey]) -> Mapping[TileKey, bytes]:
        return _among(self._tables.tiles, keys)

    def write(self, changes: Changes) -> None:
        tables = self._tables
        _check(tables, changes)
        self.appended = [each.plan_id for each in changes.heads]
        for event in changes.events:
            tables.events.setdefault(event.plan_id, []).append(event)
            tables.event_by_id[event.plan_id, event.event_id] = event
        for payload in changes.pruned:
            _empty(tables, changes.heads[0].plan_id, payload.seq)
        tables.heads |= {each.plan_id: each for each in changes.heads}
        tables.tiles |= changes.tiles
        if changes.log_sizes is not None:
            tables.log_size = changes.log_sizes[1]
        tables.receipts |= {each.receipt_id: each for each in changes.receipts}
        tables.budgets |= {after.plan_id: after for _, after in changes.budgets}
        tables.executions |= {each.execution_id: each for each in changes.executions}
        tables.attempts |= {(each.execution_id, each.epoch): each for each in changes.attempts}


class MemoryLedger:
    """One set of tables, for one event loop."""

    kind = "memory"
    durable = False

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._hear: Callable[[Collection[str]], None] | None = None

    def listen(self, hear: Callable[[Collection[str]], None]) -> None:
        self._hear = hear

    async def transact(self, fn: Callable[[LedgerTransaction], _T]) -> _T:
        transaction = MemoryTransaction(self._tables)
        answer = fn(transaction)
        if self._hear is not None and transaction.appended:
            self._hear(transaction.appended)
        return answer

    async def list_events(
        self, plan_id: str, *, after_seq: int, chosen: EventFilter, limit: int, max_bytes: int
    ) -> tuple[Sequence[StoredEvent], ChainHead, bool]:
        behind = self._tables.events.get(plan_id, [])[max(after_seq, 0) :]
        if not chosen.everything:
            behind = [each for each in behind if chosen.takes(each.kind, to_us(parse_rfc3339(each.ts)))]
        kept = _fitting(behind[:limit], max_bytes)
        return kept, self._tables.heads.get(plan_id, ChainHead(plan_id, 0, GENESIS)), len(kept) < len(behind)

    async def heads(self, plan_ids: Collection[str]) -> Mapping[str, ChainHead]:
        return _among(self._tables.heads, plan_ids)

    async def list_heads(self, *, after: str, limit: int) -> tuple[Sequence[ChainHead], bool]:
        behind = [self._tables.heads[each] for each in sorted(self._tables.heads) if each > after]
        return behind[:limit], len(behind) > limit

    async def log_size(self) -> int:
        return self._tables.log_size

    async def tiles(self, keys: Collection[TileKey]) -> Mapping[TileKey, bytes]:
        return _among(self._tables.tiles, keys)

    async def budget(self, plan_id: str) -> Budget | None:
        return self._tables.budgets.get(plan_id)

    async def receipts(self, receipt_ids: Collection[str]) -> Mapping[str, StoredReceipt]:
        return _among(self._tables.receipts, receipt_ids)

    async def list_receipts(
        self, plan_id: str, *, after_position: int, limit: int, max_bytes: int
    ) -> tuple[Sequence[StoredReceipt], bool]:
        of_plan = (each for each in self._tables.receipts.values() if each.plan_id == plan_id)
        behind = sorted((each for each in of_plan if each.position > after_position), key=lambda each: each.position)
        kept = _fitting(behind[:limit], max_bytes)
        return kept, len(kept) < len(behind)

    async def close(self) -> None:
        self._tables = Tables()


_Key = TypeVar("_Key")
_Row = TypeVar("_Row", StoredEvent, StoredReceipt)


def _among(table: Mapping[_Key, _T], keys: Collection[_Key]) -> dict[_Key, _T]:
    return {key: table[key] for key in keys if key in table}


def _fitting(rows: Sequence[_Row], max_bytes: int) -> Sequence[_Row]:
    size = 0
    for count, row in enumerate(rows):
        size += len(row.preimage)
        if size > max_bytes and count:
            return rows[:count]
    return rows


def _empty(tables: Tables, plan_id: str, seq: int) -> None:
    event = tables.events[plan_id][seq - 1]
    empty = event._replace(event_id="", preimage=b"")
    tables.events[plan_id][seq - 1] = empty
    tables.event_by_id[plan_id, event.event_id] = empty


def _check(tables: Tables, changes: Changes) -> None:
    """What a database checks by itself."""
    next_seq = {plan_id: head.seq + 1 for plan_id, head in tables.heads.items()}
    for event in changes.events:
        if event.seq != next_seq.get(event.plan_id, 1) or (event.plan_id, event.event_id) in tables.event_by_id:
            raise Corrupt("STORE_CORRUPT", "an event would be changed, or leave a gap")
        next_seq[event.plan_id] = event.seq + 1
    if any(each.log_index != index for index, each in enumerate(changes.events, tables.log_size)):
        raise Corrupt("STORE_CORRUPT", "a leaf would be changed, or leave a gap")
    if any(each.receipt_id in tables.receipts for each in changes.receipts):
        raise Corrupt("STORE_CORRUPT", "a receipt would be changed")
    for before, after in changes.budgets:
        held = (after.reserved_usd_micro, after.spent_usd_micro, after.debt_usd_micro)
        if min(held) < 0 or held[0] + held[1] > after.cap_usd_micro or tables.budgets.get(after.plan_id) != before:
            raise Corrupt("STORE_CORRUPT", "an account would be out of balance")
