"""Which keys, values and times to live there are."""

import pytest

from services.resources.kv.adapters.memory import MemoryKV
from services.resources.kv.domain import KV
from services.resources.kv.ports import KVQuotas
from tests.surroundings import opening
from theory.core.adapters import KVIncr, KVPut, KVValue
from theory.core.errors import Invalid, TheoryError


@pytest.fixture
def kv() -> KV:
    return KV(MemoryKV(opening(), KVQuotas()))


def rule(answer: object) -> str:
    assert isinstance(answer, Invalid)
    assert answer.reason == "KEY_INVALID"
    return answer.metadata["rule"]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("", "empty"),
        ("k" * 513, "length"),
        ("\u00e9" * 257, "length"),
        ("\U0001f511" * 129, "length"),
        *((f"a{chr(code)}b", "control") for code in (*range(0x20), *range(0x7F, 0xA0))),
    ],
)
async def test_a_bad_key_names_its_rule(kv: KV, key: str, expected: str) -> None:
    assert rule((await kv.get_many("p", [key]))[0]) == expected


@pytest.mark.parametrize("key", ["k" * 512, "\u00e9" * 256, "\U0001f511" * 128, " ", "\u00a0", "\u2028", "\ufeff"])
async def test_a_key_is_any_other_text(kv: KV, key: str) -> None:
    assert await kv.put_many("p", [KVPut(key, b"1")]) == [None]
    assert await kv.get_many("p", [key]) == [KVValue(b"1")]


async def test_answers_stand_where_their_items_do(kv: KV) -> None:
    answers: list[int | TheoryError] = await kv.incr_many(
        "p", [KVIncr(""), KVIncr("a", 1), KVIncr("\0"), KVIncr("a", 2)]
    )
    assert (rule(answers[0]), answers[1], rule(answers[2]), answers[3]) == ("empty", 1, "control", 3)


async def test_a_batch_of_bad_items_alone_is_answered(kv: KV) -> None:
    assert [rule(answer) for answer in await kv.delete_many("p", ["", ""])] == ["empty", "empty"]


@pytest.mark.parametrize("count", [0, 1_001])
async def test_a_batch_has_a_size(kv: KV, count: int) -> None:
    with pytest.raises(Invalid) as raised:
        await kv.get_many("p", ["a"] * count)
    assert (raised.value.reason, raised.value.metadata) == ("BATCH_SIZE", {"max": "1000"})


@pytest.mark.parametrize(
    ("ttl_s", "sound"), [(1, True), (31_536_000, True), (0, False), (-1, False), (31_536_001, False)]
)
async def test_a_time_to_live_has_bounds(kv: KV, ttl_s: int, sound: bool) -> None:
    for answer in (
        *await kv.put_many("p", [KVPut("a", b"1", ttl_s)]),
        *await kv.incr_many("p", [KVIncr("b", 1, ttl_s)]),
    ):
        assert isinstance(answer, Invalid) is not sound


@pytest.mark.parametrize("every", [-1, 1_000_001])
async def test_sampling_has_bounds(kv: KV, every: int) -> None:
    with pytest.raises(Invalid) as raised:
        await kv.begin_plan("p", event_every=every)
    assert (raised.value.reason, raised.value.metadata) == ("EVENT_SAMPLING_INVALID", {"min": "0", "max": "1000000"})
