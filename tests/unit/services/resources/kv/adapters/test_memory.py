"""What the memory store of keys forgets, and when; what it counts, and what it tells."""

from services.resources.kv.adapters.memory import MemoryKV
from services.resources.kv.ports import KVQuotas
from tests.surroundings import Notes, opening
from theory.core.adapters import KVIncr, KVPut
from theory.core.clock import FakeClock
from theory.core.errors import Exhausted

HOUR_S = 3_600


def store(clock: FakeClock | None = None, notes: Notes | None = None, **quotas: int) -> MemoryKV:
    return MemoryKV(opening(clock, notes), KVQuotas(**quotas))


async def test_what_nobody_asks_for_goes_with_the_writes_of_others() -> None:
    clock = FakeClock()
    kv = store(clock)
    await kv.put_many("p-1", [KVPut(f"k{idx}", b"1", ttl_s=1) for idx in range(40)])
    clock.advance(1)
    for expected in (24, 8, 0):
        await kv.delete_many("p-2", ["other"])
        assert len(kv._plans["p-1"].values) == expected
    assert kv._plans["p-1"].size_bytes == 0
    assert kv._deadlines == []


async def test_a_batch_sweeps_as_many_as_it_adds() -> None:
    clock = FakeClock()
    kv = store(clock)
    for _ in range(20):
        await kv.put_many("p-1", [KVPut(f"{clock.monotonic()}-{idx}", b"1", ttl_s=1) for idx in range(100)])
        clock.advance(1)
    assert len(kv._plans["p-1"].values) <= 200


async def test_a_key_written_again_and_again_leaves_no_trail() -> None:
    kv = store()
    for _ in range(1_000):
        await kv.put_many("p-1", [KVPut("a", b"1", ttl_s=600)])
    assert len(kv._deadlines) < 100


async def test_a_request_id_is_kept_for_a_day_and_for_the_life_of_its_plan() -> None:
    clock = FakeClock()
    kv = store(clock)
    for plan_id in ("ended", "alive"):
        assert await kv.incr_many(plan_id, [KVIncr("n")], "r") == [1]
    clock.advance(23 * HOUR_S)
    await kv.end_plan("ended")
    await kv.end_plan("ended")
    assert await kv.incr_many("ended", [KVIncr("n")], "r") == [1]
    clock.advance(HOUR_S)
    await kv.end_plan("other")
    assert {plan_id for plan_id, _ in kv._requests} == {"alive"}
    clock.advance(1_000 * HOUR_S)
    assert await kv.incr_many("alive", [KVIncr("n")], "r") == [1]


async def test_the_end_of_a_plan_is_known_for_a_week() -> None:
    clock = FakeClock()
    kv = store(clock)
    await kv.end_plan("ended")
    clock.advance(7 * 24 * HOUR_S - 1)
    await kv.delete_many("other", ["a"])
    assert kv._plans["ended"].ended
    clock.advance(1)
    await kv.delete_many("other", ["a"])
    assert "ended" not in kv._plans


async def test_room_is_given_back() -> None:
    clock = FakeClock()
    kv = store(clock, keys=2, size_bytes=10)
    first, second, third = await kv.put_many("p", [KVPut("a", b"1234"), KVPut("b", b"1234"), KVPut("c", b"")])
    assert (first, second) == (None, None)
    assert isinstance(third, Exhausted)
    assert third.metadata == {"quota": "keys", "limit": "2"}
    [grown] = await kv.put_many("p", [KVPut("a", b"12345")])
    assert isinstance(grown, Exhausted)
    assert grown.metadata == {"quota": "bytes", "limit": "10"}
    assert await kv.put_many("p", [KVPut("a", b"1", ttl_s=1), KVPut("b", b"1234567")]) == [None, None]
    clock.advance(1)
    assert await kv.put_many("p", [KVPut("c", b"1")]) == [None]


async def test_every_second_change_is_told() -> None:
    notes = Notes()
    kv = store(notes=notes)
    await kv.put_many("p", [KVPut("before", b"1")])
    await kv.begin_plan("p", 2)
    await kv.put_many("p", [KVPut("a", b"1"), KVPut("b", b"secret")])
    await kv.incr_many("p", [KVIncr("n"), KVIncr("a"), KVIncr("b")])
    await kv.delete_many("p", ["nobody", "n"])
    assert [(each.event.event_id.split("/")[-1], each.event.body) for each in notes.emitted] == [
        ("2", {"key": "b", "op": "put"}),
        ("4", {"key": "a", "op": "incr"}),
    ]
