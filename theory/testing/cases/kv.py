"""What every store of keys promises of values, over the wire."""

import asyncio

from theory.core.adapters import KVPut, KVValue
from theory.core.errors import Exhausted, TheoryError
from theory.sdk.kv import KVClient
from theory.testing.case import Target, case
from theory.testing.cases.kv_values import values_of
from theory.testing.refusals import refused
from theory.wire.identity import Role

_MIB = 1 << 20


@case()
async def a_write_is_seen_by_every_later_read(target: Target) -> None:
    """What a put or a delete that was answered did is what every later get sees, on any connection (I-28)."""
    kv, elsewhere, plan_id = KVClient(target.channel()), KVClient(target.channel(Role.EXECUTOR)), target.fresh("plan")
    await kv.put(plan_id=plan_id, key="a", value=b"\x00\xff one")
    assert await elsewhere.get(plan_id=plan_id, key="a") == b"\x00\xff one"
    await elsewhere.put(plan_id=plan_id, key="a", value=b"two")
    assert await kv.get(plan_id=plan_id, key="a") == b"two"
    await kv.delete(plan_id=plan_id, key="a")
    assert await elsewhere.get(plan_id=plan_id, key="a") is None


@case()
async def an_absent_key_is_no_error(target: Target) -> None:
    """Reading an absent key answers without a value, deleting one succeeds, twice too (I-28)."""
    kv, plan_id = KVClient(target.channel()), target.fresh("plan")
    assert await kv.get_many(plan_id, ["nobody"]) == [None]
    assert await kv.delete_many(plan_id, ["nobody", "nobody"]) == [None, None]


@case()
async def any_bytes_are_a_value(target: Target) -> None:
    """A value is read as it was written, whatever its bytes; a key that holds nothing is there (I-28)."""
    kv, plan_id = KVClient(target.channel()), target.fresh("plan")
    values = {"none": b"", "all": bytes(range(256)), "nul": b"\x00", "text": "\u65e5\u672c".encode(), "json": b"null"}
    await kv.put_many(plan_id, [KVPut(key, value) for key, value in values.items()])
    assert await kv.get_many(plan_id, list(values)) == [KVValue(value) for value in values.values()]


@case()
async def of_two_writes_in_one_batch_the_later_one_stays(target: Target) -> None:
    """Items of a batch apply in request order (I-86)."""
    kv, plan_id = KVClient(target.channel()), target.fresh("plan")
    await kv.put_many(plan_id, [KVPut("a", b"1"), KVPut("b", b"2"), KVPut("a", b"3")])
    assert await values_of(kv, plan_id, ["a", "b", "a"]) == [b"3", b"2", b"3"]


@case()
async def an_expired_key_is_never_seen(target: Target) -> None:
    """A value whose time to live has passed is absent; until then a get tells when that will be (I-31)."""
    kv, plan_id = KVClient(target.channel()), target.fresh("plan")
    await kv.put_many(plan_id, [KVPut("soon", b"1", ttl_s=2), KVPut("later", b"2", ttl_s=60), KVPut("never", b"3")])
    soon, later, never = await kv.get_many(plan_id, ["soon", "later", "never"])
    assert isinstance(soon, KVValue)
    assert isinstance(later, KVValue)
    assert soon.expire_time is not None
    assert later.expire_time is not None
    assert round((later.expire_time - soon.expire_time).total_seconds()) == 58
    assert never == KVValue(b"3")
    await target.advance(2.1)
    assert await values_of(kv, plan_id, ["soon", "later", "never"]) == [None, b"2", b"3"]


@case()
async def a_put_without_an_end_clears_the_earlier_one(target: Target) -> None:
    """The last put alone decides when a key ends; an addition keeps that end (I-32)."""
    kv, plan_id = KVClient(target.channel()), target.fresh("plan")
    await kv.put_many(plan_id, [KVPut("stays", b"1", ttl_s=1), KVPut("ends", b"1"), KVPut("kept", b"1", ttl_s=3)])
    await kv.put_many(plan_id, [KVPut("stays", b"2"), KVPut("ends", b"2", ttl_s=1)])
    await kv.incr(plan_id=plan_id, key="kept", ttl_s=600)
    await target.advance(3.1)
    assert await kv.get_many(plan_id, ["stays", "ends", "kept"]) == [KVValue(b"2"), None, None]


@case()
async def keys_are_text_as_it_is(target: Target) -> None:
    """Any text without control characters is a key, and two keys that differ in a code point are two (I-28)."""
    kv, plan_id = KVClient(target.channel()), target.fresh("plan")
    keys = ["a", "A", " ", "a ", "/", "..", "%", "%00", "'; --", "\u00e9", "e\u0301", "\U0001f511", "\u202e", "\u043a"]
    keys += ["*", "?", "[a]", "{a}", "a:b", "a\\b", '"', "$1", "_", "__proto__", "k" * 512, "\u00e9" * 256]
    ended = await kv.put_many(plan_id, [KVPut(key, str(idx).encode()) for idx, key in enumerate(keys)])
    assert ended == [None] * len(keys)
    assert await values_of(kv, plan_id, keys) == [str(idx).encode() for idx in range(len(keys))]


@case()
async def a_reply_never_outgrows_a_message(target: Target) -> None:
    """Values beyond 6 MiB are answered with `Exhausted REPLY_FULL`, and can be had by asking again (I-89)."""
    kv, plan_id = KVClient(target.channel()), target.fresh("plan")
    keys = [f"k{idx}" for idx in range(9)]
    for key in keys:
        await kv.put(plan_id=plan_id, key=key, value=key.encode() * (_MIB // 2))
    await kv.put(plan_id=plan_id, key="small", value=b"1")
    answers = await kv.get_many(plan_id, [*keys, "absent"])
    left = [key for key, answer in zip(keys, answers, strict=False) if isinstance(answer, TheoryError)]
    assert len(left) == 3
    assert answers[-1] is None
    for answer in answers:
        if isinstance(answer, TheoryError):
            refused(answer, Exhausted, "REPLY_FULL")
    assert await values_of(kv, plan_id, left) == [key.encode() * (_MIB // 2) for key in left]
    twice = [answer for answer in await kv.get_many(plan_id, ["k0"] * 8) if isinstance(answer, TheoryError)]
    assert [refused(answer, Exhausted, "REPLY_FULL").reason for answer in twice] == ["REPLY_FULL"] * 2
    together = await asyncio.gather(*(kv.get(plan_id=plan_id, key=key) for key in [*keys, "small"]))
    assert together == [*(key.encode() * (_MIB // 2) for key in keys), b"1"]


@case()
async def the_store_says_what_it_is(target: Target) -> None:
    """Capabilities name the adapter's kind, its durability and the limits that hold (I-89)."""
    told = await KVClient(target.channel()).capabilities()
    assert told.adapter.isidentifier()
    assert min(told.max_plan_keys, told.max_plan_bytes) > 0
    assert (told.max_key_bytes, told.max_value_bytes, told.max_batch_items) == (512, _MIB, 1_000)
