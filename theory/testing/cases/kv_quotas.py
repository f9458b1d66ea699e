"""What every store of keys promises of how much a plan may keep, over the wire."""

from collections.abc import Sequence

from theory.core.adapters import KVIncr, KVPut
from theory.core.errors import Exhausted, TheoryError
from theory.sdk.kv import KVClient
from theory.testing.case import Target, case
from theory.testing.cases.kv_values import values_of
from theory.testing.refusals import refused
from theory.wire.identity import Role

_MIB = 1 << 20


@case("SMALL_QUOTAS")
async def a_plan_keeps_a_limited_number_of_keys(target: Target) -> None:
    """A new key more is `Exhausted QUOTA_EXCEEDED`, by put and by incr; those that are there can change (I-98)."""
    kv, plan_id = KVClient(target.channel()), target.fresh("plan")
    most = (await kv.capabilities()).max_plan_keys
    await _require_put(kv, plan_id, [KVPut(f"k{number}", b"1") for number in range(most)])
    puts = await kv.put_many(plan_id, [KVPut("more", b"1"), KVPut("k0", b"2"), KVPut("most", b"1")])
    incrs = await kv.incr_many(plan_id, [KVIncr("n"), KVIncr("k1"), KVIncr("more")])
    _require_refused([puts[0], puts[2], incrs[0], incrs[2]], "keys", most)
    assert (puts[1], incrs[1]) == (None, 2)
    assert await values_of(kv, plan_id, ["more", "most", "n", "k0", "k1"]) == [None, None, None, b"2", b"2"]
    await kv.put(plan_id=target.fresh("plan"), key="more", value=b"1")


@case("SMALL_QUOTAS")
async def what_is_removed_makes_room(target: Target) -> None:
    """A key that was deleted, or has expired, no longer counts (I-98)."""
    kv, plan_id = KVClient(target.channel()), target.fresh("plan")
    most = (await kv.capabilities()).max_plan_keys
    await _require_put(kv, plan_id, [KVPut(f"k{number}", b"1") for number in range(most - 1)])
    await kv.put(plan_id=plan_id, key="soon", value=b"1", ttl_s=4)
    _require_refused(await kv.put_many(plan_id, [KVPut("a", b"1")]), "keys", most)
    await kv.delete(plan_id=plan_id, key="k0")
    assert await kv.put_many(plan_id, [KVPut("a", b"1")]) == [None]
    await target.advance(4.1)
    assert await kv.put_many(plan_id, [KVPut("b", b"1")]) == [None]
    _require_refused(await kv.put_many(plan_id, [KVPut("c", b"1")]), "keys", most)


@case("SMALL_QUOTAS")
async def the_keys_and_values_of_a_plan_have_a_limited_weight(target: Target) -> None:
    """Where there is no room an item is `Exhausted QUOTA_EXCEEDED`; a smaller one behind it still fits (I-98)."""
    kv, plan_id = KVClient(target.channel()), target.fresh("plan")
    most = (await kv.capabilities()).max_plan_bytes
    full, rest = divmod(most - 100, _MIB)
    large = [KVPut(f"k{number:03}", b"x" * (_MIB - 4)) for number in range(full)]
    await _require_put(kv, plan_id, large)
    await _require_put(kv, plan_id, [KVPut("rest", b"x" * (rest - 4))] if rest >= 4 else [])
    items = [KVPut("large", b"x" * 96), KVPut("small", b"x" * 90), KVPut("tail!", b"1"), KVPut("tail", b"1")]
    answers = await kv.put_many(plan_id, items)
    _require_refused([answers[0], answers[2]], "bytes", most)
    assert (answers[1], answers[3]) == (None, None)
    grown = await kv.put_many(plan_id, [KVPut("tail", b"22")])
    _require_refused(grown, "bytes", most)
    assert await values_of(kv, plan_id, ["large", "tail"]) == [None, b"1"]
    await kv.put(plan_id=plan_id, key="small", value=b"")
    await kv.put(plan_id=plan_id, key="tail", value=b"22")
    await kv.put(plan_id=target.fresh("plan"), key="large", value=b"x" * 96)


@case("SMALL_QUOTAS")
async def the_end_of_a_plan_is_no_matter_of_room(target: Target) -> None:
    """A full plan ends like any other (I-98, I-34)."""
    kv, plan_id = KVClient(target.channel()), target.fresh("plan")
    most = (await kv.capabilities()).max_plan_keys
    await _require_put(kv, plan_id, [KVPut(f"k{number}", b"1") for number in range(most)])
    await KVClient(target.channel(Role.EXECUTOR)).end_plan(plan_id)
    assert await values_of(kv, plan_id, ["k0", f"k{most - 1}"]) == [None, None]


async def _require_put(kv: KVClient, plan_id: str, items: Sequence[KVPut]) -> None:
    if items:
        assert set(await kv.put_many(plan_id, items)) == {None}


def _require_refused(answers: Sequence[int | TheoryError | None], quota: str, limit: int) -> None:
    for answer in answers:
        error = refused(answer, Exhausted, "QUOTA_EXCEEDED")
        assert error.metadata == {"quota": quota, "limit": str(limit)}
