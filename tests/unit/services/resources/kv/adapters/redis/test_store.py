"""Keys in Redis: what they are like beside keys in memory, what is kept and for how long, what a full server takes."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import timedelta

import pytest

from services.drivers.redis import Outbox
from services.resources.kv.adapters.memory import MemoryKV
from services.resources.kv.adapters.redis.store import RedisKV, read_change
from services.resources.kv.ports import REQUEST_KEPT, KVQuotas, KVStore
from tests.servers import redis_server
from tests.surroundings import Notes, opening
from tests.turned_redis import TurnedRedis, become_cluster, full
from theory.core.adapters import KVIncr, KVPut, KVValue
from theory.core.clock import FakeClock
from theory.core.errors import Exhausted, NotReady, TheoryError
from theory.core.ledger import PlanEvent
from theory.core.scratch import ENDED_KEPT

_PLAN = "p-1"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def redis(url: str, clock: FakeClock) -> AsyncIterator[TurnedRedis]:
    async with TurnedRedis.at(url, clock) as redis:
        yield redis


def store(redis: TurnedRedis, notes: Notes | None = None, **quotas: int) -> RedisKV:
    surroundings = opening(redis.turned, notes)
    outbox = Outbox(
        redis, place="kv", area="kv", read=read_change, append=surroundings.append, clock=surroundings.clock
    )
    return RedisKV(redis, outbox, KVQuotas(**quotas))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
async def test_any_history_reads_as_in_memory(seed: int, redis: TurnedRedis, clock: FakeClock) -> None:
    notes, chance = Notes(), random.Random(seed)
    quotas = {"keys": 5, "size_bytes": 60}
    one, other = MemoryKV(opening(clock, notes), KVQuotas(**quotas)), store(redis, notes, **quotas)
    for step in range(400):
        call = _call(chance, step)
        assert await _spoken(call(one)) == await _spoken(call(other)), (seed, step)
        clock.advance(chance.choice([0, 0, 0, 0.5, 1]))
        every = [f"k{idx}" for idx in range(7)]
        assert await one.get_many(_PLAN, every) == await other.get_many(_PLAN, every), (seed, step)
    while other._outbox._due:
        await other._outbox._carry()
    assert notes.emitted
    assert list(map(_told, notes.appended)) == list(map(_told, notes.emitted))


def _told(event: PlanEvent) -> object:
    """Without the part of the id that a store has for itself."""
    area, _, number = event.event.event_id.split("/")
    return event.plan_id, area, number, event.event.kind, event.event.ts, event.event.body


def _call(chance: random.Random, step: int) -> Callable[[KVStore], Awaitable[object]]:
    def key() -> str:
        return f"k{chance.randrange(7)}"

    def ttl_s() -> int | None:
        return chance.choice([None, None, 1, 2])

    count = chance.randint(1, 4)
    puts = [KVPut(key(), chance.choice([b"", b"7", b"abc", b"x" * 30]), ttl_s()) for _ in range(count)]
    incrs = [KVIncr(key(), chance.choice([0, 1, -12, (1 << 63) - 1]), ttl_s()) for _ in range(count)]
    keys = [key() for _ in range(count)]
    request_id = chance.choice([None, None, "r-1", f"r-{step}"])
    every = chance.randrange(4)
    what = chance.choices(["put", "incr", "delete", "begin", "end"], [30, 30, 20, 5, 0 if step < 300 else 1])[0]
    calls: dict[str, Callable[[KVStore], Awaitable[object]]] = {
        "put": lambda kv: kv.put_many(_PLAN, puts),
        "incr": lambda kv: kv.incr_many(_PLAN, incrs, request_id),
        "delete": lambda kv: kv.delete_many(_PLAN, keys),
        "begin": lambda kv: kv.begin_plan(_PLAN, every),
        "end": lambda kv: kv.end_plan(_PLAN),
    }
    return calls[what]


async def _spoken(asked: Awaitable[object]) -> object:
    try:
        answers = await asked
    except TheoryError as error:
        return repr(error)
    return list(map(repr, answers)) if isinstance(answers, Sequence) else answers


async def test_a_plan_that_ended_leaves_what_is_promised(redis: TurnedRedis, clock: FakeClock) -> None:
    kv = store(redis)
    await kv.begin_plan(_PLAN, 1)
    await kv.put_many(_PLAN, [KVPut("a", b"1", 60), KVPut("b", b"2")])
    await kv.incr_many(_PLAN, [KVIncr("n")], "r-1")
    await kv.end_plan(_PLAN)
    left = await redis.call("KEYS", "*")
    assert isinstance(left, list)
    assert sorted(left) == [f"theory:{{{_PLAN}}}:kv{part}".encode() for part in ("", ":events", ":requests")]
    for key, kept in (("", ENDED_KEPT), (":requests", REQUEST_KEPT)):
        left_ms = await redis.call("PTTL", f"theory:{{{_PLAN}}}:kv{key}")
        assert isinstance(left_ms, int)
        assert kept - timedelta(minutes=1) < timedelta(milliseconds=left_ms) <= kept


async def test_reading_and_deleting_nothing_keeps_nothing(redis: TurnedRedis) -> None:
    kv = store(redis)
    await kv.get_many(_PLAN, ["a"])
    await kv.delete_many(_PLAN, ["a"])
    assert await redis.call("DBSIZE") == 0


async def test_expired_keys_go_with_later_writes(redis: TurnedRedis, clock: FakeClock) -> None:
    kv = store(redis)
    await kv.put_many(_PLAN, [KVPut(f"k{idx}", b"1", 1) for idx in range(40)])
    clock.advance(1)
    for left in (24, 8, 0):
        await kv.delete_many(_PLAN, ["other"])
        assert await redis.call("HLEN", f"theory:{{{_PLAN}}}:kv:values") == left
    assert await redis.call("HGET", f"theory:{{{_PLAN}}}:kv", "bytes") == b"0"


async def test_a_value_that_no_longer_fits_the_reply_is_not_loaded(
    redis: TurnedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.resources.kv.adapters.redis.store.REPLY_BYTES", 10)
    kv = store(redis)
    await kv.put_many(_PLAN, [KVPut("a", b"x" * 6), KVPut("b", b"y" * 6), KVPut("c", b"z" * 4)])
    a, b, c, nothing = await kv.get_many(_PLAN, ["a", "b", "c", "nothing"])
    assert (a, c, nothing) == (KVValue(b"x" * 6), KVValue(b"z" * 4), None)
    assert isinstance(b, Exhausted)
    first, second = await kv.get_many(_PLAN, ["a", "a"])
    assert first == KVValue(b"x" * 6)
    assert isinstance(second, Exhausted)


async def test_a_full_server_takes_no_write_and_lets_keys_go(redis: TurnedRedis) -> None:
    kv = store(redis)
    await kv.begin_plan(_PLAN, 1)
    await kv.put_many(_PLAN, [KVPut("n", b"1"), KVPut("a", b"1")])
    async with full(redis):
        for asked in (kv.put_many(_PLAN, [KVPut("b", b"1")]), kv.incr_many(_PLAN, [KVIncr("n"), KVIncr("m")])):
            with pytest.raises(Exhausted) as caught:
                await asked
            assert caught.value.reason == "STORE_FULL"
        assert await kv.get_many(_PLAN, ["n", "b", "m"]) == [KVValue(b"1"), None, None]
        assert await kv.delete_many(_PLAN, ["a"]) == [None]
        await kv.end_plan(_PLAN)
        with pytest.raises(NotReady):
            await kv.put_many(_PLAN, [KVPut("n", b"1")])


@pytest.mark.slow
async def test_everything_of_a_plan_is_in_one_slot_of_a_cluster(clock: FakeClock) -> None:
    with redis_server(options=["--cluster-enabled", "yes"]) as url:
        async with TurnedRedis.at(url, clock) as redis:
            await become_cluster(redis)
            kv = store(redis)
            await kv.begin_plan(_PLAN, 1)
            await kv.put_many(_PLAN, [KVPut("a", b"1", 60)])
            assert await kv.incr_many(_PLAN, [KVIncr("n")], "r") == [1]
            await kv.delete_many(_PLAN, ["n"])
            assert [each.value for each in await kv.get_many(_PLAN, ["a"]) if isinstance(each, KVValue)] == [b"1"]
            await kv.end_plan(_PLAN)
