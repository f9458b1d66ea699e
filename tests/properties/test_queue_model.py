"""Any history of messages reads the same from every store as from a list with a clock."""

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from services.drivers.sql import Database
from services.resources.queue.adapters import sql
from services.resources.queue.adapters.memory import MemoryQueue
from services.resources.queue.ports import QueueStore
from theory.core.adapters import Published, QueueExtend, QueueNack, QueuePublish
from theory.core.clock import FakeClock
from theory.core.errors import TheoryError
from theory.core.ids import SequenceIds

PLACES = (("p-1", "a"), ("p-1", "b"), ("p-2", "a"))
KEY_KEPT = timedelta(minutes=10)

places = st.sampled_from((PLACES[0], PLACES[0], *PLACES))
waits = st.sampled_from([0, 0, 0, 1, 4])
timeouts = st.sampled_from([1, 1, 2, 5])
picks = st.lists(st.integers(0, 9), min_size=1, max_size=4)
some_handed_out = precondition(lambda machine: bool(machine.deliveries))
items = st.lists(
    st.builds(QueuePublish, st.binary(max_size=2), st.sampled_from([None, "k", "k", "l"]), waits),
    min_size=1,
    max_size=5,
)


@dataclass(frozen=True)
class Delivery:
    place: tuple[str, str]
    message_id: str
    receipt_handle: str
    receive_count: int


@dataclass
class Stored:
    place: tuple[str, str]
    body: bytes
    publish_time: datetime
    visible_time: datetime
    receive_count: int = 0


class QueueMachine(RuleBasedStateMachine):
    """The model: what the promises say, one item after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = FakeClock()
        self.store = self.runner.run(self.opened())
        self.stored: dict[str, Stored] = {}
        self.keys: dict[tuple[str, str, str], tuple[str, datetime]] = {}
        self.ids: set[str] = set()
        self.deliveries: list[Delivery] = []

    async def opened(self) -> QueueStore:
        raise NotImplementedError

    async def closed(self) -> None:
        """Nothing to close in memory."""

    def teardown(self) -> None:
        """What was never acknowledged is there to the last message."""
        try:
            self.clock.advance(100_000)
            for place in PLACES:
                left = sum(message.place == place for message in self.stored.values())
                while found := self.handed_out(place, 30, 43_200):
                    left -= len(found)
                assert left == 0
        finally:
            self.runner.run(self.closed())
            self.runner.close()

    @rule(place=places, published=items)
    def publish(self, place: tuple[str, str], published: list[QueuePublish]) -> None:
        now = self.clock.now()
        answers = self.runner.run(self.store.publish_many(*place, published))
        for item, answer in zip(published, answers, strict=True):
            assert isinstance(answer, Published)
            known = self.keys.get((*place, item.idempotency_key or ""))
            if known is not None and known[1] > now:
                assert answer == Published(known[0], duplicate=True)
                continue
            assert not answer.duplicate
            assert answer.message_id not in self.ids
            self.ids.add(answer.message_id)
            self.stored[answer.message_id] = Stored(place, item.body, now, now + timedelta(seconds=item.delay_s))
            if item.idempotency_key is not None:
                self.keys[(*place, item.idempotency_key)] = (answer.message_id, now + KEY_KEPT)

    @rule(place=places, count=st.integers(1, 4), timeout_s=timeouts)
    def consume(self, place: tuple[str, str], count: int, timeout_s: int) -> None:
        self.deliveries += self.handed_out(place, count, timeout_s)

    @some_handed_out
    @rule(chosen=picks)
    def ack(self, chosen: list[int]) -> None:
        place, picked = self.picked(chosen)
        answers = self.runner.run(self.store.ack_many(*place, [each.receipt_handle for each in picked]))
        expected = []
        for delivery in picked:
            expected.append(self.fault(delivery))
            if expected[-1] is None:
                del self.stored[delivery.message_id]
        assert reasons(answers) == expected

    @some_handed_out
    @rule(chosen=picks, delay_s=waits)
    def nack(self, chosen: list[int], delay_s: int) -> None:
        place, picked = self.picked(chosen)
        asked = [QueueNack(each.receipt_handle, delay_s + idx) for idx, each in enumerate(picked)]
        self.show(picked, [each.delay_s for each in asked], self.runner.run(self.store.nack_many(*place, asked)))

    @some_handed_out
    @rule(chosen=picks, timeout_s=timeouts)
    def extend(self, chosen: list[int], timeout_s: int) -> None:
        place, picked = self.picked(chosen)
        asked = [QueueExtend(each.receipt_handle, timeout_s + idx) for idx, each in enumerate(picked)]
        answers = self.runner.run(self.store.extend_many(*place, asked))
        self.show(picked, [each.visibility_timeout_s for each in asked], answers)

    @rule(s=st.sampled_from([0.25, 1.0, 2.0, 3.0, 50.0, 550.0]))
    def wait(self, s: float) -> None:
        self.clock.advance(s)

    @rule(plan_id=st.sampled_from(["p-1", "p-2"]))
    def end_plan(self, plan_id: str) -> None:
        self.runner.run(self.store.end_plan(plan_id))
        self.stored = {name: message for name, message in self.stored.items() if message.place[0] != plan_id}
        self.keys = {name: known for name, known in self.keys.items() if name[0] != plan_id}

    def handed_out(self, place: tuple[str, str], count: int, timeout_s: int) -> list[Delivery]:
        now = self.clock.now()
        plan_id, topic = place
        asked = self.store.consume(plan_id=plan_id, topic=topic, max_messages=count, visibility_timeout_s=timeout_s)
        messages = self.runner.run(asked)
        visible = [each for each in self.stored.values() if each.place == place and each.visible_time <= now]
        assert len({each.message_id for each in messages}) == len(messages) == min(count, len(visible))
        for message in messages:
            stored = self.stored[message.message_id]
            assert stored.place == place
            assert stored.visible_time <= now
            stored.receive_count += 1
            stored.visible_time = now + timedelta(seconds=timeout_s)
            assert (message.body, message.publish_time) == (stored.body, stored.publish_time)
            assert message.receive_count == stored.receive_count
        return [Delivery(place, each.message_id, each.receipt_handle, each.receive_count) for each in messages]

    def picked(self, chosen: list[int]) -> tuple[tuple[str, str], list[Delivery]]:
        """Deliveries of one place, rather late ones than early ones."""
        handed = [self.deliveries[-1 - pick % len(self.deliveries)] for pick in chosen]
        return handed[0].place, [delivery for delivery in handed if delivery.place == handed[0].place]

    def show(self, chosen: list[Delivery], after_s: list[int], answers: Sequence[TheoryError | None]) -> None:
        assert reasons(answers) == [self.fault(delivery) for delivery in chosen]
        for delivery, s in zip(chosen, after_s, strict=True):
            if self.fault(delivery) is None:
                self.stored[delivery.message_id].visible_time = self.clock.now() + timedelta(seconds=s)

    def fault(self, delivery: Delivery) -> str | None:
        stored = self.stored.get(delivery.message_id)
        if stored is None:
            return "MESSAGE_UNKNOWN"
        return None if stored.receive_count == delivery.receive_count else "RECEIPT_SUPERSEDED"


def reasons(answers: Sequence[TheoryError | None]) -> list[str | None]:
    return [None if answer is None else answer.reason for answer in answers]


class MemoryMachine(QueueMachine):
    async def opened(self) -> QueueStore:
        return MemoryQueue(self.clock, SequenceIds())


class SqlMachine(QueueMachine):
    async def opened(self) -> QueueStore:
        self.folder = tempfile.TemporaryDirectory()
        self.database = await Database.open(f"sqlite:///{Path(self.folder.name)}/q.db", sql.METADATA, durable=False)
        return sql.SqlQueue(self.database, self.clock, SequenceIds())

    async def closed(self) -> None:
        await self.database.close()
        self.folder.cleanup()


TestMemory = MemoryMachine.TestCase
TestMemory.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestSql = SqlMachine.TestCase
TestSql.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
