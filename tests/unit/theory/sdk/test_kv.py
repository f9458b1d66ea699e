"""The client of keys: what travels together, what is split, and what is answered without a call."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.theory.sdk.scratch import resources, served
from theory.core.adapters import KVAdapter, KVIncr, KVPut, KVValue
from theory.core.clock import FakeClock
from theory.core.errors import Invalid, NotReady, TheoryError, Unavailable
from theory.sdk.kv import KVClient
from theory.wire.channel import connect

START = datetime(2026, 1, 1, tzinfo=UTC)
MIB = 1 << 20


@pytest.fixture
async def kv(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[KVClient]:
    caplog.set_level(logging.DEBUG, "theory.wire.rpc")
    async with resources(tmp_path, FakeClock(START)) as server:
        yield KVClient(server.channel())


def reason(answer: object) -> str:
    assert isinstance(answer, TheoryError)
    return answer.reason


def test_it_is_the_adapter_of_the_mission() -> None:
    adapter: type[KVAdapter] = KVClient
    assert adapter is KVClient


async def test_calls_of_one_turn_travel_together(kv: KVClient, caplog: pytest.LogCaptureFixture) -> None:
    await asyncio.gather(*(kv.put(plan_id="p", key=f"k{idx}", value=str(idx).encode()) for idx in range(50)))
    found = await asyncio.gather(*(kv.get(plan_id="p", key=f"k{idx}") for idx in range(51)))
    assert found == [*(str(idx).encode() for idx in range(50)), None]
    sums = await asyncio.gather(*(kv.incr(plan_id="p", key="n") for _ in range(50)))
    assert sums == list(range(1, 51))
    await asyncio.gather(*(kv.delete(plan_id="p", key=f"k{idx}") for idx in range(50)))
    assert served(caplog) == ["Put", "Get", "Incr", "Delete"]


async def test_plans_travel_apart(kv: KVClient, caplog: pytest.LogCaptureFixture) -> None:
    await asyncio.gather(*(kv.put(plan_id=plan_id, key="a", value=b"1") for plan_id in ("p", "q", "p")))
    assert served(caplog) == ["Put", "Put"]


async def test_a_bad_item_fails_its_caller_alone(kv: KVClient) -> None:
    await kv.put(plan_id="p", key="text", value=b"abc")
    answers = await asyncio.gather(
        kv.incr(plan_id="p", key="n"),
        kv.incr(plan_id="p", key="text"),
        kv.incr(plan_id="p", key="\ud800"),
        kv.incr(plan_id="p", key="n", by=1 << 63),
        kv.incr(plan_id="p", key="n", ttl_s=1 << 31),
        kv.incr(plan_id="p", key="n", by=4),
        return_exceptions=True,
    )
    assert (answers[0], answers[5]) == (1, 5)
    assert isinstance(answers[1], NotReady)
    assert [reason(each) for each in answers[1:5]] == [
        "VALUE_NOT_INTEGER",
        "KEY_INVALID",
        "FIELD_INVALID",
        "TTL_INVALID",
    ]


async def test_a_bad_plan_fails_its_callers_alone(kv: KVClient) -> None:
    for plan_id in ("NO", "\ud800"):
        with pytest.raises(Invalid) as raised:
            await kv.get(plan_id=plan_id, key="a")
        assert raised.value.reason == "ID_INVALID"
    assert await kv.get(plan_id="p", key="a") is None


async def test_large_values_are_split_over_calls(kv: KVClient, caplog: pytest.LogCaptureFixture) -> None:
    values = [bytes([65 + idx]) * MIB for idx in range(9)]
    assert await kv.put_many("p", [KVPut(f"k{idx}", value) for idx, value in enumerate(values)]) == [None] * 9
    found = await asyncio.gather(*(kv.get(plan_id="p", key=f"k{idx}") for idx in range(9)))
    assert found == values
    assert served(caplog) == ["Put", "Put", "Get", "Get"]


async def test_a_long_batch_is_split_over_calls(kv: KVClient, caplog: pytest.LogCaptureFixture) -> None:
    keys = [f"k{idx}" for idx in range(2_500)]
    assert await kv.put_many("p", [KVPut(key, key.encode()) for key in keys]) == [None] * 2_500
    assert await kv.get_many("p", keys) == [KVValue(key.encode()) for key in keys]
    assert await kv.delete_many("p", keys) == [None] * 2_500
    assert served(caplog) == [method for method in ("Put", "Get", "Delete") for _ in range(3)]


async def test_an_empty_batch_is_answered_without_a_call(kv: KVClient, caplog: pytest.LogCaptureFixture) -> None:
    assert await kv.get_many("p", []) == await kv.put_many("p", []) == await kv.delete_many("p", []) == []
    assert await kv.incr_many("p", []) == []
    assert await kv.get_many("p", ["\ud800"])
    assert served(caplog) == []


async def test_a_value_comes_with_its_end(kv: KVClient) -> None:
    await kv.put(plan_id="p", key="a", value=b"1", ttl_s=60)
    assert await kv.get_many("p", ["a"]) == [KVValue(b"1", START + timedelta(seconds=60))]


async def test_a_repeat_with_a_request_id_adds_once(kv: KVClient) -> None:
    for _ in range(2):
        assert await kv.incr_many("p", [KVIncr("n", 7)], "r-1") == [7]
    with pytest.raises(Invalid):
        await kv.incr_many("p", [KVIncr("n", 7)], "\ud800")


@pytest.mark.slow  # gRPC tries again
async def test_where_nothing_answers_it_is_unavailable(tmp_path: Path) -> None:
    async with connect(f"unix://{tmp_path}/nobody.sock") as channel:
        with pytest.raises(Unavailable):
            await KVClient(channel).get(plan_id="p", key="a")
