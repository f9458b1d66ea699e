"""What every store of keys promises, over the wire."""

import asyncio
from collections.abc import Sequence

from theory.api.resources.v1 import kv_pb2
from theory.api.resources.v1.kv_pb2_grpc import KVServiceStub
from theory.core.adapters import KVIncr, KVPut, KVValue
from theory.core.errors import (
    AlreadyExists,
    Denied,
    Exhausted,
    Invalid,
    NotReady,
    OutOfRange,
    TheoryError,
)
from theory.sdk.kv import KVClient
from theory.testing.case import Target, case
from theory.testing.refusals import refusal, refused
from theory.wire.channel import call
from theory.wire.identity import Role

_INT64_MAX = (1 << 63) - 1
_INT64_MIN = -(1 << 63)
_MIB = 1 << 20
_YEAR_S = 31_536_000


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
async def an_empty_value_is_a_value(target: Target) -> None:
    """A key that holds nothing is there (I-28)."""
    kv, plan_id = KVClient(target.channel()), target.fresh("plan")
    await kv.put(plan_id=plan_id, key="a", value=b"")
    assert await kv.get_many(plan_id, ["a"]) == [KVValue(b"")]


@case()
async def of_two_writes_in_one_batch_the_later_one_stays(target: Target) -> None:
    """Items of a batch apply in request order (I-86)."""
    kv, plan_id = KVClient(target.channel()), target.fresh("plan")
    await kv.put_many(plan_id, [KVPut("a", b"1"), KVPut("b", b"2"), KVPut("a", b"3")])
    assert await _values(kv, plan_id, ["a", "b", "a"]) == [b"3", b"2", b"3"]


@case()
async def increments_at_once_all_count(target: Target) -> None:
    """N concurrent increments of one key give N distinct sums and the exact total (I-29)."""
    plan_id, callers, each = target.fresh("plan"), 8, 25
    clients = [KVClient(target.channel(role)) for role in (Role.CLIENT, Role.EXECUTOR)]

    async def count(caller: int) -> list[int]:
        kv = clients[caller % len(clients)]
        return [_sum(answer) for _ in range(each) for answer in await kv.incr_many(plan_id, [KVIncr("n")])]

    sums = [total for counted in await asyncio.gather(*map(count, range(callers))) for total in counted]
    assert sorted(sums) == list(range(1, callers * each + 1))
    assert await clients[0].get(plan_id=plan_id, key="n") == str(callers * each).encode()


@case()
async def additions_of_one_batch_apply_in_order(target: Target) -> None:
    """Each addition of a batch sees those before it (I-29, I-86)."""
    kv, plan_id = KVClient(target.channel()), target.fresh("plan")
    items = [KVIncr("n", 5), KVIncr("m", -1), KVIncr("n", -7), KVIncr("n", 0)]
    assert await kv.incr_many(plan_id, items) == [5, -1, -2, -2]
    assert await _values(kv, plan_id, ["n", "m"]) == [b"-2", b"-1"]


@case()
async def an_addition_adds_one_unless_it_says_more(target: Target) -> None:
    """Without `by` an addition is one; with `by` 0 it is none, and makes the counter (I-29)."""
    stub, plan_id = KVServiceStub(target.channel()), target.fresh("plan")
    request = kv_pb2.IncrRequest(plan_id=plan_id)
    request.items.add(key="one")
    request.items.add(key="none", by=0)
    assert [result.value for result in (await call(stub.Incr, request)).results] == [1, 0]
    assert await KVClient(target.channel()).get(plan_id=plan_id, key="none") == b"0"


@case()
async def a_counter_is_its_decimal_text(target: Target) -> None:
    """A put of decimal text can be added to, and a get of a counter reads it (I-29)."""
    kv, plan_id = KVClient(target.channel()), target.fresh("plan")
    await kv.put(plan_id=plan_id, key="n", value=b"-41")
    assert await kv.incr(plan_id=plan_id, key="n", by=83) == 42
    assert await kv.get(plan_id=plan_id, key="n") == b"42"


@case()
async def only_a_decimal_int64_is_added_to(target: Target) -> None:
    """Adding to anything else is `NotReady VALUE_NOT_INTEGER` and leaves the value as it was (I-30)."""
    kv, plan_id = KVClient(target.channel()), target.fresh("plan")
    values = [
        *(b"abc", b"", b" 7", b"7 ", b"7\n", b"+7", b"07", b"-0", b"--7", b"1.5", b"1e3", b"0x7", b"1_000", b"\xff"),
        *("\u0663".encode(), str(_INT64_MAX + 1).encode(), str(_INT64_MIN - 1).encode(), b"9" * 400),
    ]
    keys = [f"k{idx}" for idx in range(len(values))]
    await kv.put_many(plan_id, [KVPut(key, value) for key, value in zip(keys, values, strict=True)])
    for answer in await kv.incr_many(plan_id, [KVIncr(key) for key in keys]):
        refused(answer, NotReady, "VALUE_NOT_INTEGER")
    assert await _values(kv, plan_id, keys) == values


@case()
async def a_counter_never_leaves_int64(target: Target) -> None:
    """A sum beyond int64 is `OutOfRange COUNTER_OVERFLOW`; the counter stays and counts on (I-30)."""
    kv, plan_id = KVClient(target.channel()), target.fresh("plan")
    items = [
        *(KVIncr("up", _INT64_MAX), KVIncr("up", 1), KVIncr("up", -1), KVIncr("up", 1), KVIncr("up", _INT64_MAX)),
        *(KVIncr("down", _INT64_MIN), KVIncr("down", -1), KVIncr("down", 1), KVIncr("down", _INT64_MAX)),
    ]
    answers = await kv.incr_many(plan_id, items)
    for idx in (1, 4, 6):
        refused(answers[idx], OutOfRange, "COUNTER_OVERFLOW")
    assert [each for each in answers if isinstance(each, int)] == [
        *(_INT64_MAX, _INT64_MAX - 1, _INT64_MAX),
        *(_INT64_MIN, _INT64_MIN + 1, 0),
    ]


@case()
async def an_expired_key_is_never_seen(target: Target) -> None:
    """A value whose time to live has passed is absent; until then a get tells when that will be (I-31)."""
    kv, plan_id = KVClient(target.channel()), target.fresh("plan")
    await kv.put_many(plan_id, [KVPut("soon", b"1", ttl_s=1), KVPut("later", b"2", ttl_s=60), KVPut("never", b"3")])
    soon, later, never = await kv.get_many(plan_id, ["soon", "later", "never"])
    assert isinstance(soon, KVValue)
    assert isinstance(later, KVValue)
    assert soon.expire_time is not None
    assert later.expire_time is not None
    assert round((later.expire_time - soon.expire_time).total_seconds()) == 59
    assert never == KVValue(b"3")
    await target.advance(1.1)
    assert await _values(kv, plan_id, ["soon", "later", "never"]) == [None, b"2", b"3"]


@case()
async def an_expired_counter_begins_again(target: Target) -> None:
    """After its end a counter counts from 0, and the new one has the end that the new call gives (I-31, I-32)."""
    kv, plan_id = KVClient(target.channel()), target.fresh("plan")
    assert await kv.incr(plan_id=plan_id, key="n", by=9, ttl_s=1) == 9
    await target.advance(1.1)
    assert await kv.incr(plan_id=plan_id, key="n", by=2) == 2
    assert await kv.get_many(plan_id, ["n"]) == [KVValue(b"2")]


@case()
async def the_end_of_a_counter_is_set_where_it_begins(target: Target) -> None:
    """`ttl_s` of an addition applies only where it creates the key; no later addition moves the end (I-32)."""
    kv, plan_id = KVClient(target.channel()), target.fresh("plan")
    items = [KVIncr("window", ttl_s=2), KVIncr("window", ttl_s=600), KVIncr("open"), KVIncr("open", ttl_s=1)]
    await kv.incr_many(plan_id, items)
    await target.advance(1.1)
    await kv.incr_many(plan_id, [KVIncr("window", ttl_s=600)])
    assert await kv.get_many(plan_id, ["open"]) == [KVValue(b"2")]
    await target.advance(1.1)
    assert await _values(kv, plan_id, ["window", "open"]) == [None, b"2"]


@case()
async def a_put_without_an_end_clears_the_earlier_one(target: Target) -> None:
    """The last put alone decides when a key ends; an addition keeps that end (I-32)."""
    kv, plan_id = KVClient(target.channel()), target.fresh("plan")
    await kv.put_many(plan_id, [KVPut("stays", b"1", ttl_s=1), KVPut("ends", b"1"), KVPut("kept", b"1", ttl_s=1)])
    await kv.put_many(plan_id, [KVPut("stays", b"2"), KVPut("ends", b"2", ttl_s=1)])
    await kv.incr(plan_id=plan_id, key="kept", ttl_s=600)
    await target.advance(1.1)
    assert await kv.get_many(plan_id, ["stays", "ends", "kept"]) == [KVValue(b"2"), None, None]


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
    assert await _values(kv, ended, ["a", "b"]) == [None, None]
    assert await _values(kv, other, ["a", "b"]) == [b"1", b"2"]


@case()
async def only_the_executor_ends_a_plan(target: Target) -> None:
    """Everyone else is `Denied ROLE_DENIED`, and the keys stay (I-84)."""
    plan_id = target.fresh("plan")
    for role in set(Role) - {Role.EXECUTOR}:
        kv = KVClient(target.channel(role))
        await kv.put(plan_id=plan_id, key="a", value=b"1")
        await refusal(kv.end_plan(plan_id), Denied, "ROLE_DENIED")
        assert await kv.get(plan_id=plan_id, key="a") == b"1"


@case()
async def a_repeated_request_adds_once(target: Target) -> None:
    """A repeat with the same `request_id` gets the first answers, errors included, and changes nothing (I-87)."""
    kv, plan_id, request_id = KVClient(target.channel()), target.fresh("plan"), target.fresh("r")
    await kv.put(plan_id=plan_id, key="text", value=b"abc")
    items = [KVIncr("n", 3), KVIncr("text"), KVIncr("full", _INT64_MAX), KVIncr("full"), KVIncr("", 1), KVIncr("n", 4)]
    first = await kv.incr_many(plan_id, items, request_id)
    assert [each for each in first if isinstance(each, int)] == [3, _INT64_MAX, 7]
    await kv.put_many(plan_id, [KVPut("n", b"100"), KVPut("text", b"1")])
    again = await kv.incr_many(plan_id, items, request_id)
    assert [_spoken(each) for each in again] == [_spoken(each) for each in first]
    assert await _values(kv, plan_id, ["n", "text"]) == [b"100", b"1"]


@case()
async def repeats_at_once_add_once(target: Target) -> None:
    """Of concurrent calls with one `request_id` one adds, and all get its answer (I-87)."""
    kv, plan_id, request_id = KVClient(target.channel()), target.fresh("plan"), target.fresh("r")
    answers = await asyncio.gather(*(kv.incr_many(plan_id, [KVIncr("n", 5)], request_id) for _ in range(10)))
    assert answers == [[5]] * 10
    assert await kv.get(plan_id=plan_id, key="n") == b"5"


@case()
async def a_request_id_stands_for_one_request(target: Target) -> None:
    """The same id with other items is `AlreadyExists REQUEST_ID_TAKEN` and adds nothing; plans share none (I-87)."""
    kv, plan_id, request_id = KVClient(target.channel()), target.fresh("plan"), target.fresh("r")
    await kv.incr_many(plan_id, [KVIncr("n", 1)], request_id)
    others = ([KVIncr("n", 2)], [KVIncr("m", 1)], [KVIncr("n", 1, ttl_s=9)], [KVIncr("n", 1), KVIncr("n", 1)])
    for items in others:
        error = await refusal(kv.incr_many(plan_id, items, request_id), AlreadyExists, "REQUEST_ID_TAKEN")
        assert error.metadata == {"request_id": request_id}
    assert await _values(kv, plan_id, ["n", "m"]) == [b"1", None]
    assert await kv.incr_many(target.fresh("plan"), [KVIncr("n", 2)], request_id) == [2]


@case()
async def a_request_id_outlives_its_plan(target: Target) -> None:
    """A repeat that arrives after the end of the plan gets the first answer and makes no key (I-87)."""
    kv, plan_id, request_id = KVClient(target.channel()), target.fresh("plan"), target.fresh("r")
    await kv.incr_many(plan_id, [KVIncr("n", 5)], request_id)
    await KVClient(target.channel(Role.EXECUTOR)).end_plan(plan_id)
    assert await kv.incr_many(plan_id, [KVIncr("n", 5)], request_id) == [5]
    assert await kv.get(plan_id=plan_id, key="n") is None


@case()
async def keys_are_text_as_it_is(target: Target) -> None:
    """Any text without control characters is a key, and two keys that differ in a code point are two (I-28)."""
    kv, plan_id = KVClient(target.channel()), target.fresh("plan")
    keys = ["a", "A", " ", "a ", "/", "..", "%", "%00", "'; --", "\u00e9", "e\u0301", "\U0001f511", "\u202e", "\u043a"]
    keys += ["k" * 512, "\u00e9" * 256]
    ended = await kv.put_many(plan_id, [KVPut(key, str(idx).encode()) for idx, key in enumerate(keys)])
    assert ended == [None] * len(keys)
    assert await _values(kv, plan_id, keys) == [str(idx).encode() for idx in range(len(keys))]


@case()
async def a_bad_item_stops_no_other(target: Target) -> None:
    """Each item has its own status, in request order, and the sound ones are done (I-86, I-89)."""
    kv, plan_id = KVClient(target.channel()), target.fresh("plan")
    bad = ["", "k" * 513, "\u00e9" * 257, "a\x00b", "\x00", "a\nb", "\x7f", "\x85", "\ud800"]
    keys = [each for key in bad for each in (key, "sound")]
    answers = await kv.put_many(plan_id, [KVPut(key, b"1") for key in keys])
    gets, deletes = await kv.get_many(plan_id, keys), await kv.delete_many(plan_id, keys)
    incrs = await kv.incr_many(plan_id, [KVIncr(key, 1) for key in keys])
    for idx in range(0, len(keys), 2):
        for answered in (answers, gets, deletes, incrs):
            error = refused(answered[idx], Invalid, "KEY_INVALID")
            assert set(error.metadata) == {"rule"}
    assert set(answers[1::2]) == set(deletes[1::2]) == {None}
    assert gets[1::2] == [KVValue(b"1")] * len(bad)
    assert incrs[1::2] == list(range(1, len(bad) + 1))


@case()
async def values_and_times_to_live_have_limits(target: Target) -> None:
    """The largest value and time are accepted, one more of either is `Invalid` and names the limit (I-89)."""
    kv, plan_id = KVClient(target.channel()), target.fresh("plan")
    answers = await kv.put_many(
        plan_id,
        [
            KVPut("largest", b"x" * _MIB),
            KVPut("larger", b"x" * (_MIB + 1)),
            KVPut("longest", b"1", ttl_s=_YEAR_S),
            *(KVPut("wrong", b"1", ttl_s=ttl_s) for ttl_s in (0, -1, _YEAR_S + 1, 1 << 40)),
        ],
    )
    assert (answers[0], answers[2]) == (None, None)
    assert refused(answers[1], Invalid, "VALUE_TOO_LARGE").metadata == {"max_bytes": str(_MIB)}
    for answer in answers[3:]:
        assert refused(answer, Invalid, "TTL_INVALID").metadata == {"min": "1", "max": str(_YEAR_S)}
    for added in await kv.incr_many(plan_id, [KVIncr("wrong", 1, ttl_s=0), KVIncr("wrong", 1, ttl_s=_YEAR_S + 1)]):
        refused(added, Invalid, "TTL_INVALID")
    assert await _values(kv, plan_id, ["larger", "wrong"]) == [None, None]


@case()
async def a_batch_has_one_to_a_thousand_items(target: Target) -> None:
    """An empty batch and one of 1,001 are `Invalid BATCH_SIZE`; one of 1,000 is served (I-89)."""
    stub, plan_id = KVServiceStub(target.channel()), target.fresh("plan")
    for count in (0, 1_001):
        put, incr = kv_pb2.PutRequest(plan_id=plan_id), kv_pb2.IncrRequest(plan_id=plan_id)
        for idx in range(count):
            put.items.add(key=f"k{idx}")
            incr.items.add(key=f"n{idx}")
        keys = [f"k{idx}" for idx in range(count)]
        for asked in (
            call(stub.Put, put),
            call(stub.Incr, incr),
            call(stub.Get, kv_pb2.GetRequest(plan_id=plan_id, keys=keys)),
            call(stub.Delete, kv_pb2.DeleteRequest(plan_id=plan_id, keys=keys)),
        ):
            assert (await refusal(asked, Invalid, "BATCH_SIZE")).metadata == {"max": "1000"}
    kv, keys = KVClient(target.channel()), [f"k{idx}" for idx in range(1_000)]
    assert await kv.put_many(plan_id, [KVPut(key, key.encode()) for key in keys]) == [None] * 1_000
    assert await _values(kv, plan_id, keys) == [key.encode() for key in keys]


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
    assert await _values(kv, plan_id, left) == [key.encode() * (_MIB // 2) for key in left]
    twice = [answer for answer in await kv.get_many(plan_id, ["k0"] * 8) if isinstance(answer, TheoryError)]
    assert [refused(answer, Exhausted, "REPLY_FULL").reason for answer in twice] == ["REPLY_FULL"] * 2
    together = await asyncio.gather(*(kv.get(plan_id=plan_id, key=key) for key in [*keys, "small"]))
    assert together == [*(key.encode() * (_MIB // 2) for key in keys), b"1"]


@case()
async def a_plan_id_is_checked(target: Target) -> None:
    """A malformed plan id, or request id, is `Invalid ID_INVALID` and names the field (I-89)."""
    kv = KVClient(target.channel())
    for plan_id in ("", "-a", "A", "a b", "a\x00", "a" * 65, "\u00e9", "\ud800", "../a"):
        for asked in (
            kv.get_many(plan_id, ["a"]),
            kv.put_many(plan_id, [KVPut("a", b"1")]),
            kv.delete_many(plan_id, ["a"]),
            kv.incr_many(plan_id, [KVIncr("a")]),
            KVClient(target.channel(Role.EXECUTOR)).end_plan(plan_id),
        ):
            assert (await refusal(asked, Invalid, "ID_INVALID")).metadata["field"] == "plan_id"
    for request_id in ("r" * 37, "\u00e9", "a b"):
        asked = kv.incr_many(target.fresh("plan"), [KVIncr("a")], request_id)
        assert (await refusal(asked, Invalid, "ID_INVALID")).metadata["field"] == "request_id"


@case()
async def the_store_says_what_it_is(target: Target) -> None:
    """Capabilities name the adapter's kind, its durability and the limits that hold."""
    told = await KVClient(target.channel()).capabilities()
    assert told.adapter.isidentifier()
    assert (told.max_key_bytes, told.max_value_bytes, told.max_batch_items) == (512, _MIB, 1_000)


async def _values(kv: KVClient, plan_id: str, keys: Sequence[str]) -> list[bytes | None]:
    values: list[bytes | None] = []
    for answer in await kv.get_many(plan_id, keys):
        if isinstance(answer, TheoryError):
            raise answer
        values.append(None if answer is None else answer.value)
    return values


def _sum(answer: int | TheoryError) -> int:
    if isinstance(answer, TheoryError):
        raise answer
    return answer


def _spoken(answer: int | TheoryError) -> object:
    return (type(answer), answer.reason, answer.metadata) if isinstance(answer, TheoryError) else answer
