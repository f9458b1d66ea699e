"""Events that scripts keep beside their effects, until the ledger has them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from services.drivers.redis import Outbox, Redis, scratch
from theory.core.clock import FakeClock
from theory.core.errors import Exhausted, Invalid, TheoryError, Unavailable
from theory.core.ledger import Appended, PlanEvent
from theory.core.scratch import kv_changed

_PLACE = "kv"
_BEGIN_US = 1_767_225_600_000_000  # 2026


class _Ledger:
    """Keeps an event once, and tells whoever waits how many it has."""

    def __init__(self) -> None:
        self.events: dict[tuple[str, str], PlanEvent] = {}
        self.refuse: dict[tuple[str, int], TheoryError] = {}
        self.away = False
        self.calls = 0
        self._changed = asyncio.Event()

    async def append(self, events: Sequence[PlanEvent]) -> Sequence[Appended | TheoryError]:
        self.calls += 1
        if self.away:
            raise Unavailable("SERVICE_UNREACHABLE", "the ledger is away")
        answers: list[Appended | TheoryError] = []
        for each in events:
            key = (each.plan_id, each.event.event_id)
            number = int(each.event.event_id.rpartition("/")[2])
            if refused := self.refuse.get((each.plan_id, number)):
                answers.append(refused)
            else:
                self.events[key] = each
                answers.append(Appended(len(self.events), "0" * 64))
        self._changed.set()
        return answers

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.events) < count:
                self._changed.clear()
                await self._changed.wait()

    def ids(self, plan_id: str) -> list[str]:
        return [event_id for of_plan, event_id in self.events if of_plan == plan_id]


def _id(number: int) -> str:
    return f"kv/{_BEGIN_US + number:014x}/{number}"


async def test_events_leave_in_order_with_what_they_say(redis: Redis) -> None:
    ledger = _Ledger()
    async with _outbox(redis, ledger) as outbox:
        await _keep(redis, "p-1", 1, 2, 3)
        outbox.poke("p-1")
        await ledger.until(3)
        await _until_empty(redis, "p-1")
    assert ledger.ids("p-1") == [_id(1), _id(2), _id(3)]
    event = ledger.events["p-1", _id(2)].event
    assert (event.kind, event.body, event.ts) == (
        "scratch.kv.changed",
        {"key": "a b2", "op": "put"},
        "2026-01-01T00:00:00.000002Z",
    )


async def test_what_another_process_left_is_found_at_the_start_and_every_minute(redis: Redis) -> None:
    ledger, clock = _Ledger(), FakeClock()
    await _keep(redis, "p-1", 1)
    await redis.call("RPUSH", "theory:{p-3}:queue:events", "1 1 of others")
    async with _outbox(redis, ledger, clock):
        await ledger.until(1)
        await _keep(redis, "p-2", 1)
        await clock.until_sleepers(1)
        clock.advance(60)
        await ledger.until(2)
    assert set(ledger.events) == {("p-1", _id(1)), ("p-2", _id(1))}


async def test_while_the_ledger_is_away_events_wait(redis: Redis) -> None:
    ledger, clock = _Ledger(), FakeClock()
    ledger.away = True
    async with _outbox(redis, ledger, clock) as outbox:
        await _keep(redis, "p-1", 1)
        outbox.poke("p-1")
        for _ in range(3):
            await clock.until_sleepers(1)
            clock.advance(10)
        ledger.away = False
        await clock.until_sleepers(1)
        clock.advance(30)
        await ledger.until(1)
        await _until_empty(redis, "p-1")
    assert ledger.calls >= 3


async def test_an_event_that_is_refused_for_ever_is_kept_aside_and_holds_up_nobody(redis: Redis) -> None:
    ledger = _Ledger()
    ledger.refuse["p-1", 2] = Invalid("JSON_INVALID", "no body of a chain")
    async with _outbox(redis, ledger) as outbox:
        await _keep(redis, "p-1", 1, 2, 3)
        outbox.poke("p-1")
        await ledger.until(2)
        await _until_empty(redis, "p-1")
    refused = f"{scratch.events_of('p-1', _PLACE)}:refused"
    assert await redis.call("LRANGE", refused, 0, -1) == [b"JSON_INVALID 2 1767225600000002 put a b2"]
    left_ms = await redis.call("PTTL", refused)
    assert isinstance(left_ms, int)
    assert left_ms > 0


async def test_an_event_that_is_refused_for_now_comes_again_in_its_place(redis: Redis) -> None:
    ledger, clock = _Ledger(), FakeClock()
    ledger.refuse["p-1", 2] = Exhausted("TOO_MANY_CALLS", "wait")
    await _keep(redis, "p-1", 1, 2, 3)
    await _keep(redis, "p-2", 1)
    async with _outbox(redis, ledger, clock):
        await ledger.until(3)
        await _until_empty(redis, "p-2")
        assert await redis.call("LLEN", scratch.events_of("p-1", _PLACE)) == 2
        ledger.refuse.clear()
        await clock.until_sleepers(1)
        clock.advance(30)
        await ledger.until(4)
        await _until_empty(redis, "p-1")


async def test_two_processes_that_carry_one_list_lose_nothing(redis: Redis) -> None:
    ledger = _Ledger()
    async with _outbox(redis, ledger) as one, _outbox(redis, ledger) as other:
        for number in range(1, 200):
            await _keep(redis, "p-1", number)
            one.poke("p-1")
            other.poke("p-1")
        await ledger.until(199)
        await _until_empty(redis, "p-1")
    assert set(ledger.ids("p-1")) == {_id(number) for number in range(1, 200)}


@pytest.mark.slow
async def test_a_long_list_leaves_in_several_batches(redis: Redis) -> None:
    ledger = _Ledger()
    await _keep(redis, "p-1", *range(1, 1_201))
    async with _outbox(redis, ledger):
        await ledger.until(1_200)
        await _until_empty(redis, "p-1")
    assert ledger.ids("p-1") == [_id(number) for number in range(1, 1_201)]


async def test_a_number_that_is_counted_again_is_another_event(redis: Redis) -> None:
    ledger = _Ledger()
    await _keep(redis, "p-1", 1, 2)
    async with _outbox(redis, ledger) as outbox:
        await ledger.until(2)
        await _until_empty(redis, "p-1")
        await redis.call("RPUSH", scratch.events_of("p-1", _PLACE), f"2 {_BEGIN_US + 9} put c")
        outbox.poke("p-1")
        await ledger.until(3)


async def test_a_list_that_no_script_wrote_stays_and_holds_up_nobody(redis: Redis) -> None:
    ledger = _Ledger()
    await redis.call("RPUSH", scratch.events_of("p-1", _PLACE), "nonsense")
    await _keep(redis, "p-2", 1)
    async with _outbox(redis, ledger):
        await ledger.until(1)
        await _until_empty(redis, "p-2")
    assert await redis.call("LLEN", scratch.events_of("p-1", _PLACE)) == 1


async def _keep(redis: Redis, plan_id: str, *numbers: int) -> None:
    entries = [f"{number} {_BEGIN_US + number} put a b{number}" for number in numbers]
    await redis.call("RPUSH", scratch.events_of(plan_id, _PLACE), *entries)


async def _until_empty(redis: Redis, plan_id: str) -> None:
    async with asyncio.timeout(10):
        while await redis.call("EXISTS", scratch.events_of(plan_id, _PLACE)):
            pass


@asynccontextmanager
async def _outbox(redis: Redis, ledger: _Ledger, clock: FakeClock | None = None) -> AsyncIterator[Outbox]:
    outbox = Outbox(
        redis,
        place=_PLACE,
        area="kv",
        read=lambda text: kv_changed(text.partition(" ")[2], text.partition(" ")[0]),
        append=ledger.append,
        clock=clock or FakeClock(),
    )
    outbox.start()
    try:
        yield outbox
    finally:
        await outbox.close()
