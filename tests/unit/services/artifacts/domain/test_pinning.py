"""Pins: only on what is stored, once, and for as long as their kind says."""

from datetime import UTC, datetime

import pytest

from services.artifacts.adapters.bindings.memory import MemoryTable
from services.artifacts.adapters.blobs.memory import MemoryBlobs
from services.artifacts.domain import bindings, pinning
from services.artifacts.ports import Pin, PinKind
from theory.core.binding import Abortion, Commitment, Preparation
from theory.core.cid import Cid
from theory.core.errors import NotFound
from theory.core.ids import ExecutionId, PlanId
from theory.core.world_path import WorldName

NOW = datetime(2026, 1, 1, tzinfo=UTC)
INPUT, UPLOAD, NOWHERE = Cid.of(b"input"), Cid.of(b"upload"), Cid.of(b"nowhere")
EVERY = [INPUT, UPLOAD, NOWHERE]
X = ExecutionId("x")


@pytest.fixture
def table() -> MemoryTable:
    table, blobs = MemoryTable(), MemoryBlobs()
    blobs.data_by_cid.update({INPUT: b"input", UPLOAD: b"upload"})
    pins = [
        Pin("x", "w", INPUT, PinKind.INPUT),
        Pin("x", "w", UPLOAD, PinKind.UPLOAD),
        Pin("x", "w", NOWHERE, PinKind.INPUT),
    ]
    outcomes = pinning.pin(table, blobs, pins)
    assert outcomes[:2] == [None, None]
    assert isinstance(outcomes[2], NotFound)
    assert outcomes[2].reason == "BLOB_UNKNOWN"
    assert pinning.pin(table, blobs, pins[:2]) == [None, None]
    return table


def test_only_what_is_stored_is_pinned(table: MemoryTable) -> None:
    assert table.pinned("x", EVERY) == {INPUT, UPLOAD}
    assert table.pinned("y", EVERY) == set()


def test_a_commit_ends_uploads_and_keeps_inputs(table: MemoryTable) -> None:
    world, plan = WorldName("w"), PlanId("p-1")
    bindings.prepare(table, MemoryBlobs(), [Preparation(world, plan, X, 1, ())], now=NOW)
    assert table.pinned("x", EVERY) == {INPUT, UPLOAD}
    bindings.commit(table, [Commitment(world, plan, X, 1, "b3:receipt", ())], now=NOW)
    assert table.pinned("x", EVERY) == {INPUT}


def test_an_abort_ends_uploads_unless_a_later_epoch_is_at_work(table: MemoryTable) -> None:
    bindings.prepare(table, MemoryBlobs(), [Preparation(WorldName("w"), PlanId("p-1"), X, 2, ())], now=NOW)
    bindings.abort(table, [Abortion(X, 1)], now=NOW)
    assert table.pinned("x", EVERY) == {INPUT, UPLOAD}
    bindings.abort(table, [Abortion(X, 2)], now=NOW)
    assert table.pinned("x", EVERY) == {INPUT}
