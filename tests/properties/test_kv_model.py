"""Any history of keys reads the same from every store as from a dictionary with a clock."""

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.resources.kv.adapters import open_store
from services.resources.kv.ports import KVQuotas, KVStore
from tests.surroundings import opening
from theory.core.adapters import KVIncr, KVPut, KVValue
from theory.core.clock import FakeClock
from theory.core.errors import AlreadyExists, NotReady, TheoryError

INT64_MAX = (1 << 63) - 1
PLANS = ("p-1", "p-2")
KEYS = ("a", "b", "\u00e9")

plans = st.sampled_from(PLANS)
keys = st.sampled_from(KEYS)
ttls = st.sampled_from([None, 1, 2, 5])
values = st.sampled_from([b"", b"0", b"-7", b"07", b"x", str(INT64_MAX).encode()])
puts = st.lists(st.builds(KVPut, keys, values, ttls), min_size=1, max_size=4)
amounts = st.sampled_from([-INT64_MAX - 1, -3, 0, 1, 2, INT64_MAX])
incrs = st.lists(st.builds(KVIncr, keys, amounts, ttls), min_size=1, max_size=4)


@dataclass
class Held:
    value: bytes
    expire_time: datetime | None


class KVMachine(RuleBasedStateMachine):
    """The model: what the promises say, one item after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = FakeClock()
        self.store = self.runner.run(self.opened())
        self.held: dict[tuple[str, str], Held] = {}
        self.answered: dict[tuple[str, str], tuple[Sequence[KVIncr], list[object]]] = {}
        self.ended: dict[str, int] = {}

    async def opened(self) -> KVStore:
        self.opening = opening(self.clock)
        return await open_store(self.url(), self.opening, KVQuotas())

    def url(self) -> str:
        return "memory:"

    def at(self, plan_id: str) -> str:
        """The plan of this name that has not ended."""
        return f"{plan_id}-{self.ended.get(plan_id, 0)}"

    def teardown(self) -> None:
        self.runner.run(self.opening.close())
        self.runner.close()

    def live(self, plan_id: str, key: str) -> Held | None:
        held = self.held.get((plan_id, key))
        return None if held is None or (held.expire_time and held.expire_time <= self.clock.now()) else held

    def end(self, ttl_s: int | None) -> datetime | None:
        return None if ttl_s is None else self.clock.now() + timedelta(seconds=ttl_s)

    @rule(plan_id=plans, items=puts)
    def put(self, plan_id: str, items: list[KVPut]) -> None:
        plan_id = self.at(plan_id)
        assert self.runner.run(self.store.put_many(plan_id, items)) == [None] * len(items)
        for item in items:
            self.held[plan_id, item.key] = Held(item.value, self.end(item.ttl_s))

    @rule(plan_id=plans, gone=st.lists(keys, min_size=1, max_size=3))
    def delete(self, plan_id: str, gone: list[str]) -> None:
        plan_id = self.at(plan_id)
        assert self.runner.run(self.store.delete_many(plan_id, gone)) == [None] * len(gone)
        for key in gone:
            self.held.pop((plan_id, key), None)

    @rule(plan_id=plans, items=incrs)
    def incr(self, plan_id: str, items: list[KVIncr]) -> None:
        plan_id = self.at(plan_id)
        assert spoken(self.runner.run(self.store.incr_many(plan_id, items))) == self.added(plan_id, items)

    @rule(plan_id=plans, items=incrs, request_id=st.sampled_from(["r1", "r2"]))
    def incr_once(self, plan_id: str, items: list[KVIncr], request_id: str) -> None:
        plan_id = self.at(plan_id)
        known = self.answered.get((plan_id, request_id))
        if known is not None and known[0] != items:
            with pytest.raises(AlreadyExists):
                self.runner.run(self.store.incr_many(plan_id, items, request_id))
            return
        answers = self.runner.run(self.store.incr_many(plan_id, items, request_id))
        if known is None:
            self.answered[plan_id, request_id] = (items, self.added(plan_id, items))
        assert spoken(answers) == self.answered[plan_id, request_id][1]

    @rule(pick=st.integers(0, 9))
    def repeat(self, pick: int) -> None:
        """Also of a plan that has ended since."""
        if self.answered:
            (plan_id, request_id), known = list(self.answered.items())[-1 - pick % len(self.answered)]
            assert spoken(self.runner.run(self.store.incr_many(plan_id, known[0], request_id))) == known[1]

    @rule(s=st.sampled_from([0.25, 1.0, 3.0]))
    def wait(self, s: float) -> None:
        self.clock.advance(s)

    @rule(plan_id=plans)
    def end_plan(self, plan_id: str) -> None:
        ended = self.at(plan_id)
        self.ended[plan_id] = self.ended.get(plan_id, 0) + 1
        self.runner.run(self.store.end_plan(ended))
        self.held = {name: held for name, held in self.held.items() if name[0] != ended}
        for asked in (self.store.put_many(ended, [KVPut("a", b"")]), self.store.incr_many(ended, [KVIncr("a")])):
            with pytest.raises(NotReady):
                self.runner.run(asked)
        assert self.runner.run(self.store.get_many(ended, [*KEYS])) == [None] * len(KEYS)

    @invariant()
    def reads_agree(self) -> None:
        for plan_id in map(self.at, PLANS):
            found = self.runner.run(self.store.get_many(plan_id, [*KEYS, *KEYS, *KEYS]))
            expected = [self.live(plan_id, key) for key in KEYS]
            assert found == [held and KVValue(held.value, held.expire_time) for held in expected] * 3

    def added(self, plan_id: str, items: Sequence[KVIncr]) -> list[object]:
        answers: list[object] = []
        for item in items:
            held = self.live(plan_id, item.key)
            text = held.value.decode() if held else "0"
            if text != str(as_int(text)):
                answers.append("VALUE_NOT_INTEGER")
            elif not -INT64_MAX - 1 <= int(text) + item.by <= INT64_MAX:
                answers.append("COUNTER_OVERFLOW")
            else:
                total = int(text) + item.by
                self.held[plan_id, item.key] = Held(b"%d" % total, held.expire_time if held else self.end(item.ttl_s))
                answers.append(total)
        return answers


def as_int(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def spoken(answers: Sequence[int | TheoryError]) -> list[object]:
    return [answer.reason if isinstance(answer, TheoryError) else answer for answer in answers]


class SqlMachine(KVMachine):
    def url(self) -> str:
        self.folder = tempfile.TemporaryDirectory()
        return f"sqlite:///{self.folder.name}/kv.db"

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


TestMemory = KVMachine.TestCase
TestMemory.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestSql = SqlMachine.TestCase
TestSql.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
