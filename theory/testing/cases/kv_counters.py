"""What every store of keys promises of counters, over the wire."""

import asyncio

from theory.api.resources.v1 import kv_pb2
from theory.api.resources.v1.kv_pb2_grpc import KVServiceStub
from theory.core.adapters import KVIncr, KVPut, KVValue
from theory.core.errors import AlreadyExists, NotReady, OutOfRange, TheoryError
from theory.sdk.kv import KVClient
from theory.testing.case import Target, case
from theory.testing.cases.kv_values import values_of
from theory.testing.refusals import refusal, refused
from theory.wire.channel import call
from theory.wire.identity import Role

_INT64_MAX = (1 << 63) - 1
_INT64_MIN = -(1 << 63)


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
    assert await values_of(kv, plan_id, ["n", "m"]) == [b"-2", b"-1"]


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
    assert await values_of(kv, plan_id, keys) == values


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
    items = [KVIncr("window", ttl_s=3), KVIncr("window", ttl_s=600), KVIncr("open"), KVIncr("open", ttl_s=1)]
    await kv.incr_many(plan_id, items)
    first, endless = await kv.get_many(plan_id, ["window", "open"])
    await kv.incr_many(plan_id, [KVIncr("window", ttl_s=600)])
    (second,) = await kv.get_many(plan_id, ["window"])
    assert isinstance(first, KVValue)
    assert isinstance(second, KVValue)
    assert (second.value, second.expire_time) == (b"3", first.expire_time)
    assert endless == KVValue(b"2")
    await target.advance(3.1)
    assert await values_of(kv, plan_id, ["window", "open"]) == [None, b"2"]


@case("REQUEST_IDS")
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
    assert await values_of(kv, plan_id, ["n", "text"]) == [b"100", b"1"]


@case("REQUEST_IDS")
async def repeats_at_once_add_once(target: Target) -> None:
    """Of concurrent calls with one `request_id` one adds, and all get its answer (I-87)."""
    kv, plan_id, request_id = KVClient(target.channel()), target.fresh("plan"), target.fresh("r")
    answers = await asyncio.gather(*(kv.incr_many(plan_id, [KVIncr("n", 5)], request_id) for _ in range(10)))
    assert answers == [[5]] * 10
    assert await kv.get(plan_id=plan_id, key="n") == b"5"


@case("REQUEST_IDS")
async def a_request_id_stands_for_one_request(target: Target) -> None:
    """The same id with other items is `AlreadyExists REQUEST_ID_TAKEN` and adds nothing; plans share none (I-87)."""
    kv, plan_id, request_id = KVClient(target.channel()), target.fresh("plan"), target.fresh("r")
    await kv.incr_many(plan_id, [KVIncr("n", 1)], request_id)
    others = ([KVIncr("n", 2)], [KVIncr("m", 1)], [KVIncr("n", 1, ttl_s=9)], [KVIncr("n", 1), KVIncr("n", 1)])
    for items in others:
        error = await refusal(kv.incr_many(plan_id, items, request_id), AlreadyExists, "REQUEST_ID_TAKEN")
        assert error.metadata == {"request_id": request_id}
    assert await values_of(kv, plan_id, ["n", "m"]) == [b"1", None]
    assert await kv.incr_many(target.fresh("plan"), [KVIncr("n", 2)], request_id) == [2]


@case("REQUEST_IDS")
async def a_request_id_outlives_its_plan(target: Target) -> None:
    """A repeat that arrives after the end of the plan gets the first answer and makes no key (I-87)."""
    kv, plan_id, request_id = KVClient(target.channel()), target.fresh("plan"), target.fresh("r")
    await kv.incr_many(plan_id, [KVIncr("n", 5)], request_id)
    await KVClient(target.channel(Role.EXECUTOR)).end_plan(plan_id)
    assert await kv.incr_many(plan_id, [KVIncr("n", 5)], request_id) == [5]
    assert await kv.get(plan_id=plan_id, key="n") is None


def _sum(answer: int | TheoryError) -> int:
    if isinstance(answer, TheoryError):
        raise answer
    return answer


def _spoken(answer: int | TheoryError) -> object:
    return (type(answer), answer.reason, answer.metadata) if isinstance(answer, TheoryError) else answer
