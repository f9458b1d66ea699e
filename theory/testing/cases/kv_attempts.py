"""What every store of keys promises of attempts: that each reaches the keys of its own plan, over the wire."""

import asyncio

from theory.core.adapters import KVIncr, KVPut
from theory.core.errors import Denied
from theory.sdk.kv import KVClient
from theory.testing.case import Target, case
from theory.testing.cases.attempt_grants import Speaker, denied
from theory.testing.cases.kv_values import values_of
from theory.testing.refusals import refusal


@case("ATTEMPTS")
async def an_attempt_has_the_keys_of_its_plan(target: Target) -> None:
    """It reads, writes, adds and deletes there, and whoever else is of the plan sees it (I-140)."""
    attempt = await Speaker.of(target)
    plan_id, ours, theirs = attempt.grant.plan_id.text, KVClient(attempt.channel), KVClient(target.channel())
    assert await ours.put_many(plan_id, [KVPut("a", b"1"), KVPut("b", b"2")]) == [None, None]
    assert await ours.incr_many(plan_id, [KVIncr("n", 3)]) == [3]
    assert await ours.delete_many(plan_id, ["b"]) == [None]
    assert await values_of(theirs, plan_id, ["a", "b", "n"]) == [b"1", None, b"3"]
    assert await values_of(ours, plan_id, ["a"]) == [b"1"]


@case("ATTEMPTS")
async def the_keys_of_another_plan_are_closed_to_an_attempt(target: Target) -> None:
    """Whatever it asks of them is `Denied ATTEMPT_DENIED`, and nothing is done (I-140)."""
    attempt, other = await Speaker.of(target), target.fresh("plan")
    ours, theirs = KVClient(attempt.channel), KVClient(target.channel())
    await theirs.put_many(other, [KVPut("a", b"1")])
    asked = (
        ours.get_many(other, ["a"]),
        ours.put_many(other, [KVPut("a", b"2"), KVPut("b", b"2")]),
        ours.delete_many(other, ["a"]),
        ours.incr_many(other, [KVIncr("a")]),
        ours.incr_many(other, [KVIncr("a")], target.fresh("r")),
    )
    for answer in await asyncio.gather(*asked, return_exceptions=True):
        denied(answer, "plan_id")
    assert await values_of(theirs, other, ["a", "b"]) == [b"1", None]


@case("ATTEMPTS")
async def an_attempt_neither_begins_nor_ends_its_plan(target: Target) -> None:
    """`Denied ROLE_DENIED`, and its keys stay (I-139)."""
    attempt = await Speaker.of(target)
    plan_id, ours = attempt.grant.plan_id.text, KVClient(attempt.channel)
    await ours.put_many(plan_id, [KVPut("a", b"1")])
    await refusal(ours.begin_plan(plan_id), Denied, "ROLE_DENIED")
    await refusal(ours.end_plan(plan_id), Denied, "ROLE_DENIED")
    assert await values_of(ours, plan_id, ["a"]) == [b"1"]
