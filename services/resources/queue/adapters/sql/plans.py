"""The rows of a plan and of the topic that is asked for: what they hold, what changes are told, when the plan ended."""

from sqlalchemy import Connection, and_, bindparam, func, insert, select, update

from services.drivers.sql.shared import tell
from services.drivers.sql.statement import Statement
from services.drivers.sql.words import insert_new, note
from services.resources.queue.adapters import refusals
from services.resources.queue.adapters.sql.schema import PLAN, TOPIC
from services.resources.queue.ports import QueueQuotas
from theory.core.errors import Exhausted
from theory.core.scratch import Change

NOTE = "queue"
"""What a note for other replicas begins with; plan and topic follow."""

_CHANGED = ("messages", "size_bytes", "event_every", "changes", "end_us")
_NEW = (0, 0, 0, 0, None)
_NO_TOPIC = (None, 0, 0)

_FIND = Statement(
    select(*(PLAN.c[name] for name in _CHANGED), TOPIC.c.number, TOPIC.c.max_receives, TOPIC.c.live)
    .outerjoin_from(PLAN, TOPIC, and_(TOPIC.c.plan_id == PLAN.c.plan_id, TOPIC.c.name == bindparam("topic")))
    .where(PLAN.c.plan_id == bindparam("plan"))
)
_ADD = Statement(insert_new(PLAN), ("plan_id", *_CHANGED))
_SET = Statement(update(PLAN).where(PLAN.c.plan_id == bindparam("of_plan")), _CHANGED)
_TOPICS = Statement(select(func.count()).where(TOPIC.c.plan_id == bindparam("plan")))
_ADD_TOPIC = Statement(insert(TOPIC).returning(TOPIC.c.number), ("plan_id", "name", "max_receives", "live"))
_SET_TOPIC = Statement(update(TOPIC).where(TOPIC.c.number == bindparam("of_number")), ("live",))
_LOSE_TOPICS = Statement(update(TOPIC).where(TOPIC.c.plan_id == bindparam("of_plan")).values(plan_id=None))


class Step:
    """One topic of one plan in a transaction that holds the plan's lock: as found, and as it will be at the close.

    `number` is None where there is no such topic, or no longer.
    """

    def __init__(self, connection: Connection, plan_id: str, topic: str, now: int) -> None:
        self.connection = connection
        self.plan_id = plan_id
        self.topic = topic
        self.now = now
        self._changes: list[Change] = []
        self._shown = False
        row = _FIND.row(connection, plan=plan_id, topic=topic)
        self._known = row is not None
        plan, place = (row[:5], row[5:]) if row is not None else (_NEW, _NO_TOPIC)
        self.messages, self.size_bytes, self.event_every, self.changes, self.end_us = plan
        self.number: int | None = place[0]
        self.max_receives: int = place[1] or 0
        self.live: int = place[2] or 0
        """The messages of the topic that are no dead letters."""
        self._found, self._found_live = plan, self.live

    def _values(self) -> tuple[int | None, ...]:
        return self.messages, self.size_bytes, self.event_every, self.changes, self.end_us

    def open(self) -> None:
        """Make sure that the plan is there; `NotReady` (`PLAN_ENDED`)."""
        if self.end_us is not None:
            raise refusals.plan_ended(self.plan_id)
        if not self._known:
            self._known = True
            _ADD.run(self.connection, plan_id=self.plan_id, **dict(zip(_CHANGED, _NEW, strict=True)))

    def place(self, max_receives: int | None, quotas: QueueQuotas) -> Exhausted | None:
        """Make sure that the topic is there; `AlreadyExists` (`TOPIC_TAKEN`) where it was made with another figure."""
        if self.number is not None:
            if max_receives is not None and max_receives != self.max_receives:
                raise refusals.topic_taken(self.max_receives)
            return None
        if _TOPICS.scalar(self.connection, plan=self.plan_id) >= quotas.topics:
            return refusals.too_many_topics(quotas)
        self.max_receives = max_receives or 0
        row = {"plan_id": self.plan_id, "name": self.topic, "max_receives": self.max_receives, "live": 0}
        self.number = _ADD_TOPIC.scalar(self.connection, **row)
        return None

    def admit(self, size_bytes: int, quotas: QueueQuotas) -> Exhausted | None:
        """Count a message in, if there is room for it."""
        if self.messages >= quotas.messages:
            return refusals.too_many_messages(quotas)
        if self.size_bytes + size_bytes > quotas.size_bytes:
            return refusals.too_many_bytes(quotas)
        self.messages += 1
        self.size_bytes += size_bytes
        self.live += 1
        return None

    def tells(self, change: Change) -> None:
        """Count a change; one of a plan that wants no events need not be made."""
        self._changes.append(change)

    def shows(self) -> None:
        """Take note that something became visible, also for consumers that wait at another replica."""
        self._shown = True

    def end(self) -> None:
        """Lose every topic, and take nothing any more."""
        if self.end_us is None:
            self.open()
            self.end_us = self.now
            self.number = None
            _LOSE_TOPICS.run(self.connection, of_plan=self.plan_id)

    def close(self) -> bool:
        """Write what changed, and keep the events; whether there are any."""
        if self._shown:
            note(self.connection, f"{NOTE} {self.plan_id} {self.topic}")
        counted, every = self.changes, self.event_every
        told = tell(self.connection, self.plan_id, "queue", self._changes, counted=counted, every=every, now=self.now)
        self.changes += len(self._changes) if every else 0
        if self.number is not None and self.live != self._found_live:
            _SET_TOPIC.run(self.connection, of_number=self.number, live=self.live)
        if self._known and (values := self._values()) != self._found:
            _SET.run(self.connection, of_plan=self.plan_id, **dict(zip(_CHANGED, values, strict=True)))
        return told
