"""What every store of keys promises of plans: that they are apart, begin and end, over the wire."""

import asyncio

from theory.core.adapters import KVIncr, KVPut
from theory.core.errors import Denied, NotReady
from theory.sdk.kv import KVClient
from theory.testing.case import Target, case
from theory.testing.cases.kv_values import values_of
from theory.testing.refusals import refusal, refused
from theory.wire.identity import ANYONE, Role

_WEEK_S = 7 * 86_400


@case()
async def a_key_belongs_to_its_plan(target: Target) -> None:
    """The same key in two plans is two keys (I-33)."""
    kv, one, two = KVClient(target.channel()), target.fresh("plan"), target.fresh("plan")
    await kv.put(plan_id=one, key="a", value=b"1")
    assert await kv.get(plan_id=two, key="a") is None
    assert await kv.incr(plan_id=two, key="a", by=7) == 7
    await kv.delete(plan_id=two, key="a")
    assert await kv.get(plan_id=one, key="a") == b"1"


@case()
async def ending_a_plan_drops_its_keys_alone(target: Target) -> None:
    """Every key of the plan is gone, those of another stay; ending it again changes nothing (I-34)."""
    kv, executor = KVClient(target.channel()), KVClient(target.channel(Role.EXECUTOR))
    ended, other = target.fresh("plan"), target.fresh("plan")
    for plan_id in (ended, other):
        await kv.put_many(plan_id, [KVPut("a", b"1"), KVPut("b", b"2", ttl_s=60)])
    await executor.end_plan(ended)
    await executor.end_plan(ended)
    assert await values_of(kv, ended, ["a", "b"]) == [None, None]
    assert await values_of(kv, other, ["a", "b"]) == [b"1", b"2"]


@case()
async def an_ended_plan_takes_no_key(target: Target) -> None:
    """A put, an incr and a begin are `NotReady PLAN_ENDED` as a whole; reads and deletes find nothing (I-97)."""
    kv, executor, plan_id = KVClient(target.channel()), KVClient(target.channel(Role.EXECUTOR)), target.fresh("plan")
    await kv.put(plan_id=plan_id, key="a", value=b"1")
    await executor.end_plan(plan_id)
    for asked in (
        kv.put_many(plan_id, [KVPut("a", b"2"), KVPut("b", b"2", ttl_s=60)]),
        kv.incr_many(plan_id, [KVIncr("a"), KVIncr("n")]),
        kv.incr_many(plan_id, [KVIncr("n")], target.fresh("r")),
        executor.begin_plan(plan_id, event_every=1),
    ):
        error = await refusal(asked, NotReady, "PLAN_ENDED")
        assert error.metadata == {"plan_id": plan_id}
    assert await values_of(kv, plan_id, ["a", "b", "n"]) == [None, None, None]
    assert await kv.delete_many(plan_id, ["a", "n"]) == [None, None]
    await kv.put(plan_id=target.fresh("plan"), key="a", value=b"1")


@case()
async def a_plan_may_end_before_it_began(target: Target) -> None:
    """A plan that never had a key takes none after its end (I-97)."""
    kv, plan_id = KVClient(target.channel()), target.fresh("plan")
    await KVClient(target.channel(Role.EXECUTOR)).end_plan(plan_id)
    await refusal(kv.put_many(plan_id, [KVPut("a", b"1")]), NotReady, "PLAN_ENDED")


@case()
async def nothing_that_is_written_meanwhile_outlives_a_plan(target: Target) -> None:
    """Of writes that race with the end each is refused, or its key is gone with the plan (I-97, I-34)."""
    kv, plan_id = KVClient(target.channel()), target.fresh("plan")
    keys = [f"k{number}" for number in range(6)]

    async def write(key: str) -> None:
        for number in range(5):
            await kv.put(plan_id=plan_id, key=key, value=str(number).encode())
            await kv.incr(plan_id=plan_id, key=key)

    writers = [asyncio.create_task(write(key)) for key in keys]
    await kv.put(plan_id=plan_id, key="first", value=b"1")
    await KVClient(target.channel(Role.EXECUTOR)).end_plan(plan_id)
    for ended in await asyncio.gather(*writers, return_exceptions=True):
        if ended is not None:
            refused(ended, NotReady, "PLAN_ENDED")
    assert await values_of(kv, plan_id, ["first", *keys]) == [None] * (1 + len(keys))
    await refusal(kv.put_many(plan_id, [KVPut("a", b"1")]), NotReady, "PLAN_ENDED")


@case("CLOCK")
async def an_end_is_known_for_a_week(target: Target) -> None:
    """No late write brings a key of an ended plan back, while any process of the plan may live (I-97)."""
    kv, plan_id = KVClient(target.channel()), target.fresh("plan")
    await KVClient(target.channel(Role.EXECUTOR)).end_plan(plan_id)
    await target.advance(_WEEK_S - 60)
    await kv.put(plan_id=target.fresh("plan"), key="a", value=b"1")
    await refusal(kv.put_many(plan_id, [KVPut("a", b"1")]), NotReady, "PLAN_ENDED")


@case()
async def a_plan_may_begin_again(target: Target) -> None:
    """Beginning is idempotent, and touches nothing that is there; a plan that never began works alike (I-102)."""
    kv, executor, plan_id = KVClient(target.channel()), KVClient(target.channel(Role.EXECUTOR)), target.fresh("plan")
    await kv.put(plan_id=plan_id, key="before", value=b"1")
    for _ in range(2):
        await executor.begin_plan(plan_id)
    await kv.put(plan_id=plan_id, key="after", value=b"2")
    assert await values_of(kv, plan_id, ["before", "after"]) == [b"1", b"2"]


@case()
async def only_the_executor_begins_and_ends_a_plan(target: Target) -> None:
    """Everyone else is `Denied ROLE_DENIED`, and the keys stay (I-84)."""
    plan_id = target.fresh("plan")
    for role in ANYONE - {Role.EXECUTOR}:
        kv = KVClient(target.channel(role))
        await kv.put(plan_id=plan_id, key="a", value=b"1")
        await refusal(kv.begin_plan(plan_id), Denied, "ROLE_DENIED")
        await refusal(kv.end_plan(plan_id), Denied, "ROLE_DENIED")
        assert await kv.get(plan_id=plan_id, key="a") == b"1"
