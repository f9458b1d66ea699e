"""What every store of keys answers to what is malformed or too much: the same, whatever is behind it."""

from theory.api.resources.v1 import kv_pb2
from theory.api.resources.v1.kv_pb2_grpc import KVServiceStub
from theory.core.adapters import KVIncr, KVPut, KVValue
from theory.core.errors import Invalid
from theory.sdk.kv import KVClient
from theory.testing.case import Target, case
from theory.testing.cases.kv_values import values_of
from theory.testing.refusals import refusal, refused
from theory.wire.channel import call
from theory.wire.identity import Role

_MIB = 1 << 20
_YEAR_S = 31_536_000
_PATIENCE_S = 90
"""How long a full batch may take where each item is a call to somewhere else."""


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
    assert await values_of(kv, plan_id, ["larger", "wrong"]) == [None, None]


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
    full, keys = kv_pb2.PutRequest(plan_id=plan_id), [f"k{idx}" for idx in range(1_000)]
    for key in keys:
        full.items.add(key=key, value=key.encode())
    put_all = await call(stub.Put, full, timeout_s=_PATIENCE_S)
    assert [each.reason for each in put_all.statuses] == [""] * len(keys)
    got = await call(stub.Get, kv_pb2.GetRequest(plan_id=plan_id, keys=keys), timeout_s=_PATIENCE_S)
    assert [each.value for each in got.results] == [key.encode() for key in keys]


@case()
async def a_plan_id_is_checked(target: Target) -> None:
    """A malformed plan id, or request id, is `Invalid ID_INVALID` and names the field (I-89)."""
    kv, executor = KVClient(target.channel()), KVClient(target.channel(Role.EXECUTOR))
    for plan_id in ("", "-a", "A", "a b", "a\x00", "a" * 65, "\u00e9", "\ud800", "../a"):
        for asked in (
            kv.get_many(plan_id, ["a"]),
            kv.put_many(plan_id, [KVPut("a", b"1")]),
            kv.delete_many(plan_id, ["a"]),
            kv.incr_many(plan_id, [KVIncr("a")]),
            executor.begin_plan(plan_id),
            executor.end_plan(plan_id),
        ):
            assert (await refusal(asked, Invalid, "ID_INVALID")).metadata["field"] == "plan_id"
    for request_id in ("r" * 37, "\u00e9", "a b"):
        asked = kv.incr_many(target.fresh("plan"), [KVIncr("a")], request_id)
        assert (await refusal(asked, Invalid, "ID_INVALID")).metadata["field"] == "request_id"


@case()
async def how_often_events_are_made_has_limits(target: Target) -> None:
    """Less than 0 and more than 1,000,000 are `Invalid EVENT_SAMPLING_INVALID` (I-89)."""
    kv, plan_id = KVClient(target.channel(Role.EXECUTOR)), target.fresh("plan")
    for figure in (-1, 1_000_001, 1 << 30):
        error = await refusal(kv.begin_plan(plan_id, event_every=figure), Invalid, "EVENT_SAMPLING_INVALID")
        assert error.metadata == {"min": "0", "max": "1000000"}
    await kv.begin_plan(plan_id, event_every=1_000_000)
