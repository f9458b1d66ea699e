"""The row of a plan: what its keys weigh, which changes are told, when it ended, and what is still to be removed."""

from datetime import timedelta
from typing import Self

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from services.drivers.sql.shared import tell
from services.drivers.sql.statement import Statement
from services.resources.kv.adapters import refusals
from services.resources.kv.adapters.sql.schema import ENTRY, PLAN
from theory.core.scratch import ENDED_KEPT, Change, kv_changed

_KEPT_US = ENDED_KEPT // timedelta(microseconds=1)

_CHANGED = ("keys", "size_bytes", "event_every", "changes", "end_us", "sweep_us")
_NEW = (0, 0, 0, 0, None, None)

_FIND = Statement(
    select(PLAN.c.number, *(PLAN.c[name] for name in _CHANGED)).where(PLAN.c.plan_id == bindparam("plan"))
)
_ADD = Statement(insert(PLAN).returning(PLAN.c.number), ("plan_id", *_CHANGED))
_SET = Statement(update(PLAN).where(PLAN.c.number == bindparam("of_number")), _CHANGED)
_REMOVE = Statement(delete(PLAN).where(PLAN.c.number == bindparam("of_number")))
_LEFT = Statement(select(PLAN.c.plan_id).where(PLAN.c.sweep_us <= bindparam("now")).order_by(PLAN.c.sweep_us).limit(1))

_OF_PLAN = ENTRY.c.plan == bindparam("of_number")
_SOME = select(ENTRY.c.key).where(_OF_PLAN).limit(bindparam("most"))
_EXPIRED = (
    select(ENTRY.c.key)
    .where(_OF_PLAN, ENTRY.c.expire_us <= bindparam("now"))
    .order_by(ENTRY.c.expire_us)
    .limit(bindparam("most"))
)
_DROP_SOME, _DROP_EXPIRED = (
    Statement(delete(ENTRY).where(_OF_PLAN, ENTRY.c.key.in_(each)).returning(ENTRY.c.size_bytes))
    for each in (_SOME, _EXPIRED)
)
_NEXT_EXPIRY = Statement(select(func.min(ENTRY.c.expire_us)).where(_OF_PLAN, ENTRY.c.expire_us.is_not(None)))


def left(connection: Connection, now: int) -> str | None:
    """A plan in which there is something to remove."""
    found: str | None = _LEFT.scalar(connection, now=now)
    return found


class Step:
    """One plan in a transaction that holds its lock: the row as it was found, and as it will be when the step closes.

    There is none before something is to be kept: `number` is None then.
    """

    def __init__(self, connection: Connection, plan_id: str, now: int) -> None:
        self.connection = connection
        self.plan_id = plan_id
        self.now = now
        self._changes: list[Change] = []
        self._take(*(_FIND.row(connection, plan=plan_id) or (None, *_NEW)))

    def _take(
        self,
        number: int | None,
        keys: int,
        size_bytes: int,
        event_every: int,
        changes: int,
        end_us: int | None,
        sweep_us: int | None,
    ) -> None:
        self.number = number
        self.keys = keys
        self.size_bytes = size_bytes
        self.event_every = event_every
        self.changes = changes
        self.end_us = end_us
        self.sweep_us = sweep_us
        self._found = self._values()

    def _values(self) -> tuple[int | None, ...]:
        return self.keys, self.size_bytes, self.event_every, self.changes, self.end_us, self.sweep_us

    @property
    def live(self) -> bool:
        """Whether there may be keys."""
        return self.number is not None and self.end_us is None

    def open(self) -> Self:
        """This plan, which keys may be written to; `NotReady` (`PLAN_ENDED`)."""
        if self.end_us is not None:
            raise refusals.plan_ended(self.plan_id)
        if self.number is None:
            new = dict(zip(_CHANGED, _NEW, strict=True))
            self.number = _ADD.scalar(self.connection, plan_id=self.plan_id, **new)
        return self

    def expects(self, expire_us: int | None) -> None:
        """Take note that a key expires then."""
        if expire_us is not None and (self.sweep_us is None or expire_us < self.sweep_us):
            self.sweep_us = expire_us

    def tells(self, key: str, op: str) -> None:
        """Count a change."""
        if self.event_every:
            self._changes.append(kv_changed(key, op))

    def end(self) -> None:
        """Hide every key, and take none any more."""
        if self.end_us is None:
            self.open()
            self.end_us = self.sweep_us = self.now

    def sweep(self, most: int) -> None:
        """Remove so many of the keys that are not there for anybody; the row itself where nothing else is left."""
        if self.sweep_us is None or self.sweep_us > self.now:
            return
        if self.end_us is None:
            if self._drop(_DROP_EXPIRED, most) < most:
                self.sweep_us = _NEXT_EXPIRY.scalar(self.connection, of_number=self.number)
        elif self.keys == 0 or self._drop(_DROP_SOME, most) < most:
            self.keys = self.size_bytes = 0
            self.sweep_us = self.end_us + _KEPT_US
            if self.sweep_us <= self.now:
                _REMOVE.run(self.connection, of_number=self.number)
                self._take(None, *_NEW)

    def _drop(self, statement: Statement, most: int) -> int:
        dropped = statement.rows(self.connection, of_number=self.number, now=self.now, most=most)
        self.keys -= len(dropped)
        self.size_bytes -= sum(size_bytes for (size_bytes,) in dropped)
        return len(dropped)

    def close(self) -> bool:
        """Write the row if anything of it changed, and keep the events; whether there are any."""
        told = tell(
            self.connection,
            self.plan_id,
            "kv",
            self._changes,
            counted=self.changes,
            every=self.event_every,
            now=self.now,
        )
        self.changes += len(self._changes)
        if self.number is not None and (values := self._values()) != self._found:
            _SET.run(self.connection, of_number=self.number, **dict(zip(_CHANGED, values, strict=True)))
        return told
