"""Messages in a SQL database: a row each, one a topic and one a plan, each batch one transaction."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import Connection

from services.drivers.opening import Opening
from services.drivers.sql.shared import SharedDatabase, share_database
from services.drivers.sql.words import now_us
from services.resources.queue.adapters.sql import leftovers, messages
from services.resources.queue.adapters.sql.plans import NOTE, Step
from services.resources.queue.adapters.sql.schema import DEAD, LIVE, METADATA
from services.resources.queue.ports import Consumed, QueueFeature, QueueQuotas, QueueStore, Wake
from theory.core.adapters import Published, QueueExtend, QueueNack, QueuePublish, TopicStats
from theory.core.clock import Clock
from theory.core.errors import TheoryError
from theory.core.ids import IdSource

_T = TypeVar("_T")

_REMOVED_AT_END = 1_000
"""How many messages of an ended plan go at once; the others go with later writes."""
_REMOVED = 200
_LOOK_EVERY_US = 1_000_000


async def open(url: str, opening: Opening, quotas: QueueQuotas) -> QueueStore:
    """`sqlite:///path`, or `postgresql://...` as `services.drivers.sql` reads it; keys may lie beside the messages."""
    return SqlQueue(await share_database(opening, url, METADATA), opening.clock, opening.ids, quotas)


class SqlQueue:
    """A transaction that holds the lock of its plan is the step; the time is read inside of it, behind the lock.

    A consume takes no lock, so that replicas hand out to each other's neighbours: it passes over what another one is
    handing out. Only where a message has to go to the dead letters it is a step like any other.
    """

    kind = "sql"
    durable = True
    redelivery_slack_s = 0

    def __init__(self, shared: SharedDatabase, clock: Clock, ids: IdSource, quotas: QueueQuotas) -> None:
        self.features = frozenset(QueueFeature) - (set() if shared.database.stable else {QueueFeature.STABLE})
        self._shared = shared
        self._clock = clock
        self._ids = ids
        self._quotas = quotas
        self._look_us = 0

    def subscribe(self, wake: Wake) -> None:
        def hear(note: str) -> None:
            kind, *place = note.split(" ")
            if kind == NOTE:
                plan_id, topic = place
                wake(plan_id, topic)

        self._shared.subscribe(hear)

    async def publish_many(
        self, plan_id: str, topic: str, items: Sequence[QueuePublish], max_receives: int | None
    ) -> list[Published | TheoryError]:
        return await self._write(
            plan_id, topic, lambda step: messages.publish(step, items, max_receives, self._quotas, self._ids)
        )

    async def consume(
        self, *, plan_id: str, topic: str, dead_letters: bool, max_messages: int, visibility_timeout_s: int
    ) -> Consumed:
        asked = messages.Asked(plan_id, topic, _side(dead_letters), max_messages, visibility_timeout_s)

        def consume(connection: Connection) -> Consumed | None:
            return messages.hand_out(connection, asked, now_us(connection, self._clock), None)

        def bury(step: Step) -> Consumed | None:
            return messages.hand_out(step.connection, asked, step.now, step)

        consumed = await self._shared.database.write(consume) or await self._write(plan_id, topic, bury)
        return consumed or Consumed([])

    async def ack_many(
        self, plan_id: str, topic: str, receipt_handles: Sequence[str], *, dead_letters: bool
    ) -> list[TheoryError | None]:
        return await self._write(plan_id, topic, lambda step: messages.ack(step, _side(dead_letters), receipt_handles))

    async def nack_many(
        self, plan_id: str, topic: str, items: Sequence[QueueNack], *, dead_letters: bool
    ) -> list[TheoryError | None]:
        shown = [(item.receipt_handle, item.delay_s) for item in items]
        return await self._write(
            plan_id, topic, lambda step: messages.show(step, _side(dead_letters), shown, retry=True)
        )

    async def extend_many(
        self, plan_id: str, topic: str, items: Sequence[QueueExtend], *, dead_letters: bool
    ) -> list[TheoryError | None]:
        shown = [(item.receipt_handle, item.visibility_timeout_s) for item in items]
        return await self._write(
            plan_id, topic, lambda step: messages.show(step, _side(dead_letters), shown, retry=False)
        )

    async def redrive_many(self, plan_id: str, topic: str, receipt_handles: Sequence[str]) -> list[TheoryError | None]:
        return await self._write(plan_id, topic, lambda step: messages.redrive(step, receipt_handles))

    async def stats(self, plan_id: str) -> list[TopicStats]:
        return await self._shared.database.read(
            lambda connection: messages.stats(connection, plan_id, now_us(connection, self._clock))
        )

    async def begin_plan(self, plan_id: str, event_every: int) -> None:
        def begin(step: Step) -> None:
            step.open()
            step.event_every = event_every

        await self._write(plan_id, "", begin)

    async def end_plan(self, plan_id: str) -> None:
        def end(step: Step) -> None:
            step.end()
            if leftovers.remove(step.connection, step.now, _REMOVED_AT_END):
                self._look_us = step.now

        await self._write(plan_id, "", end)

    async def _write(self, plan_id: str, topic: str, change: Callable[[Step], _T]) -> _T:
        """What `change` returned. Removes some of what ended plans left on the way."""

        def write(connection: Connection) -> tuple[_T, bool]:
            now = now_us(connection, self._clock)
            step = Step(connection, plan_id, topic, now)
            answer = change(step)
            told = step.close()
            if now >= self._look_us:
                more = leftovers.remove(connection, now, _REMOVED)
                self._look_us = now if more else now + _LOOK_EVERY_US
            return answer, told

        answer, told = await self._shared.database.write(write, locks=[f"queue {plan_id}"])
        if told:
            self._shared.told()
        return answer


def _side(dead_letters: bool) -> int:  # noqa: FBT001 - the one thing it is about
    return DEAD if dead_letters else LIVE
