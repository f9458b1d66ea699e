"""What request ids were answered with."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from sqlalchemy import bindparam, delete, insert, select, tuple_, update

from services.drivers.sql.statement import Statement
from services.resources.kv.adapters import counter
from services.resources.kv.adapters.sql.plans import Step
from services.resources.kv.adapters.sql.schema import REQUEST
from services.resources.kv.ports import REQUEST_KEPT
from theory.core.adapters import KVIncr
from theory.core.errors import TheoryError

_FORGOTTEN_AT_ONCE = 1_000

_NAME = (REQUEST.c.plan_id, REQUEST.c.request_id)
_RECALL = Statement(
    select(REQUEST.c.digest, REQUEST.c.answers).where(
        REQUEST.c.plan_id == bindparam("plan"), REQUEST.c.request_id == bindparam("id")
    )
)
_REMEMBER = Statement(insert(REQUEST), ("plan_id", "request_id", "digest", "answers", "create_us"))
_END = Statement(
    update(REQUEST)
    .where(REQUEST.c.plan_id == bindparam("plan"), REQUEST.c.forget_us.is_(None))
    .values(forget_us=REQUEST.c.create_us + REQUEST_KEPT // timedelta(microseconds=1))
)
# What another replica forgets at this moment is passed over.
_FORGET = Statement(
    delete(REQUEST).where(
        tuple_(*_NAME).in_(
            select(*_NAME)
            .where(REQUEST.c.forget_us <= bindparam("now"))
            .limit(_FORGOTTEN_AT_ONCE)
            .with_for_update(skip_locked=True)
        )
    )
)


def once(
    step: Step, request_id: str, items: Sequence[KVIncr], add: Callable[[Step], list[int | TheoryError]]
) -> list[int | TheoryError]:
    """What `add` answers, or answered; `AlreadyExists` (`REQUEST_ID_TAKEN`) where the id came with other items."""
    forget(step)
    digest = counter.digest(items)
    known = _RECALL.row(step.connection, plan=step.plan_id, id=request_id)
    if known is not None:
        known_digest, answered = known
        if known_digest != digest:
            raise counter.taken(request_id)
        return counter.unpack(answered)
    answers = add(step)
    remembered = {"digest": digest, "answers": counter.pack(answers), "create_us": step.now}
    _REMEMBER.run(step.connection, plan_id=step.plan_id, request_id=request_id, **remembered)
    return answers


def end(step: Step) -> None:
    """Forget the plan's ids when the time that they are promised is over."""
    _END.run(step.connection, plan=step.plan_id)
    forget(step)


def forget(step: Step) -> None:
    """Remove ids whose time is over."""
    _FORGET.run(step.connection, now=step.now)
