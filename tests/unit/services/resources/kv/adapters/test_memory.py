"""What the memory store of keys forgets, and when."""

from services.resources.kv.adapters.memory import MemoryKV
from theory.core.adapters import KVIncr, KVPut
from theory.core.clock import FakeClock

HOUR_S = 3_600


async def test_what_nobody_asks_for_goes_with_the_writes_of_others() -> None:
    clock = FakeClock()
    kv = MemoryKV(clock)
    await kv.put_many("p-1", [KVPut(f"k{idx}", b"1", ttl_s=1) for idx in range(40)])
    clock.advance(1)
    for expected in (24, 8, 0):
        await kv.delete_many("p-2", ["other"])
        assert len(kv._values_by_plan.get("p-1", {})) == expected
    assert kv._values_by_plan == {}
    assert kv._deadlines == []


async def test_a_batch_sweeps_as_many_as_it_adds() -> None:
    clock = FakeClock()
    kv = MemoryKV(clock)
    for _ in range(20):
        await kv.put_many("p-1", [KVPut(f"{clock.monotonic()}-{idx}", b"1", ttl_s=1) for idx in range(100)])
        clock.advance(1)
    assert len(kv._values_by_plan["p-1"]) <= 200


async def test_a_key_written_again_and_again_leaves_no_trail() -> None:
    kv = MemoryKV(FakeClock())
    for _ in range(1_000):
        await kv.put_many("p-1", [KVPut("a", b"1", ttl_s=600)])
    assert len(kv._deadlines) < 100


async def test_a_request_id_is_kept_for_a_day_and_for_the_life_of_its_plan() -> None:
    clock = FakeClock()
    kv = MemoryKV(clock)
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
