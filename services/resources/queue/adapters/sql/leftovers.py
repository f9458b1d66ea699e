"""What ended plans left behind, removed bit by bit by whoever writes."""

from datetime import timedelta

from sqlalchemy import Connection, bindparam, delete, select

from services.drivers.sql.statement import Statement, among
from services.resources.queue.adapters.sql.schema import BODY, ITEM, PLAN, TOPIC
from theory.core.scratch import ENDED_KEPT

_KEPT_US = ENDED_KEPT // timedelta(microseconds=1)

# What another replica removes at this moment is passed over, here and below.
_LOST_TOPIC = Statement(
    select(TOPIC.c.number)
    .where(TOPIC.c.plan_id.is_(None))
    .order_by(TOPIC.c.number)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_SOME = Statement(select(ITEM.c.message_id).where(ITEM.c.topic == bindparam("of_topic")).limit(bindparam("most")))
_REMOVE = Statement(delete(ITEM).where(among(ITEM.c.message_id, "ids")))
_REMOVE_BODIES = Statement(delete(BODY).where(among(BODY.c.message_id, "ids")))
_REMOVE_TOPIC = Statement(delete(TOPIC).where(TOPIC.c.number == bindparam("of_topic")))
_FORGET_PLANS = Statement(
    delete(PLAN).where(
        PLAN.c.plan_id.in_(
            select(PLAN.c.plan_id)
            .where(PLAN.c.end_us <= bindparam("before"))
            .order_by(PLAN.c.end_us)
            .limit(bindparam("most"))
            .with_for_update(skip_locked=True)
        )
    )
)


def remove(connection: Connection, now: int, most: int) -> bool:
    """Remove at most so many messages of topics without a plan, and plans that ended long ago; whether more is left."""
    forgotten = _FORGET_PLANS.run(connection, before=now - _KEPT_US, most=most)
    left = most
    while left > 0:
        topic = _LOST_TOPIC.scalar(connection)
        if topic is None:
            return forgotten == most
        ids = [message_id for (message_id,) in _SOME.rows(connection, of_topic=topic, most=left)]
        if ids:
            _REMOVE.run(connection, ids=ids)
            _REMOVE_BODIES.run(connection, ids=ids)
        if len(ids) < left:
            _REMOVE_TOPIC.run(connection, of_topic=topic)
        left -= max(1, len(ids))
    return True
