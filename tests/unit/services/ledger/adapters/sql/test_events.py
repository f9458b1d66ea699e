"""An event as a row: what stands beside the bytes says the same, or is shown as it says."""

from typing import Any

import pytest

from services.ledger.adapters.sql.events import key_of, row_of, stored_of
from services.ledger.ports import StoredEvent
from theory.core.chain import GENESIS, NewEvent, seal

TS = "2026-01-02T03:04:05.000006Z"
SEALED = seal(NewEvent("e/1", "plan.noted", TS, {"text": '","ts":"no"}'}), "p-1", 1, GENESIS)
STORED = StoredEvent("p-1", 1, "e/1", "plan.noted", TS, GENESIS, SEALED.this_hash, SEALED.preimage, 41)
ROW = (*row_of(STORED, 7, key_of("p-1", "e/1")), None)


def changed(at: int, value: Any) -> StoredEvent:
    return stored_of((*ROW[:at], value, *ROW[at + 1 :]), "p-1")


def test_a_row_gives_back_the_event() -> None:
    assert stored_of(ROW, "p-1") == STORED


def test_a_key_stands_for_the_chain_and_the_id() -> None:
    names = [("p-1", "e"), ("p-1", "f"), ("p-2", "e"), ("p", "-1e"), ("p-1e", "")]
    assert len({key_of(*each) for each in names}) == len(names)
    assert {len(key_of(*each)) for each in names} == {22}


@pytest.mark.parametrize(
    ("at", "value", "differs"),
    [
        (0, 42, {"log_index": 42}),
        (2, 9, {"seq": 9}),
        (3, "other", {"event_id": "other"}),
        (4, "a.b", {"kind": "a.b"}),
        (5, 0, {"ts": "1970-01-01T00:00:00.000000Z"}),
        (5, 2**62, {"ts": "unreadable"}),
        (6, bytes(32), {"this_hash": "00" * 32}),
    ],
)
def test_a_column_that_says_otherwise_is_shown(at: int, value: Any, differs: dict[str, Any]) -> None:
    assert changed(at, value) == STORED._replace(**differs)


@pytest.mark.parametrize("preimage", [b"{}", b"\xff", SEALED.preimage[:-1], SEALED.preimage + b" "])
def test_bytes_that_are_no_event_are_given_out_as_they_are(preimage: bytes) -> None:
    found = changed(7, preimage)
    assert (found.preimage, found.prev_hash) == (preimage, "")
    assert found.event_id == key_of("p-1", "e/1")


@pytest.mark.parametrize(("before", "prev_hash"), [(None, GENESIS), (b"\xab" * 32, "ab" * 32)])
def test_a_pruned_event_keeps_its_place_and_follows_the_one_before_it(before: bytes | None, prev_hash: str) -> None:
    found = stored_of((*ROW[:7], b"", before), "p-1")
    assert found == STORED._replace(event_id="", preimage=b"", prev_hash=prev_hash)
