"""Idempotency keys: what they stand for, for ten minutes."""

from collections.abc import Iterable, Mapping
from datetime import timedelta

from sqlalchemy import bindparam, delete, select, tuple_

from services.drivers.sql.statement import Rows, Statement, among
from services.drivers.sql.words import upsert
from services.resources.queue.adapters.sql.plans import Step
from services.resources.queue.adapters.sql.schema import KEY
from services.resources.queue.ports import KEY_KEPT, SWEEP
from theory.core.adapters import QueuePublish

_KEPT_US = KEY_KEPT // timedelta(microseconds=1)

_KNOWN = Statement(
    select(KEY.c.idempotency_key, KEY.c.message_id).where(
        KEY.c.topic == bindparam("of_topic"), among(KEY.c.idempotency_key, "keys"), KEY.c.forget_us > bindparam("now")
    )
)
_REMEMBER = Rows(upsert(KEY))
_NAME = (KEY.c.topic, KEY.c.idempotency_key)
# What another replica forgets at this moment is passed over.
_FORGET = Statement(
    delete(KEY).where(
        tuple_(*_NAME).in_(
            select(*_NAME)
            .where(KEY.c.forget_us <= bindparam("now"))
            .order_by(KEY.c.forget_us)
            .limit(bindparam("most"))
            .with_for_update(skip_locked=True)
        )
    )
)


def known(step: Step, items: Iterable[QueuePublish]) -> dict[str, str]:
    """The message ids of those keys that are remembered. Removes a few that no longer are, of any topic."""
    keys = [item.idempotency_key for item in items if item.idempotency_key is not None]
    if not keys:
        return {}
    _FORGET.run(step.connection, now=step.now, most=max(SWEEP, len(keys)))
    return dict(_KNOWN.rows(step.connection, of_topic=step.number, keys=keys, now=step.now))


def remember(step: Step, id_by_key: Mapping[str, str]) -> None:
    """Know from now on what each key stands for."""
    if id_by_key:
        forget_us = step.now + _KEPT_US
        rows = [(step.number, key, message_id, forget_us) for key, message_id in id_by_key.items()]
        _REMEMBER.add(step.connection, rows)
