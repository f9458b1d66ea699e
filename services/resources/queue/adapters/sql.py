"""Messages in a SQL database: what moves is a small row, bodies lie beside it, each batch is one transaction."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    MetaData,
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
from services.resources.queue.adapters import delivery
from services.resources.queue.ports import KEY_KEPT, REPLY_BYTES, SWEEP, QueueStore
from theory.core.adapters import Message, Published, QueueExtend, QueueNack, QueuePublish
from theory.core.clock import Clock
from theory.core.errors import TheoryError
from theory.core.ids import IdSource

METADATA = MetaData()

_MESSAGE = Table(
    "queue_message",
    METADATA,
    Column("plan_id", Text, primary_key=True),
    Column("topic", Text, primary_key=True),
    Column("message_id", Text, primary_key=True),
    Column("visible_us", BigInteger, nullable=False),
    Column("receive_count", Integer, nullable=False),
    Column("publish_us", BigInteger, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    sqlite_with_rowid=False,
)
Index("queue_message_visible", _MESSAGE.c.plan_id, _MESSAGE.c.topic, _MESSAGE.c.visible_us, _MESSAGE.c.message_id)

# Apart from what each delivery rewrites: a body is written once and read where it is handed out.
_BODY = Table(
    "queue_body",
    METADATA,
    Column("message_id", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

_KEY = Table(
    "queue_key",
    METADATA,
    Column("plan_id", Text, primary_key=True),
    Column("topic", Text, primary_key=True),
    Column("idempotency_key", Text, primary_key=True),
    Column("message_id", Text, nullable=False),
    Column("forget_us", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
Index("queue_key_forget", _KEY.c.forget_us)

_OF_TOPIC = (_MESSAGE.c.plan_id == bindparam("plan"), _MESSAGE.c.topic == bindparam("of_topic"))
_IDS: BindParameter[str] = bindparam("ids", expanding=True)

_DUE = (
    select(_MESSAGE.c.message_id, _MESSAGE.c.visible_us, _MESSAGE.c.size_bytes)
    .where(*_OF_TOPIC, _MESSAGE.c.visible_us <= bindparam("now"))
    .order_by(_MESSAGE.c.visible_us, _MESSAGE.c.message_id)
    .limit(bindparam("most"))
    .subquery("due")
)
_WEIGHED = select(
    _DUE.c.message_id,
    func.sum(_DUE.c.size_bytes).over(order_by=(_DUE.c.visible_us, _DUE.c.message_id), rows=(None, 0)).label("weight"),
).subquery("weighed")
_HAND_OUT = (
    update(_MESSAGE)
    .where(*_OF_TOPIC, _MESSAGE.c.message_id.in_(select(_WEIGHED.c.message_id).where(_WEIGHED.c.weight <= REPLY_BYTES)))
    .values(visible_us=bindparam("hidden_until"), receive_count=_MESSAGE.c.receive_count + 1)
    .returning(_MESSAGE.c.message_id, _MESSAGE.c.receive_count, _MESSAGE.c.publish_us)
)
_BODIES = select(_BODY.c.message_id, _BODY.c.body).where(_BODY.c.message_id.in_(_IDS))
_COUNTS = select(_MESSAGE.c.message_id, _MESSAGE.c.receive_count).where(*_OF_TOPIC, _MESSAGE.c.message_id.in_(_IDS))
_SHOW = (
    update(_MESSAGE)
    .where(*_OF_TOPIC, _MESSAGE.c.message_id == bindparam("id"))
    .values(visible_us=bindparam("shown_from"))
)
_REMOVE = delete(_MESSAGE).where(*_OF_TOPIC, _MESSAGE.c.message_id.in_(_IDS))
_REMOVE_BODIES = delete(_BODY).where(_BODY.c.message_id.in_(_IDS))

_KNOWN = select(_KEY.c.idempotency_key, _KEY.c.message_id).where(
    _KEY.c.plan_id == bindparam("plan"),
    _KEY.c.topic == bindparam("of_topic"),
    _KEY.c.idempotency_key.in_(bindparam("keys", expanding=True)),
    _KEY.c.forget_us > bindparam("now"),
)
_INSERT_KEY = sqlite_insert(_KEY)
_REMEMBER = _INSERT_KEY.on_conflict_do_update(
    index_elements=[_KEY.c.plan_id, _KEY.c.topic, _KEY.c.idempotency_key],
    set_={"message_id": _INSERT_KEY.excluded.message_id, "forget_us": _INSERT_KEY.excluded.forget_us},
)
_KEY_NAME = (_KEY.c.plan_id, _KEY.c.topic, _KEY.c.idempotency_key)
_SWEEP = delete(_KEY).where(
    tuple_(*_KEY_NAME).in_(select(*_KEY_NAME).where(_KEY.c.forget_us <= bindparam("now")).limit(bindparam("most")))
)

_END = (
    delete(_BODY).where(
        _BODY.c.message_id.in_(select(_MESSAGE.c.message_id).where(_MESSAGE.c.plan_id == bindparam("plan")))
    ),
    delete(_MESSAGE).where(_MESSAGE.c.plan_id == bindparam("plan")),
    delete(_KEY).where(_KEY.c.plan_id == bindparam("plan")),
)

_SECOND_US = 1_000_000


async def open(
    url: str, *, clock: Clock, ids: IdSource, database: Callable[[str, MetaData], Awaitable[Database]]
) -> QueueStore:
    """`sqlite:///path`."""
    return SqlQueue(await database(url, METADATA), clock, ids)


class SqlQueue:
    """The writer's transaction is the step; the time is read inside of it, so it follows the order of the steps."""

    kind = "sql"
    durable = True

    def __init__(self, database: Database, clock: Clock, ids: IdSource) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

    async def publish_many(
        self, plan_id: str, topic: str, items: Sequence[QueuePublish]
    ) -> list[Published | TheoryError]:
        def write(connection: Connection) -> list[Published | TheoryError]:
            moment = self._clock.now()
            now = to_us(moment)
            known = _known(connection, plan_id, topic, items, now)
            fresh: dict[str, QueuePublish] = {}
            answers: list[Published | TheoryError] = []
            message_ids = delivery.new_message_ids(moment, len(items), self._ids)
            for message_id, item in zip(message_ids, items, strict=True):
                if item.idempotency_key is not None and item.idempotency_key in known:
                    answers.append(Published(known[item.idempotency_key], duplicate=True))
                    continue
                fresh[message_id] = item
                if item.idempotency_key is not None:
                    known[item.idempotency_key] = message_id
                answers.append(Published(message_id))
            if fresh:
                _insert(connection, plan_id, topic, fresh, now)
            return answers

        return await self._database.write(write)

    async def consume(self, *, plan_id: str, topic: str, max_messages: int, visibility_timeout_s: int) -> list[Message]:
        def write(connection: Connection) -> list[Message]:
            now = to_us(self._clock.now())
            asked = {"plan": plan_id, "of_topic": topic, "now": now, "most": max_messages}
            rows = connection.execute(_HAND_OUT, {**asked, "hidden_until": now + visibility_timeout_s * _SECOND_US})
            handed_out = sorted(rows.all())
            if not handed_out:
                return []
            found = connection.execute(_BODIES, {"ids": [message_id for message_id, _, _ in handed_out]})
            bodies = dict(found.all())
            return [
                Message(
                    message_id,
                    bodies[message_id],
                    delivery.handle_of(message_id, receive_count),
                    receive_count,
                    from_us(publish_us),
                )
                for message_id, receive_count, publish_us in handed_out
            ]

        return await self._database.write(write)

    async def ack_many(self, plan_id: str, topic: str, receipt_handles: Sequence[str]) -> list[TheoryError | None]:
        def write(connection: Connection) -> list[TheoryError | None]:
            counts = _counts(connection, plan_id, topic, receipt_handles)
            acked: list[str] = []
            answers: list[TheoryError | None] = []
            for receipt_handle in receipt_handles:
                found = delivery.newest(receipt_handle, counts.get)
                answers.append(found if isinstance(found, TheoryError) else None)
                if isinstance(found, str):
                    del counts[found]
                    acked.append(found)
            if acked:
                connection.execute(_REMOVE, {"plan": plan_id, "of_topic": topic, "ids": acked})
                connection.execute(_REMOVE_BODIES, {"ids": acked})
            return answers

        return await self._database.write(write)

    async def nack_many(self, plan_id: str, topic: str, items: Sequence[QueueNack]) -> list[TheoryError | None]:
        return await self._show(plan_id, topic, [(item.receipt_handle, item.delay_s) for item in items])

    async def extend_many(self, plan_id: str, topic: str, items: Sequence[QueueExtend]) -> list[TheoryError | None]:
        return await self._show(plan_id, topic, [(item.receipt_handle, item.visibility_timeout_s) for item in items])

    async def end_plan(self, plan_id: str) -> None:
        def write(connection: Connection) -> None:
            for statement in _END:
                connection.execute(statement, {"plan": plan_id})

        await self._database.write(write)

    async def _show(self, plan_id: str, topic: str, items: Sequence[tuple[str, int]]) -> list[TheoryError | None]:
        def write(connection: Connection) -> list[TheoryError | None]:
            now = to_us(self._clock.now())
            counts = _counts(connection, plan_id, topic, (receipt_handle for receipt_handle, _ in items))
            shown_from: dict[str, int] = {}
            answers: list[TheoryError | None] = []
            for receipt_handle, after_s in items:
                found = delivery.newest(receipt_handle, counts.get)
                answers.append(found if isinstance(found, TheoryError) else None)
                if isinstance(found, str):
                    shown_from[found] = now + after_s * _SECOND_US
            if shown_from:
                named = {"plan": plan_id, "of_topic": topic}
                connection.execute(_SHOW, [{**named, "id": id_, "shown_from": us} for id_, us in shown_from.items()])
            return answers

        return await self._database.write(write)


def _known(connection: Connection, plan_id: str, topic: str, items: Iterable[QueuePublish], now: int) -> dict[str, str]:
    """The message ids of those idempotency keys that are remembered. Removes a few that no longer are."""
    keys = [item.idempotency_key for item in items if item.idempotency_key is not None]
    if not keys:
        return {}
    connection.execute(_SWEEP, {"now": now, "most": max(SWEEP, len(keys))})
    rows = connection.execute(_KNOWN, {"plan": plan_id, "of_topic": topic, "keys": keys, "now": now})
    return dict(rows.all())


def _insert(connection: Connection, plan_id: str, topic: str, fresh: Mapping[str, QueuePublish], now: int) -> None:
    named = {"plan_id": plan_id, "topic": topic}
    forget_us = now + KEY_KEPT // timedelta(microseconds=1)
    messages = [
        {
            **named,
            "message_id": message_id,
            "visible_us": now + item.delay_s * _SECOND_US,
            "receive_count": 0,
            "publish_us": now,
            "size_bytes": len(item.body),
        }
        for message_id, item in fresh.items()
    ]
    keys = [
        {**named, "idempotency_key": item.idempotency_key, "message_id": message_id, "forget_us": forget_us}
        for message_id, item in fresh.items()
        if item.idempotency_key is not None
    ]
    connection.execute(insert(_MESSAGE), messages)
    connection.execute(insert(_BODY), [{"message_id": id_, "body": item.body} for id_, item in fresh.items()])
    if keys:
        connection.execute(_REMEMBER, keys)


def _counts(connection: Connection, plan_id: str, topic: str, receipt_handles: Iterable[str]) -> dict[str, int]:
    """How often each message was handed out that is still there."""
    ids = [delivery.message_id_of(each) for each in receipt_handles]
    rows = connection.execute(_COUNTS, {"plan": plan_id, "of_topic": topic, "ids": ids})
    return dict(rows.all())
