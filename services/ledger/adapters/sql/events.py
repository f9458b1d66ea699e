"""Events as rows: the bytes that were hashed, and beside them what queries need, which says the same or is told on."""

import re
from binascii import b2a_base64
from functools import lru_cache
from typing import Any

from blake3 import blake3

from services.drivers.moments import from_us, to_us
from services.ledger.ports import StoredEvent
from theory.core.chain import GENESIS
from theory.core.clock import parse_rfc3339, rfc3339
from theory.core.errors import TheoryError

_KEY_BYTES, _KEY_CHARACTERS = 16, 22
_FIELDS = re.compile(
    rb'.*,"event_id":"([^"]*)","kind":"[^"]*","plan_id":"[^"]*","prev_hash":"([^"]*)","seq":\d+,"ts":"([^"]*)"}',
    re.DOTALL,
).fullmatch
"""The end of what an event hashes: none of these values has a quote in it."""
_UNREADABLE = "unreadable"


def key_of(plan_id: str, event_id: str) -> str:
    """What `event_key` holds for an event: 128 bits of a hash, for no two that anyone can find are alike."""
    return b2a_base64(blake3(f"{plan_id}\0{event_id}".encode()).digest(_KEY_BYTES))[:_KEY_CHARACTERS].decode()


def row_of(event: StoredEvent, chain: int, key: str) -> tuple[object, ...]:
    """The row of a sound event, in the order of the table; `key` is that of `key_of`."""
    return (
        event.log_index,
        chain,
        event.seq,
        key,
        event.kind,
        _us_of(event.ts),
        bytes.fromhex(event.this_hash),
        event.preimage,
    )


def stored_of(row: tuple[Any, ...], plan_id: str) -> StoredEvent:
    """The event of a row, damage included: what a column says otherwise than the bytes is shown as the column says."""
    log_index, _, seq, key, kind, ts_us, this_hash, preimage, before = row
    if not preimage:
        prev_hash = GENESIS if before is None else before.hex()
        return StoredEvent(plan_id, seq, "", kind, _moment(ts_us), prev_hash, this_hash.hex(), b"", log_index)
    found = _FIELDS(preimage)
    event_id, prev_hash, ts = (_text(each) for each in found.groups()) if found else ("", "", "")
    if key_of(plan_id, event_id) != key:
        event_id = key
    if _us_or_none(ts) != ts_us:
        ts = _moment(ts_us)
    return StoredEvent(plan_id, seq, event_id, kind, ts, prev_hash, this_hash.hex(), preimage, log_index)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


@lru_cache(maxsize=1024)  # events of one batch often have one time
def _us_of(ts: str) -> int:
    return to_us(parse_rfc3339(ts))


def _us_or_none(ts: str) -> int | None:
    try:
        return _us_of(ts)
    except TheoryError:
        return None


def _moment(us: int) -> str:
    try:
        return rfc3339(from_us(us))
    except OverflowError:
        return _UNREADABLE
