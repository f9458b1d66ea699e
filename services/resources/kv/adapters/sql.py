"""Keys in a SQL database: one row a key, each batch one transaction."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TypeAlias

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    LargeBinary,
    MetaData,
    Result,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from services.drivers.moments import from_us, to_us
from services.drivers.sql import Database
from services.resources.kv.adapters import counter
from services.resources.kv.ports import REPLY_BYTES, REQUEST_KEPT, SWEEP, KVStore
from theory.core.adapters import KVIncr, KVPut, KVValue
from theory.core.clock import Clock
from theory.core.errors import Exhausted, TheoryError

METADATA = MetaData()

_VALUE = Table(
    "kv_value",
    METADATA,
    Column("plan_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("expire_us", BigInteger),
)
Index("kv_value_expire", _VALUE.c.expire_us, sqlite_where=_VALUE.c.expire_us.is_not(None))

_REQUEST = Table(
    "kv_request",
    METADATA,
    Column("plan_id", Text, primary_key=True),
    Column("request_id", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("answers", Text, nullable=False),
    Column("create_us", BigInteger, nullable=False),
    Column("forget_us", BigInteger),  # set when the plan ends
)
Index("kv_request_forget", _REQUEST.c.forget_us, sqlite_where=_REQUEST.c.forget_us.is_not(None))

_NAMED = (_VALUE.c.plan_id == bindparam("plan"), _VALUE.c.key.in_(bindparam("keys", expanding=True)))
_LIVE = _VALUE.c.expire_us.is_(None) | (_VALUE.c.expire_us > bindparam("now"))

_FIND = select(_VALUE.c.key, _VALUE.c.value, _VALUE.c.expire_us).where(*_NAMED, _LIVE)
# The longest int64 has 20 characters: with one more, a value is seen to be none. SQLite's part of nothing is null.
_BEGINNING = func.coalesce(func.substr(_VALUE.c.value, 1, 21), b"")
_PEEK = select(_VALUE.c.key, _BEGINNING, _VALUE.c.expire_us).where(*_NAMED, _LIVE)
_WEIGH = select(_VALUE.c.key, func.length(_VALUE.c.value)).where(*_NAMED, _LIVE)
_DELETE = delete(_VALUE).where(*_NAMED)
_INSERT = sqlite_insert(_VALUE)
_PUT = _INSERT.on_conflict_do_update(
    index_elements=[_VALUE.c.plan_id, _VALUE.c.key],
    set_={"value": _INSERT.excluded.value, "expire_us": _INSERT.excluded.expire_us},
)
_SWEEP = delete(_VALUE).where(
    tuple_(_VALUE.c.plan_id, _VALUE.c.key).in_(
        select(_VALUE.c.plan_id, _VALUE.c.key).where(_VALUE.c.expire_us <= bindparam("now")).limit(bindparam("most"))
    )
)
_FORGET = delete(_REQUEST).where(_REQUEST.c.forget_us <= bindparam("now"))
_RECALL = select(_REQUEST.c.digest, _REQUEST.c.answers).where(
    _REQUEST.c.plan_id == bindparam("plan"), _REQUEST.c.request_id == bindparam("id")
)
_END_VALUES = delete(_VALUE).where(_VALUE.c.plan_id == bindparam("plan"))
_END_REQUESTS = (
    update(_REQUEST)
    .where(_REQUEST.c.plan_id == bindparam("plan"), _REQUEST.c.forget_us.is_(None))
    .values(forget_us=_REQUEST.c.create_us + REQUEST_KEPT // timedelta(microseconds=1))
)

_SECOND_US = 1_000_000


async def open(url: str, *, clock: Clock, database: Callable[[str, MetaData], Awaitable[Database]]) -> KVStore:
    """`sqlite:///path`."""
    return SqlKV(await database(url, METADATA), clock)


class SqlKV:
    """The writer's transaction is the step; the time is read inside of it, so it follows the order of the steps."""

    kind = "sql"
    durable = True

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def get_many(self, plan_id: str, keys: Sequence[str]) -> list[KVValue | TheoryError | None]:
        def read(connection: Connection) -> list[KVValue | TheoryError | None]:
            named = {"plan": plan_id, "keys": list(keys), "now": to_us(self._clock.now())}
            stored = _at_most(REPLY_BYTES, connection.execute(_FIND, named))
            if stored is not None:
                full = _beyond_reply(keys, {key: len(value) for key, (value, _) in stored.items()})
            else:
                full = _beyond_reply(keys, dict(connection.execute(_WEIGH, named).all()))
                fit = {key for idx, key in enumerate(keys) if idx not in full}
                stored = _stored(connection.execute(_FIND, {**named, "keys": list(fit)}))
            return [_full() if idx in full else _value(stored.get(key)) for idx, key in enumerate(keys)]

        return await self._database.read(read)

    async def put_many(self, plan_id: str, items: Sequence[KVPut]) -> list[TheoryError | None]:
        def write(connection: Connection) -> None:
            now = self._begin_write(connection, len(items))
            _put(connection, plan_id, ((item.key, item.value, _deadline(now, item.ttl_s)) for item in items))

        await self._database.write(write)
        return [None] * len(items)

    async def delete_many(self, plan_id: str, keys: Sequence[str]) -> list[TheoryError | None]:
        def write(connection: Connection) -> None:
            self._begin_write(connection, len(keys))
            connection.execute(_DELETE, {"plan": plan_id, "keys": keys})

        await self._database.write(write)
        return [None] * len(keys)

    async def incr_many(
        self, plan_id: str, items: Sequence[KVIncr], request_id: str | None = None
    ) -> list[int | TheoryError]:
        def write(connection: Connection) -> list[int | TheoryError]:
            now = self._begin_write(connection, len(items))
            if request_id is None:
                return _add(connection, plan_id, items, now)
            return _add_once(connection, plan_id, items, request_id, now)

        return await self._database.write(write)

    async def end_plan(self, plan_id: str) -> None:
        def write(connection: Connection) -> None:
            now = self._begin_write(connection, 0)
            connection.execute(_END_VALUES, {"plan": plan_id})
            connection.execute(_END_REQUESTS, {"plan": plan_id})
            connection.execute(_FORGET, {"now": now})

        await self._database.write(write)

    def _begin_write(self, connection: Connection, items: int) -> int:
        """The time of this write. Removes a few expired keys first, so that what nobody asks for goes, too."""
        now = to_us(self._clock.now())
        connection.execute(_SWEEP, {"now": now, "most": max(SWEEP, items)})
        return now


_Stored: TypeAlias = tuple[bytes, int | None]


def _stored(rows: Result[str, bytes, int | None]) -> dict[str, _Stored]:
    return {key: (value, expire_us) for key, value, expire_us in rows}


def _at_most(size_bytes: int, rows: Result[str, bytes, int | None]) -> dict[str, _Stored] | None:
    """As `_stored`; None, and no more of them loaded, where the values weigh more than that."""
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


def _put(connection: Connection, plan_id: str, rows: Iterable[tuple[str, bytes, int | None]]) -> None:
    connection.execute(
        _PUT,
        [{"plan_id": plan_id, "key": key, "value": value, "expire_us": expire_us} for key, value, expire_us in rows],
    )


def _add(connection: Connection, plan_id: str, items: Sequence[KVIncr], now: int) -> list[int | TheoryError]:
    keys = list({item.key for item in items})
    stored = _stored(connection.execute(_PEEK, {"plan": plan_id, "keys": keys, "now": now}))
    changed: set[str] = set()
    answers: list[int | TheoryError] = []
    for item in items:
        value, expire_us = stored.get(item.key) or (None, _deadline(now, item.ttl_s))
        total = counter.add(value, item.by)
        if isinstance(total, int):
            stored[item.key] = (b"%d" % total, expire_us)
            changed.add(item.key)
        answers.append(total)
    if changed:
        _put(connection, plan_id, ((key, *stored[key]) for key in changed))
    return answers


def _add_once(
    connection: Connection, plan_id: str, items: Sequence[KVIncr], request_id: str, now: int
) -> list[int | TheoryError]:
    connection.execute(_FORGET, {"now": now})
    digest = counter.digest(items)
    known = connection.execute(_RECALL, {"plan": plan_id, "id": request_id}).one_or_none()
    if known is not None:
        if known.digest != digest:
            raise counter.taken(request_id)
        return counter.unpack(known.answers)
    answers = _add(connection, plan_id, items, now)
    remembered = {"digest": digest, "answers": counter.pack(answers), "create_us": now}
    connection.execute(insert(_REQUEST), {"plan_id": plan_id, "request_id": request_id, **remembered})
    return answers


def _deadline(now: int, ttl_s: int | None) -> int | None:
    return None if ttl_s is None else now + ttl_s * _SECOND_US


def _full() -> Exhausted:
    return Exhausted("REPLY_FULL", "the reply is full; ask for this key again")
