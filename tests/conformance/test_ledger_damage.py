"""Whoever changes one byte of a ledger's file is found out, and the place is named (I-53)."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from services.ledger.adapters import open_store
from services.ledger.adapters.signer import PUBLIC_FILE
from services.ledger.assembly import assemble
from services.ledger.config import LedgerConfig
from tests.conformance.ledger_books import audited, small_ledger, state_of
from theory.core.audit import Fault
from theory.core.checkpoint import LogKey
from theory.core.errors import Corrupt
from theory.core.ids import PlanId
from theory.sdk.ledger import LedgerClient
from theory.sdk.log import InMemory, LogClient
from theory.wire.identity import Role
from theory.wire.server import running

_INT_BYTES = 8
_EVERYTHING = 1_000_000


class Damage(NamedTuple):
    """One byte of one column of one row."""

    table: str
    rowkey: tuple[Any, ...]
    column: str
    byte: int
    mask: int


@pytest.fixture
async def books(tmp_path: Path) -> tuple[Path, PlanId]:
    """A file with one small plan in it."""
    return await small_ledger(tmp_path)


@pytest.fixture
def file(books: tuple[Path, PlanId]) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(books[0], isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA ignore_check_constraints=ON")
    for table in ("event", "receipt"):
        for deed in ("update", "delete"):
            connection.execute(f"DROP TRIGGER {table}_refuses_{deed}")
    yield connection
    connection.close()


@pytest.mark.parametrize("deed", ["UPDATE event SET kind = 'a.b'", "DELETE FROM event", "UPDATE receipt SET epoch = 9"])
def test_the_database_itself_refuses_to_forget(deed: str, books: tuple[Path, PlanId]) -> None:
    connection = sqlite3.connect(books[0], isolation_level=None)
    with pytest.raises(sqlite3.IntegrityError, match="kept as it is"):
        connection.execute(deed)
    connection.close()


async def test_one_changed_byte_of_each_column_is_named_over_the_wire(
    books: tuple[Path, PlanId], file: sqlite3.Connection, tmp_path: Path
) -> None:
    path, plan_id = books
    unit = await assemble(LedgerConfig.load({"home": tmp_path, "database_url": f"sqlite:///{path}"}))
    async with running([unit]) as server:
        ledger, channel = LedgerClient(server.channel(Role.CLIENT)), server.channel(Role.CLIENT)
        key, memory = LogKey.parse((tmp_path / PUBLIC_FILE).read_text()), InMemory()

        async def verified() -> list[Fault]:
            try:
                return await ledger.verify_plan(plan_id.text, LogClient(channel, key, memory))
            except Corrupt as error:
                return [Fault(plan_id.text, error.reason)]

        assert await verified() == []
        seen = set()
        for damage in _damages(file, lambda at: at == 1):
            with _Damaged(file, damage) as done:
                if done:
                    _assert_named(damage, await verified())
                    seen.add((damage.table, damage.column))
        assert len(seen) == len(_COLUMNS)
        assert await verified() == []


@pytest.mark.slow
async def test_every_changed_byte_is_named(books: tuple[Path, PlanId], file: sqlite3.Connection) -> None:
    path, plan_id = books
    store = await open_store(f"sqlite:///{path}")
    known = await state_of(store)
    assert await audited(store, plan_id, known) == []
    count = 0
    for damage in _damages(file, lambda _: True):
        with _Damaged(file, damage) as done:
            if done:
                _assert_named(damage, await audited(store, plan_id, known))
                count += 1
    assert count > 4_000
    assert await audited(store, plan_id, known) == []
    await store.close()


_KEYS = {
    "event": ("chain", "seq"),
    "receipt": ("receipt_id",),
    "head": ("plan_id",),
    "budget": ("plan_id",),
    "log": ("id",),
    "tile": ("level", "tile_index"),
}
_EVENT_COLUMNS = ("log_index", "chain", "seq", "event_key", "kind", "ts_us", "this_hash", "preimage")
_OF_THE_LOG = {"LOG", "LOG_FORKED", "PROOF_INVALID", "STORE_CORRUPT", "LOG_INDEX_UNKNOWN"}
_COLUMNS = [
    *(("event", each) for each in _EVENT_COLUMNS),
    *(("receipt", each) for each in ("receipt_id", "plan_id", "position", "kind", "execution_id", "epoch", "preimage")),
    *(("head", each) for each in ("chain", "plan_id", "seq", "this_hash")),
    *(("log", each) for each in ("size",)),
    *(("tile", each) for each in ("level", "tile_index", "hashes")),
    *(("budget", each) for each in ("plan_id", "cap", "reserved", "spent", "debt")),
]


def _damages(file: sqlite3.Connection, wanted: Callable[[int], bool]) -> Iterator[Damage]:
    for table, column in _COLUMNS:
        keys = _KEYS[table]
        for *key, value in file.execute(f"SELECT {', '.join(keys)}, {column} FROM {table}").fetchall():
            length = _INT_BYTES if isinstance(value, int) else len(_bytes(value))
            for byte in filter(wanted, range(length)):
                yield Damage(table, tuple(key), column, byte, 1 << (byte % 8))


class _Damaged:
    """The file with one byte changed, inside the block; False where a key would be that of another row."""

    def __init__(self, file: sqlite3.Connection, damage: Damage) -> None:
        self._file = file
        self._damage = damage
        self._key = list(damage.rowkey)

    def __enter__(self) -> bool:
        table, column = self._damage.table, self._damage.column
        [self._sound] = self._file.execute(f"SELECT {column} FROM {table} WHERE {self._where()}", self._key).fetchone()
        damaged = _flipped(self._sound, self._damage.byte, self._damage.mask)
        try:
            self._write(damaged)
        except sqlite3.IntegrityError:
            self._sound = None
            return False
        if column in _KEYS[table]:
            self._key[_KEYS[table].index(column)] = damaged
        return True

    def __exit__(self, *exc: object) -> None:
        if self._sound is not None:
            self._write(_bytes(self._sound) if isinstance(self._sound, str) else self._sound)

    def _write(self, value: int | bytes) -> None:
        table, column = self._damage.table, self._damage.column
        statement = f"UPDATE {table} SET {column} = CAST(? AS {_TYPES[type(self._sound)]}) WHERE {self._where()}"
        assert self._file.execute(statement, [value, *self._key]).rowcount == 1

    def _where(self) -> str:
        keys = zip(_KEYS[self._damage.table], self._key, strict=True)
        return " AND ".join(
            f"{name} = CAST(? AS {'INTEGER' if type(value) is int else 'TEXT'})" for name, value in keys
        )


_TYPES = {int: "INTEGER", str: "TEXT", bytes: "BLOB"}


def _flipped(value: int | str | bytes, byte: int, mask: int) -> int | bytes:
    raw = bytearray(value.to_bytes(_INT_BYTES, "big", signed=True) if isinstance(value, int) else _bytes(value))
    raw[byte] ^= mask
    return int.from_bytes(raw, "big", signed=True) if isinstance(value, int) else bytes(raw)


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _assert_named(damage: Damage, faults: list[Fault]) -> None:
    assert faults, f"nobody noticed {damage}"
    match damage.table:
        case "event":
            seq = damage.rowkey[1]
            assert {each.seq for each in faults} & {seq, seq + 1}, f"{damage} was placed elsewhere: {faults}"
        case "receipt":
            assert damage.rowkey[0] in {each.receipt_id for each in faults}, f"{damage} was placed elsewhere: {faults}"
        case "head" if damage.column in {"chain", "plan_id"}:
            # The name and the number of a chain are all that leads to its events: then all of them are gone.
            assert {each.plan_id for each in faults} == {damage.rowkey[0]}
        case "head":
            assert {each.what for each in faults} == {"HEAD"}
        case "log" | "tile":
            assert {each.what for each in faults} <= _OF_THE_LOG, f"{damage} was placed elsewhere: {faults}"
        case "budget":
            assert {each.what for each in faults} == {"BUDGET"}
