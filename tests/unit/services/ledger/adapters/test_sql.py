"""What the database of the ledger refuses, and what a page of it holds; the promises are in the conformance cases."""

import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from services.ledger.adapters import open_store
from services.ledger.ports import Changes, EventFilter, LedgerStore, LedgerTransaction, StoredEvent, StoredReceipt
from tests.unit.theory.core.refusal import refused
from theory.core.chain import GENESIS, NewEvent, seal
from theory.core.errors import Conflict, Corrupt, Invalid
from theory.core.ledger import Budget, ChainHead
from theory.core.tiles import TileKey


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LedgerStore]:
    opened = await open_store("memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/ledger.db")
    yield opened
    await opened.close()


def stored(seq: int, event_id: str = "", log_index: int | None = None) -> StoredEvent:
    sealed = seal(NewEvent(event_id or f"e{seq}", "a.b", "2026-01-02T03:04:05.000006Z", {}), "p-1", seq, GENESIS)
    place = seq - 1 if log_index is None else log_index
    fields = (sealed.event_id, sealed.kind, sealed.ts, sealed.prev_hash, sealed.this_hash, sealed.preimage)
    return StoredEvent("p-1", seq, *fields, place)


EVENT_BYTES = len(stored(1).preimage)


def receipt(name: str, position: int) -> StoredReceipt:
    return StoredReceipt(name, "p-1", position, "settle", "p-1.x", 1, b"xx")


def events(*rows: StoredEvent) -> Changes:
    return Changes(events=rows, heads=[ChainHead("p-1", rows[-1].seq, rows[-1].this_hash)])


async def write(store: LedgerStore, changes: Changes) -> None:
    await store.transact(lambda transaction: transaction.write(changes))


@pytest.mark.parametrize("again", [stored(1, "other", 1), stored(2, "e1"), stored(2, "other", 0)])
async def test_no_event_takes_the_place_of_another(store: LedgerStore, again: StoredEvent) -> None:
    await write(store, events(stored(1)))
    with pytest.raises(Corrupt):
        await write(store, events(again))
    found, head, _ = await store.list_events("p-1", after_seq=0, chosen=EventFilter(), limit=9, max_bytes=9_999)
    assert (found, head.seq) == ([stored(1)], 1)


async def test_no_receipt_takes_the_place_of_another(store: LedgerStore) -> None:
    await write(store, Changes(receipts=[receipt("a", 1)]))
    with pytest.raises(Corrupt):
        await write(store, Changes(receipts=[receipt("a", 2)]))


@pytest.mark.parametrize(
    "wrong",
    [
        Budget("p-1", 10, reserved_usd_micro=11),
        Budget("p-1", 10, reserved_usd_micro=6, spent_usd_micro=5),
        Budget("p-1", 10, reserved_usd_micro=-1),
        Budget("p-1", 10, spent_usd_micro=-1),
        Budget("p-1", 10, debt_usd_micro=-1),
    ],
)
async def test_an_account_out_of_balance_is_refused(store: LedgerStore, wrong: Budget) -> None:
    sound = Budget("p-1", 10)
    await write(store, Changes(budgets=[(None, sound)]))
    with pytest.raises(Corrupt):
        await write(store, Changes(budgets=[(sound, wrong)]))
    assert await store.budget("p-1") == sound


async def test_an_account_that_moved_meanwhile_is_not_overwritten(store: LedgerStore) -> None:
    await write(store, Changes(budgets=[(None, Budget("p-1", 10, spent_usd_micro=1))]))
    with pytest.raises((Conflict, Corrupt)):
        await write(store, Changes(budgets=[(Budget("p-1", 10), Budget("p-1", 10, spent_usd_micro=2))]))


async def test_what_a_failing_transaction_wrote_is_gone(store: LedgerStore) -> None:
    await write(store, events(stored(1)))
    refused = [(None, Budget("p-1", -1))]
    changes = replace(events(stored(2)), receipts=[receipt("a", 1)], budgets=refused)
    with pytest.raises(Corrupt):
        await write(store, changes)
    assert (await store.list_events("p-1", after_seq=0, chosen=EventFilter(), limit=9, max_bytes=9_999))[0] == [
        stored(1)
    ]
    assert await store.receipts(["a"]) == {}


async def test_a_page_is_bounded_by_rows_and_by_bytes(store: LedgerStore) -> None:
    await write(store, events(*(stored(seq) for seq in range(1, 6))))

    async def page(limit: int, max_bytes: int, after: int = 0) -> tuple[list[int], bool]:
        found, _, more = await store.list_events(
            "p-1", after_seq=after, chosen=EventFilter(), limit=limit, max_bytes=max_bytes
        )
        return [each.seq for each in found], more

    assert await page(5, 99_999) == ([1, 2, 3, 4, 5], False)
    assert await page(2, 99_999) == ([1, 2], True)
    assert await page(5, 2 * EVENT_BYTES + 1) == ([1, 2], True)
    assert await page(5, 1) == ([1], True)
    assert await page(5, 1, after=4) == ([5], False)


async def test_keys_are_found_in_bulk(store: LedgerStore) -> None:
    await write(store, events(*(stored(seq) for seq in range(1, 1001))))

    def run(transaction: LedgerTransaction) -> int:
        return len(transaction.events([("p-1", f"e{seq}") for seq in range(0, 2000, 2)]))

    assert await store.transact(run) == 500


async def test_no_unknown_scheme_is_opened() -> None:
    with pytest.raises(Invalid):
        await open_store("mongodb://host/db")


async def test_a_replacing_insert_is_refused_as_well(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:///{tmp_path}/ledger.db")
    await write(store, events(stored(1)))
    await store.close()
    file = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    file.execute("PRAGMA recursive_triggers=ON")  # as the ledger's own connections have it
    with pytest.raises(sqlite3.IntegrityError, match="kept as it is"):
        file.execute("INSERT OR REPLACE INTO event VALUES (0, 1, 1, 'k', 'x.y', 0, x'', x'')")
    file.close()


@pytest.mark.parametrize(
    ("chosen", "seqs"),
    [
        (EventFilter(), [1, 2, 3]),
        (EventFilter(kinds=("a.b",)), [1, 2, 3]),
        (EventFilter(families=("a.",)), [1, 2, 3]),
        (EventFilter(kinds=("a.c",), families=("b.",)), []),
        (EventFilter(begin_us=1_767_323_045_000_006), [1, 2, 3]),
        (EventFilter(end_us=1_767_323_045_000_006), []),
        (EventFilter(families=("a.",), end_us=1_767_323_045_000_007), [1, 2, 3]),
        (EventFilter(begin_us=1_767_323_045_000_007), []),
    ],
)
async def test_a_page_holds_what_was_chosen(store: LedgerStore, chosen: EventFilter, seqs: list[int]) -> None:
    await write(store, events(stored(1), stored(2), stored(3)))
    found, head, more = await store.list_events("p-1", after_seq=0, chosen=chosen, limit=9, max_bytes=9_999)
    assert ([each.seq for each in found], head.seq, more) == (seqs, 3, False)


async def test_heads_are_read_together_and_appends_are_heard(store: LedgerStore) -> None:
    heard: list[str] = []
    store.listen(heard.extend)
    await write(store, events(stored(1)))
    assert heard == ["p-1"]
    assert {each.plan_id: each.seq for each in (await store.heads(["p-1", "p-2"])).values()} == {"p-1": 1}


@pytest.mark.parametrize(
    ("damage", "table"),
    [
        ("UPDATE event SET preimage = 1.5", "event"),
        ("UPDATE event SET preimage = 'text'", "event"),
        ("UPDATE event SET this_hash = 7", "event"),
        ("UPDATE event SET kind = x'00'", "event"),
        ("UPDATE head SET this_hash = x'00'", "head"),
        ("UPDATE head SET seq = x'00'", "head"),
        ("UPDATE receipt SET preimage = 'text'", "receipt"),
        ("UPDATE receipt SET kind = x'00'", "receipt"),
        ("UPDATE budget SET cap = 1.5", "budget"),
        ("UPDATE tile SET hashes = 'text'", "tile"),
    ],
)
async def test_a_column_that_holds_another_type_is_damage(damage: str, table: str, tmp_path: Path) -> None:
    store = await open_store(f"sqlite:///{tmp_path}/ledger.db")
    key = TileKey(0, 0)
    await write(store, replace(events(stored(1)), tiles={key: bytes(32)}))
    await write(store, Changes(receipts=[receipt("a", 1)], budgets=[(None, Budget("p-1", 10))]))
    await store.close()
    _damage(tmp_path / "ledger.db", damage)
    store = await open_store(f"sqlite:///{tmp_path}/ledger.db")
    reads: dict[str, Callable[[], Awaitable[object]]] = {
        "event": lambda: store.list_events("p-1", after_seq=0, chosen=EventFilter(), limit=9, max_bytes=9_999),
        "head": lambda: store.list_heads(after="", limit=9),
        "receipt": lambda: store.list_receipts("p-1", after_position=0, limit=9, max_bytes=9_999),
        "budget": lambda: store.budget("p-1"),
        "tile": lambda: store.tiles([key]),
    }
    for name, read in reads.items():
        if name == table:
            with refused(Corrupt, "STORE_CORRUPT"):
                await read()
        elif (name, table) != ("event", "head"):  # a page of events says where its chain stands
            await read()
    await store.close()


def _damage(path: Path, statement: str) -> None:
    """As a flipped bit does: no trigger and no type of a column stands in its way."""
    file = sqlite3.connect(path, isolation_level=None)
    for table in ("event", "receipt"):
        file.execute(f"DROP TRIGGER {table}_refuses_update")
    file.execute("PRAGMA writable_schema=ON")
    for name, sql in file.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall():
        loose = re.sub(r",\s*STRICT\b|\bSTRICT\s*,?", "", sql)
        file.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", [loose, name])
    file.close()
    file = sqlite3.connect(path, isolation_level=None)
    file.execute("PRAGMA ignore_check_constraints=ON")
    assert file.execute(statement).rowcount == 1
    file.close()
