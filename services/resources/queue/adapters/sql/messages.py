"""The rows of messages: published where there is room, handed out, settled by the newest delivery, counted."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from services.drivers.moments import from_us
from services.drivers.sql.statement import Rows, Statement, among
from services.resources.queue.adapters import delivery
from services.resources.queue.adapters.sql import keys
from services.resources.queue.adapters.sql.plans import Step
from services.resources.queue.adapters.sql.schema import BODY, DEAD, ITEM, LIVE, TOPIC
from services.resources.queue.ports import REPLY_BYTES, Consumed, QueueQuotas
from theory.core.adapters import Message, Published, QueuePublish, TopicStats
from theory.core.errors import TheoryError
from theory.core.ids import IdSource
from theory.core.scratch import queue_deadletter, queue_published, queue_retry

_SECOND_US = 1_000_000

_ITEMS, _BODIES = Rows(insert(ITEM)), Rows(insert(BODY))

_NUMBER = (
    select(TOPIC.c.number).where(TOPIC.c.plan_id == bindparam("plan"), TOPIC.c.name == bindparam("name"))
).scalar_subquery()
_OF_SIDE = (ITEM.c.topic == _NUMBER, ITEM.c.side == bindparam("of_side"))
# What another replica hands out at this moment is passed over; nobody waits for anybody.
_DUE_ITEMS = (
    select(ITEM)
    .where(*_OF_SIDE, ITEM.c.visible_us <= bindparam("now"))
    .order_by(ITEM.c.visible_us, ITEM.c.message_id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
    .cte("due")
)
_DUE = Statement(
    select(
        _DUE_ITEMS.c.message_id,
        _DUE_ITEMS.c.deliveries,
        _DUE_ITEMS.c.forgiven,
        _DUE_ITEMS.c.max_receives,
        _DUE_ITEMS.c.publish_us,
        BODY.c.body,
    )
    .join_from(_DUE_ITEMS, BODY, BODY.c.message_id == _DUE_ITEMS.c.message_id)
    .order_by(_DUE_ITEMS.c.visible_us, _DUE_ITEMS.c.message_id)
)
_NEXT_VISIBLE = Statement(select(func.min(ITEM.c.visible_us)).where(*_OF_SIDE))

_NAMED = among(ITEM.c.message_id, "ids")
_DELIVER = Statement(
    update(ITEM).where(_NAMED).values(visible_us=bindparam("hidden_until"), deliveries=ITEM.c.deliveries + 1)
)
_BURY = Statement(update(ITEM).where(_NAMED).values(side=DEAD, visible_us=bindparam("shown_from")))
_REVIVE = Statement(
    update(ITEM).where(_NAMED).values(side=LIVE, forgiven=ITEM.c.deliveries, visible_us=bindparam("shown_from"))
)
_SHOW = Statement(update(ITEM).where(_NAMED).values(visible_us=bindparam("shown_from")))
# A consumer that takes no lock may hand them out meanwhile: what is read here stays as it is until the commit.
_STANDING = Statement(
    select(ITEM.c.topic, ITEM.c.side, ITEM.c.message_id, ITEM.c.deliveries, ITEM.c.forgiven, ITEM.c.size_bytes)
    .where(_NAMED)
    .order_by(ITEM.c.message_id)
    .with_for_update()
)
_REMOVE = Statement(delete(ITEM).where(_NAMED))
_REMOVE_BODIES = Statement(delete(BODY).where(among(BODY.c.message_id, "ids")))

_LIVE = ITEM.c.side == LIVE
_VISIBLE = ITEM.c.visible_us <= bindparam("now")
_COUNT = func.count(ITEM.c.message_id)
_STATS = Statement(
    select(
        TOPIC.c.name,
        _COUNT.filter(_LIVE & _VISIBLE),
        _COUNT.filter(_LIVE & ~_VISIBLE & (ITEM.c.deliveries > 0)),
        _COUNT.filter(_LIVE & ~_VISIBLE & (ITEM.c.deliveries == 0)),
        _COUNT.filter(ITEM.c.side == DEAD),
    )
    .outerjoin_from(TOPIC, ITEM, ITEM.c.topic == TOPIC.c.number)
    .where(TOPIC.c.plan_id == bindparam("plan"))
    .group_by(TOPIC.c.number, TOPIC.c.name)
)


def publish(
    step: Step, items: Sequence[QueuePublish], max_receives: int | None, quotas: QueueQuotas, ids: IdSource
) -> list[Published | TheoryError]:
    """Add what is new and has room."""
    step.open()
    if full := step.place(max_receives, quotas):
        return [full] * len(items)
    known = keys.known(step, items)
    rows: list[tuple[object, ...]] = []
    bodies: list[tuple[object, ...]] = []
    fresh: dict[str, str] = {}
    answers: list[Published | TheoryError] = []
    message_ids = delivery.new_message_ids(from_us(step.now), len(items), ids)
    for message_id, item in zip(message_ids, items, strict=True):
        key, size_bytes = item.idempotency_key, len(item.body)
        if key is not None and (first := known.get(key)):
            answers.append(Published(first, duplicate=True))
            continue
        if refused := step.admit(size_bytes, quotas):
            answers.append(refused)
            continue
        if key is not None:
            known[key] = fresh[key] = message_id
        visible_us = step.now + item.delay_s * _SECOND_US
        rows.append((message_id, step.number, LIVE, visible_us, 0, 0, step.max_receives, step.now, size_bytes))
        bodies.append((message_id, item.body))
        if item.delay_s == 0:
            step.shows()
        if step.event_every:
            step.tells(queue_published(step.topic, size_bytes, step.live))
        answers.append(Published(message_id))
    if rows:
        _ITEMS.add(step.connection, rows)
        _BODIES.add(step.connection, bodies)
    keys.remember(step, fresh)
    return answers


class Asked(NamedTuple):
    """A consume."""

    plan_id: str
    topic: str
    side: int
    max_messages: int
    visibility_timeout_s: int


def hand_out(connection: Connection, asked: Asked, now: int, step: Step | None) -> Consumed | None:
    """Messages that are visible; None, and nothing done, where one has to go to the dead letters without a `step`."""
    place: dict[str, Any] = {"plan": asked.plan_id, "name": asked.topic, "of_side": asked.side}
    handed_out: list[Message] = []
    room = REPLY_BYTES
    while len(handed_out) < asked.max_messages:
        due = _DUE.rows(connection, now=now, most=asked.max_messages - len(handed_out), **place)
        delivered: list[str] = []
        buried: list[str] = []
        for message_id, deliveries, forgiven, max_receives, publish_us, body in due:
            receive_count = deliveries - forgiven
            if asked.side == LIVE and 0 < max_receives <= receive_count:
                if step is None:
                    return None
                step.live -= 1
                step.shows()
                step.tells(queue_deadletter(asked.topic, receive_count))
                buried.append(message_id)
            elif len(body) > room:
                break
            else:
                room -= len(body)
                delivered.append(message_id)
                handle = delivery.handle_of(message_id, deliveries + 1)
                handed_out.append(Message(message_id, body, handle, receive_count + 1, from_us(publish_us)))
        if delivered:
            hidden_until = now + asked.visibility_timeout_s * _SECOND_US
            _DELIVER.run(connection, ids=delivered, hidden_until=hidden_until)
        if buried:
            _BURY.run(connection, ids=buried, shown_from=now)
        if not buried or len(delivered) + len(buried) < len(due):
            break
    if handed_out:
        return Consumed(handed_out)
    next_us = _NEXT_VISIBLE.scalar(connection, **place)
    return Consumed([], None if next_us is None else max(0, next_us - now) / _SECOND_US)


class _Standing(NamedTuple):
    message_id: str
    deliveries: int
    forgiven: int
    size_bytes: int


def _standing(step: Step, side: int, receipt_handles: Iterable[str]) -> dict[str, _Standing]:
    """Those of the messages that are there, by id."""
    if step.number is None:
        return {}
    ids = [delivery.message_id_of(each) for each in receipt_handles]
    rows = _STANDING.rows(step.connection, ids=ids)
    return {row[2]: _Standing(*row[2:]) for row in rows if row[:2] == (step.number, side)}


def _newest(standing: Mapping[str, _Standing], receipt_handle: str) -> _Standing | TheoryError:
    def count_of(message_id: str) -> int | None:
        found = standing.get(message_id)
        return None if found is None else found.deliveries

    found = delivery.newest(receipt_handle, count_of)
    return found if isinstance(found, TheoryError) else standing[found]


def ack(step: Step, side: int, receipt_handles: Sequence[str]) -> list[TheoryError | None]:
    """Remove."""
    standing = _standing(step, side, receipt_handles)
    acked: list[str] = []
    answers: list[TheoryError | None] = []
    for receipt_handle in receipt_handles:
        found = _newest(standing, receipt_handle)
        answers.append(found if isinstance(found, TheoryError) else None)
        if isinstance(found, _Standing):
            acked.append(found.message_id)
            del standing[found.message_id]
            step.messages -= 1
            step.size_bytes -= found.size_bytes
            step.live -= side == LIVE
    if acked:
        _REMOVE.run(step.connection, ids=acked)
        _REMOVE_BODIES.run(step.connection, ids=acked)
    return answers


def show(step: Step, side: int, items: Sequence[tuple[str, int]], *, retry: bool) -> list[TheoryError | None]:
    """Make each delivery's message visible so many seconds from now; `retry` where it is given back."""
    standing = _standing(step, side, (receipt_handle for receipt_handle, _ in items))
    after_by_id: dict[str, int] = {}
    answers: list[TheoryError | None] = []
    for receipt_handle, after_s in items:
        found = _newest(standing, receipt_handle)
        answers.append(found if isinstance(found, TheoryError) else None)
        if isinstance(found, _Standing):
            after_by_id[found.message_id] = after_s
            if after_s == 0:
                step.shows()
            if retry and step.event_every:
                step.tells(queue_retry(step.topic, after_s, found.deliveries - found.forgiven))
    for after_s in set(after_by_id.values()):  # as good as always one
        ids = [message_id for message_id, each_s in after_by_id.items() if each_s == after_s]
        _SHOW.run(step.connection, ids=ids, shown_from=step.now + after_s * _SECOND_US)
    return answers


def redrive(step: Step, receipt_handles: Sequence[str]) -> list[TheoryError | None]:
    """Bring dead letters back."""
    standing = _standing(step, DEAD, receipt_handles)
    revived: list[str] = []
    answers: list[TheoryError | None] = []
    for receipt_handle in receipt_handles:
        found = _newest(standing, receipt_handle)
        answers.append(found if isinstance(found, TheoryError) else None)
        if isinstance(found, _Standing):
            revived.append(found.message_id)
            del standing[found.message_id]
    if revived:
        step.live += len(revived)
        step.shows()
        _REVIVE.run(step.connection, ids=revived, shown_from=step.now)
    return answers


def stats(connection: Connection, plan_id: str, now: int) -> list[TopicStats]:
    """Of each topic of the plan, by name."""
    return sorted(
        (TopicStats(*row) for row in _STATS.rows(connection, plan=plan_id, now=now)), key=lambda each: each.topic
    )
