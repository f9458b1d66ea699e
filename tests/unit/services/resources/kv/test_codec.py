"""Protobuf to keys and back, where zero and unset differ."""

from datetime import UTC, datetime

import pytest

from services.resources.kv import codec
from theory.api.resources.v1 import kv_pb2 as pb
from theory.core.adapters import KVIncr, KVPut, KVValue
from theory.core.errors import Exhausted, Invalid, OutOfRange


def test_what_is_unset_differs_from_zero() -> None:
    puts = pb.PutRequest()
    puts.items.add(key="a", value=b"1")
    puts.items.add(key="b", ttl_s=0)
    assert codec.puts_from_proto(puts) == [KVPut("a", b"1", None), KVPut("b", b"", 0)]
    incrs = pb.IncrRequest()
    incrs.items.add(key="a")
    incrs.items.add(key="b", by=0, ttl_s=0)
    assert codec.incrs_from_proto(incrs) == [KVIncr("a", 1, None), KVIncr("b", 0, 0)]


def test_an_empty_request_id_is_none() -> None:
    assert codec.request_id_from_proto("") is None
    assert codec.request_id_from_proto("r-1") == "r-1"
    with pytest.raises(Invalid):
        codec.request_id_from_proto("r" * 37)


def test_an_empty_value_differs_from_none() -> None:
    response = codec.values_to_proto([None, KVValue(b""), Exhausted("REPLY_FULL", "full")])
    assert [result.HasField("value") for result in response.results] == [False, True, False]
    assert [result.status.code for result in response.results] == [0, 0, 8]
    assert all(result.HasField("status") for result in response.results)


def test_an_end_keeps_its_microseconds() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)
    [result] = codec.values_to_proto([KVValue(b"", moment)]).results
    assert result.expire_time.ToDatetime(UTC) == moment


def test_a_sum_that_was_refused_is_zero() -> None:
    response = codec.sums_to_proto([-5, OutOfRange("COUNTER_OVERFLOW", "too far")])
    assert [(result.value, result.status.reason) for result in response.results] == [(-5, ""), (0, "COUNTER_OVERFLOW")]
