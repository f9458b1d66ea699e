"""What every store of keys tells a plan's chain, over the wire."""

import asyncio

from theory.core.adapters import KVIncr, KVPut
from theory.sdk.kv import KVClient
from theory.testing.case import Target, case
from theory.testing.cases.scratch_chain import require_ids, require_silence, told
from theory.wire.identity import Role

_VALUE = b"canary in a value"


@case("LEDGER")
async def each_change_is_told(target: Target) -> None:
    """`scratch.kv.changed` has key and op, `put`, `incr` or `delete`; never a value (I-102)."""
    kv, plan_id = await _begun(target, 1)
    await kv.put_many(plan_id, [KVPut("a", _VALUE), KVPut("a", _VALUE + b"!", ttl_s=60)])
    await kv.incr_many(plan_id, [KVIncr("n", 424_242)])
    await kv.delete_many(plan_id, ["a"])
    events = await told(target, plan_id, 4)
    assert {each.kind for each in events} == {"scratch.kv.changed"}
    in_order = sorted(events, key=lambda each: int(each.event_id.rpartition("/")[2]))
    assert [each.body for each in in_order] == [
        {"key": "a", "op": "put"},
        {"key": "a", "op": "put"},
        {"key": "n", "op": "incr"},
        {"key": "a", "op": "delete"},
    ]
    require_ids(events, "kv")
    require_silence(events, _VALUE, b"424242")


@case("LEDGER")
async def what_changes_nothing_is_not_told(target: Target) -> None:
    """A read, what is refused, and deleting what is not there, or no longer, make no event (I-102)."""
    kv, plan_id = await _begun(target, 1)
    await kv.put_many(plan_id, [KVPut("text", b"abc"), KVPut("", b"1"), KVPut("soon", b"1", ttl_s=1)])
    await kv.incr_many(plan_id, [KVIncr("text"), KVIncr("n", ttl_s=0), KVIncr("n")])
    await kv.get_many(plan_id, ["text", "n"])
    await target.advance(1.1)
    await kv.delete_many(plan_id, ["nobody", "soon", "n", "n"])
    events = await told(target, plan_id, 4)
    assert sorted((each.body["op"], each.body["key"]) for each in events) == [
        ("delete", "n"),
        ("incr", "n"),
        ("put", "soon"),
        ("put", "text"),
    ]


@case("LEDGER", "REQUEST_IDS")
async def a_repeated_request_is_not_told_again(target: Target) -> None:
    """A repeat with the same `request_id` adds nothing, and makes no event (I-102, I-87)."""
    kv, plan_id = await _begun(target, 1)
    request_id = target.fresh("r")
    for _ in range(3):
        await kv.incr_many(plan_id, [KVIncr("n"), KVIncr("m")], request_id)
    await kv.put(plan_id=plan_id, key="last", value=b"")
    require_ids(await told(target, plan_id, 3), "kv")


@case("LEDGER")
async def of_many_changes_each_nth_is_told(target: Target) -> None:
    """With `event_every` 3 the changes 3, 6 and 9 of a plan are events, however they are batched (I-102)."""
    kv, plan_id = await _begun(target, 3)
    await kv.put_many(plan_id, [KVPut(f"k{number}", b"1") for number in range(4)])
    for number in range(4):
        await kv.incr(plan_id=plan_id, key=f"k{number}")
    await kv.delete_many(plan_id, ["k0", "k1"])
    events = await told(target, plan_id, 3)
    require_ids(events, "kv", every=3)
    assert sorted((str(each.body["op"]), str(each.body["key"])) for each in events) == [
        ("delete", "k0"),
        ("incr", "k1"),
        ("put", "k2"),
    ]


@case("LEDGER")
async def a_plan_without_sampling_is_silent(target: Target) -> None:
    """With `event_every` 0, and without a begin, nothing is told; the latest begin counts (I-102)."""
    (kv, silent), never, (_, heard) = await _begun(target, 0), target.fresh("plan"), await _begun(target, 1)
    executor = KVClient(target.channel(Role.EXECUTOR))
    for plan_id in (silent, never, heard):
        await kv.put(plan_id=plan_id, key="a", value=b"")
    await executor.begin_plan(heard, event_every=0)
    await kv.put(plan_id=heard, key="b", value=b"")
    await executor.begin_plan(heard, event_every=1)
    await kv.put(plan_id=heard, key="c", value=b"")
    assert sorted(str(each.body["key"]) for each in await told(target, heard, 2)) == ["a", "c"]
    for plan_id in (silent, never):
        await told(target, plan_id, 0)


@case("LEDGER")
async def changes_at_once_are_each_told_once(target: Target) -> None:
    """Under concurrency ids count without a gap, and no event comes twice (I-102)."""
    kv, plan_id = await _begun(target, 1)
    others = [KVClient(target.channel(role)) for role in (Role.CLIENT, Role.EXECUTOR)]
    calls = [others[number % 2].incr_many(plan_id, [KVIncr("n"), KVIncr(f"n{number % 4}")]) for number in range(30)]
    await asyncio.gather(*calls)
    require_ids(await told(target, plan_id, 60), "kv")
    assert await kv.get(plan_id=plan_id, key="n") == b"30"


@case("LEDGER")
async def what_was_to_be_told_is_told_after_the_end(target: Target) -> None:
    """Events of a plan that has ended still reach its chain; dropping its keys is none (I-102)."""
    kv, plan_id = await _begun(target, 1)
    await kv.put_many(plan_id, [KVPut(f"k{number}", b"1") for number in range(5)])
    await KVClient(target.channel(Role.EXECUTOR)).end_plan(plan_id)
    require_ids(await told(target, plan_id, 5), "kv")


async def _begun(target: Target, event_every: int) -> tuple[KVClient, str]:
    plan_id = target.fresh("plan")
    await KVClient(target.channel(Role.EXECUTOR)).begin_plan(plan_id, event_every=event_every)
    return KVClient(target.channel()), plan_id
