"""Any history of messages reads the same from every store as from a list with a clock."""

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from services.resources.queue.adapters import open_store
from services.resources.queue.ports import QueueQuotas, QueueStore
from tests.surroundings import opening
from theory.core.adapters import Published, QueueExtend, QueueNack, QueuePublish
from theory.core.clock import FakeClock
from theory.core.errors import NotReady, TheoryError

PLACES = (("p-1", "a"), ("p-1", "b"), ("p-2", "a"))
MAX_RECEIVES = {"b": 2}
"""After how many deliveries a message of the topic goes to its dead letters."""
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
    number: int
    dead: bool


@dataclass
class Stored:
    place: tuple[str, str]
    body: bytes
    publish_time: datetime
    visible_time: datetime
    deliveries: int = 0
    forgiven: int = 0
    dead: bool = False

    @property
    def doomed(self) -> bool:
        return not self.dead and self.deliveries - self.forgiven >= MAX_RECEIVES.get(self.place[1], 1_000_000)


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
        self.ended: dict[str, int] = {}

    async def opened(self) -> QueueStore:
        self.opening = opening(self.clock)
        return await open_store(self.url(), self.opening, QueueQuotas())

    def url(self) -> str:
        return "memory:"

    def at(self, place: tuple[str, str]) -> tuple[str, str]:
        """The place in a plan that has not ended."""
        return f"{place[0]}-{self.ended.get(place[0], 0)}", place[1]

    def teardown(self) -> None:
        """What was never acknowledged is there to the last message, on one side or the other."""
        try:
            self.clock.advance(100_000)
            for place in map(self.at, PLACES):
                left = sum(message.place == place for message in self.stored.values())
                for dead in (False, True):
                    while found := self.handed_out(place, 30, 43_200, dead=dead):
                        left -= len(found)
                assert left == 0
        finally:
            self.runner.run(self.opening.close())
            self.runner.close()

    @rule(place=places, published=items)
    def publish(self, place: tuple[str, str], published: list[QueuePublish]) -> None:
        now, place = self.clock.now(), self.at(place)
        answers = self.runner.run(self.store.publish_many(*place, published, MAX_RECEIVES.get(place[1])))
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

    @rule(place=places, count=st.integers(1, 4), timeout_s=timeouts, dead=st.booleans())
    def consume(self, place: tuple[str, str], count: int, timeout_s: int, dead: bool) -> None:
        # Which of several messages come first is no promise: where some may have to move, all are asked for.
        count = 30 if place[1] in MAX_RECEIVES and not dead else count
        self.deliveries += self.handed_out(self.at(place), count, timeout_s, dead=dead)

    @some_handed_out
    @rule(chosen=picks)
    def ack(self, chosen: list[int]) -> None:
        place, picked = self.picked(chosen)
        handles = [each.receipt_handle for each in picked]
        answers = self.runner.run(self.store.ack_many(*place, handles, dead_letters=picked[0].dead))
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
        answers = self.runner.run(self.store.nack_many(*place, asked, dead_letters=picked[0].dead))
        self.show(picked, [each.delay_s for each in asked], answers)

    @some_handed_out
    @rule(chosen=picks, timeout_s=timeouts)
    def extend(self, chosen: list[int], timeout_s: int) -> None:
        place, picked = self.picked(chosen)
        asked = [QueueExtend(each.receipt_handle, timeout_s + idx) for idx, each in enumerate(picked)]
        answers = self.runner.run(self.store.extend_many(*place, asked, dead_letters=picked[0].dead))
        self.show(picked, [each.visibility_timeout_s for each in asked], answers)

    @precondition(lambda machine: any(each.dead for each in machine.deliveries))
    @rule(pick=st.integers(0, 9))
    def redrive(self, pick: int) -> None:
        dead = [each for each in self.deliveries if each.dead]
        delivery = dead[-1 - pick % len(dead)]
        [answer] = self.runner.run(self.store.redrive_many(*delivery.place, [delivery.receipt_handle]))
        assert reasons([answer]) == [self.fault(delivery)]
        if answer is None:
            stored = self.stored[delivery.message_id]
            stored.dead, stored.forgiven, stored.visible_time = False, stored.deliveries, self.clock.now()

    @rule(s=st.sampled_from([0.25, 1.0, 2.0, 3.0, 50.0, 550.0]))
    def wait(self, s: float) -> None:
        self.clock.advance(s)

    @rule(plan_id=st.sampled_from(["p-1", "p-2"]))
    def end_plan(self, plan_id: str) -> None:
        ended, topic = self.at((plan_id, "a"))
        self.ended[plan_id] = self.ended.get(plan_id, 0) + 1
        self.runner.run(self.store.end_plan(ended))
        self.stored = {name: message for name, message in self.stored.items() if message.place[0] != ended}
        with pytest.raises(NotReady):
            self.runner.run(self.store.publish_many(ended, topic, [QueuePublish(b"")], None))
        assert self.runner.run(self.store.stats(ended)) == []

    @rule(plan_id=st.sampled_from(["p-1", "p-2"]))
    def stats(self, plan_id: str) -> None:
        now, plan = self.clock.now(), self.at((plan_id, "a"))[0]
        for told in self.runner.run(self.store.stats(plan)):
            here = [each for each in self.stored.values() if each.place == (plan, told.topic)]
            live = [each for each in here if not each.dead]
            later = [each for each in live if each.visible_time > now]
            assert told.dead == len(here) - len(live)
            assert told.visible == len(live) - len(later)
            assert told.delayed == sum(not each.deliveries for each in later)
            assert told.hidden == len(later) - told.delayed

    def handed_out(self, place: tuple[str, str], count: int, timeout_s: int, *, dead: bool) -> list[Delivery]:
        now = self.clock.now()
        plan_id, topic = place
        asked = self.store.consume(
            plan_id=plan_id, topic=topic, dead_letters=dead, max_messages=count, visibility_timeout_s=timeout_s
        )
        consumed = self.runner.run(asked)
        messages = consumed.messages
        due = [each for each in self.stored.values() if each.place == place and each.visible_time <= now]
        if not dead:
            for doomed in [each for each in due if each.doomed]:
                doomed.dead, doomed.visible_time = True, now
        visible = [each for each in due if each.dead is dead]
        assert len({each.message_id for each in messages}) == len(messages) == min(count, len(visible))
        for message in messages:
            stored = self.stored[message.message_id]
            assert stored.place == place
            assert stored.visible_time <= now
            stored.deliveries += 1
            stored.visible_time = now + timedelta(seconds=timeout_s)
            assert (message.body, message.publish_time) == (stored.body, stored.publish_time)
            assert message.receive_count == stored.deliveries - stored.forgiven
        if not messages:
            later = [each.visible_time for each in self.stored.values() if each.place == place and each.dead is dead]
            soonest = (min(later) - now).total_seconds() if later else None
            assert consumed.next_visible_s == soonest
        return [
            Delivery(place, each.message_id, each.receipt_handle, self.stored[each.message_id].deliveries, dead)
            for each in messages
        ]

    def picked(self, chosen: list[int]) -> tuple[tuple[str, str], list[Delivery]]:
        """Deliveries of one side of one place, rather late ones than early ones."""
        handed = [self.deliveries[-1 - pick % len(self.deliveries)] for pick in chosen]
        side = handed[0].place, handed[0].dead
        return handed[0].place, [delivery for delivery in handed if (delivery.place, delivery.dead) == side]

    def show(self, chosen: list[Delivery], after_s: list[int], answers: Sequence[TheoryError | None]) -> None:
        assert reasons(answers) == [self.fault(delivery) for delivery in chosen]
        for delivery, s in zip(chosen, after_s, strict=True):
            if self.fault(delivery) is None:
                self.stored[delivery.message_id].visible_time = self.clock.now() + timedelta(seconds=s)

    def fault(self, delivery: Delivery) -> str | None:
        stored = self.stored.get(delivery.message_id)
        if stored is None or stored.dead is not delivery.dead:
            return "MESSAGE_UNKNOWN"
        return None if stored.deliveries == delivery.number else "RECEIPT_SUPERSEDED"


def reasons(answers: Sequence[TheoryError | None]) -> list[str | None]:
    return [None if answer is None else answer.reason for answer in answers]


class SqlMachine(QueueMachine):
    def url(self) -> str:
        self.folder = tempfile.TemporaryDirectory()
        return f"sqlite:///{self.folder.name}/q.db"

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


TestMemory = QueueMachine.TestCase
TestMemory.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestSql = SqlMachine.TestCase
TestSql.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
