"""Whichever byte of a ledger's file is changed: what is read of it is as it was, or the damage is found (I-53)."""

import asyncio
import os
import sqlite3
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from services.ledger.adapters.sql import rows
from services.ledger.adapters.sql.rows import SqlTransaction
from services.ledger.ports import EventFilter, StoredEvent, StoredReceipt
from tests.conformance.ledger_books import audited, small_ledger, state_of
from theory.core.chain import GENESIS
from theory.core.errors import TheoryError
from theory.core.ids import PlanId
from theory.core.ledger import Budget, ChainHead
from theory.core.tiles import TileKey

_STRIDE = 31
"""Of the short run: a prime, so that no place of a page is always passed over."""


class _File:
    """The adapter's own reading of a file, without the threads of a service; and all that it said."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.read: list[object] = []

    async def list_events(
        self, plan_id: str, *, after_seq: int, chosen: EventFilter, limit: int, max_bytes: int
    ) -> tuple[Sequence[StoredEvent], ChainHead, bool]:
        found, more = rows.events(self._connection, plan_id, after_seq, chosen, rows.Bounds(limit, max_bytes))
        head = SqlTransaction(self._connection).heads([plan_id]).get(plan_id, ChainHead(plan_id, 0, GENESIS))
        self.read += [found, head]
        return found, head, more

    async def list_receipts(
        self, plan_id: str, *, after_position: int, limit: int, max_bytes: int
    ) -> tuple[Sequence[StoredReceipt], bool]:
        found, more = rows.receipts(self._connection, plan_id, after_position, rows.Bounds(limit, max_bytes))
        self.read.append(found)
        return found, more

    async def budget(self, plan_id: str) -> Budget | None:
        found = SqlTransaction(self._connection).budgets([plan_id]).get(plan_id)
        self.read.append(found)
        return found

    async def log_size(self) -> int:
        self.read.append(found := SqlTransaction(self._connection).log_size())
        return found

    async def tiles(self, keys: Collection[TileKey]) -> Mapping[TileKey, bytes]:
        self.read.append(found := SqlTransaction(self._connection).tiles(keys))
        return found


@pytest.mark.parametrize(
    "stride",
    [pytest.param(_STRIDE, marks=pytest.mark.slow), pytest.param(1, marks=pytest.mark.long)],
    ids=["some", "every"],
)
def test_a_changed_byte_of_the_file_changes_nothing_or_is_found(stride: int, tmp_path: Path) -> None:
    path, plan_id = asyncio.run(small_ledger(tmp_path))
    with sqlite3.connect(path) as file:  # all of it in the one file
        assert file.execute("PRAGMA journal_mode=DELETE").fetchone() == ("delete",)
    file.close()
    known, sound = _judged(path, plan_id, None)
    assert isinstance(sound, list)
    fates: Counter[str] = Counter()
    handle = os.open(path, os.O_RDWR)
    try:
        for at in range(0, path.stat().st_size, stride):
            byte = os.pread(handle, 1, at)
            os.pwrite(handle, bytes([byte[0] ^ 1 << at % 8]), at)
            fates[_fate(path, plan_id, known, sound, at)] += 1
            os.pwrite(handle, byte, at)
    finally:
        os.close(handle)
    assert _judged(path, plan_id, known) == (known, sound)
    assert fates.keys() == {"as it was", "named", "refused"}, fates


def _fate(path: Path, plan_id: PlanId, known: tuple[int, bytes], sound: list[object], at: int) -> str:
    try:
        _, found = _judged(path, plan_id, known)
    except (sqlite3.Error, TheoryError):
        return "refused"
    if found == sound:
        return "as it was"
    assert isinstance(found, str), f"nobody noticed byte {at}: {found}"
    return "named"


def _judged(
    path: Path, plan_id: PlanId, known: tuple[int, bytes] | None
) -> tuple[tuple[int, bytes], list[object] | str]:
    """What is said of it where there is a fault; otherwise what was read."""
    # Nobody else has the file: without locks, without a journal, and without what an earlier reader has kept.
    engine = create_engine(
        "sqlite://", poolclass=NullPool, creator=lambda: sqlite3.connect(f"file:{path}?immutable=1", uri=True)
    )
    with engine.connect() as connection:
        file = _File(connection)
        known = known or asyncio.run(state_of(file))
        file.read.clear()
        faults = asyncio.run(audited(file, plan_id, known))
    return known, ", ".join(map(str, faults)) or file.read
