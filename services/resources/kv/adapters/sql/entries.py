"""The rows of keys: read as far as an answer holds, written as far as the plan has room."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Connection, bindparam, delete, func, select

from services.drivers.moments import from_us
from services.drivers.sql.statement import Rows, Statement, among
from services.drivers.sql.words import upsert
from services.resources.kv.adapters import counter, refusals
from services.resources.kv.adapters.sql.plans import Step
from services.resources.kv.adapters.sql.schema import ENTRY, PLAN
from services.resources.kv.ports import REPLY_BYTES, KVQuotas
from theory.core.adapters import KVIncr, KVPut, KVValue
from theory.core.errors import Exhausted, TheoryError

_KEYS = among(ENTRY.c.key, "keys")
_LIVE_PLAN = select(PLAN.c.number).where(PLAN.c.plan_id == bindparam("plan"), PLAN.c.end_us.is_(None)).scalar_subquery()
_LIVE = (
    ENTRY.c.plan == _LIVE_PLAN,
    _KEYS,
    ENTRY.c.expire_us.is_(None) | (ENTRY.c.expire_us > bindparam("now")),
)
_FIND = Statement(select(ENTRY.c.key, ENTRY.c.value, ENTRY.c.expire_us).where(*_LIVE))
_MEASURE = Statement(select(ENTRY.c.key, func.length(ENTRY.c.value)).where(*_LIVE))

_NAMED = (ENTRY.c.plan == bindparam("of_plan"), _KEYS)
_WEIGH = Statement(select(ENTRY.c.key, ENTRY.c.size_bytes).where(*_NAMED))
# The longest int64 has 20 characters: with one more, a value is seen to be none. SQLite's part of nothing is null.
_BEGINNING = func.coalesce(func.substr(ENTRY.c.value, 1, 21), b"")
_PEEK = Statement(select(ENTRY.c.key, _BEGINNING, ENTRY.c.size_bytes, ENTRY.c.expire_us).where(*_NAMED))
_PUT = Rows(upsert(ENTRY))
_DELETE = Statement(
    delete(ENTRY).where(*_NAMED).returning(ENTRY.c.key, ENTRY.c.size_bytes, ENTRY.c.expire_us),
)

_SECOND_US = 1_000_000


def find(connection: Connection, plan_id: str, keys: Sequence[str], now: int) -> list[KVValue | TheoryError | None]:
    """The value of each key; no more of them are loaded than an answer holds."""
    named = {"plan": plan_id, "keys": list(keys), "now": now}
    stored = _at_most(REPLY_BYTES, _FIND.cursor(connection, **named))
    if stored is not None:
        full = _beyond_reply(keys, {key: len(value) for key, (value, _) in stored.items()})
    else:
        full = _beyond_reply(keys, dict(_MEASURE.rows(connection, **named)))
        fit = {key for idx, key in enumerate(keys) if idx not in full}
        rows = _FIND.rows(connection, **{**named, "keys": list(fit)})
        stored = {key: (value, expire_us) for key, value, expire_us in rows}
    return [refusals.reply_full() if idx in full else _value(stored.get(key)) for idx, key in enumerate(keys)]


_Stored: TypeAlias = tuple[bytes, int | None]


def _at_most(size_bytes: int, rows: Any) -> dict[str, _Stored] | None:  # noqa: ANN401 - the cursor
    """The rows by key; None, and no more of them loaded, where the values weigh more than that."""
    stored: dict[str, _Stored] = {}
    for key, value, expire_us in rows:
        size_bytes -= len(value)
        if size_bytes < 0:
            rows.close()
            return None
        stored[key] = (value, expire_us)
    return stored


def _beyond_reply(keys: Sequence[str], size_by_key: Mapping[str, int]) -> Collection[int]:
    """The positions of those keys whose values no longer fit; a key that is asked for twice is answered twice."""
    room = REPLY_BYTES
    full: set[int] = set()
    for idx, key in enumerate(keys):
        size_bytes = size_by_key.get(key, 0)
        if size_bytes > room:
            full.add(idx)
        else:
            room -= size_bytes
    return full


def _value(stored: _Stored | None) -> KVValue | None:
    if stored is None:
        return None
    value, expire_us = stored
    return KVValue(value, None if expire_us is None else from_us(expire_us))


class _Page:
    """What a batch writes, weighed against what stands there."""

    def __init__(self, step: Step, size_by_key: Mapping[str, int], quotas: KVQuotas) -> None:
        self._step = step
        self._quotas = quotas
        self._size_by_key = dict(size_by_key)
        self._row_by_key: dict[str, tuple[object, ...]] = {}

    def keep(self, key: str, value: bytes, expire_us: int | None) -> Exhausted | None:
        """Put the value if the plan has room; of one key the last stays."""
        step = self._step
        size_bytes = len(key.encode()) + len(value)
        before = self._size_by_key.get(key)
        if before is None and step.keys >= self._quotas.keys:
            return refusals.too_many_keys(self._quotas)
        grown = step.size_bytes + size_bytes - (before or 0)
        if grown > self._quotas.size_bytes:
            return refusals.too_many_bytes(self._quotas)
        step.keys += before is None
        step.size_bytes = grown
        step.expects(expire_us)
        self._size_by_key[key] = size_bytes
        self._row_by_key[key] = (step.number, key, value, size_bytes, expire_us)
        return None

    def write(self) -> None:
        if self._row_by_key:
            _PUT.add(self._step.connection, self._row_by_key.values())


def put(step: Step, items: Sequence[KVPut], quotas: KVQuotas) -> list[TheoryError | None]:
    """Write what there is room for."""
    step.open()
    rows = _WEIGH.rows(step.connection, of_plan=step.number, keys=[item.key for item in items])
    page = _Page(step, dict(rows), quotas)
    answers: list[TheoryError | None] = []
    for item in items:
        refused = page.keep(item.key, item.value, _deadline(step.now, item.ttl_s))
        answers.append(refused)
        if refused is None:
            step.tells(item.key, "put")
    page.write()
    return answers


def add(step: Step, items: Sequence[KVIncr], quotas: KVQuotas) -> list[int | TheoryError]:
    """Add in order."""
    step.open()
    rows = _PEEK.rows(step.connection, of_plan=step.number, keys=[item.key for item in items])
    page = _Page(step, {key: size_bytes for key, _, size_bytes, _ in rows}, quotas)
    counters = {key: (value, expire_us) for key, value, _, expire_us in rows if not _expired(expire_us, step.now)}
    answers: list[int | TheoryError] = []
    for item in items:
        value, expire_us = counters.get(item.key) or (None, _deadline(step.now, item.ttl_s))
        total = counter.add(value, item.by)
        if isinstance(total, int):
            text = b"%d" % total
            total = page.keep(item.key, text, expire_us) or total
            if isinstance(total, int):
                counters[item.key] = (text, expire_us)
                step.tells(item.key, "incr")
        answers.append(total)
    page.write()
    return answers


def delete_keys(step: Step, keys: Sequence[str]) -> None:
    """Remove those that are there."""
    if not step.live:
        return
    gone = set()
    for key, size_bytes, expire_us in _DELETE.rows(step.connection, of_plan=step.number, keys=list(keys)):
        step.keys -= 1
        step.size_bytes -= size_bytes
        if not _expired(expire_us, step.now):
            gone.add(key)
    for key in dict.fromkeys(keys):
        if key in gone:
            step.tells(key, "delete")


def _deadline(now: int, ttl_s: int | None) -> int | None:
    return None if ttl_s is None else now + ttl_s * _SECOND_US


def _expired(expire_us: int | None, now: int) -> bool:
    return expire_us is not None and expire_us <= now
