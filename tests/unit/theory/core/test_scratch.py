"""Which changes of scratch become events, and what these say."""

import pytest

from theory.core.errors import Invalid
from theory.core.scratch import check_event_every, kv_changed, queue_deadletter, queue_published, queue_retry, sampled

TS = "2026-01-01T00:00:00.000000Z"
CHANGES = [kv_changed(f"k{idx}", "put") for idx in range(10)]


@pytest.mark.parametrize(
    ("counted", "every", "expected"),
    [(0, 0, []), (0, 1, [*range(1, 11)]), (0, 3, [3, 6, 9]), (8, 3, [9, 12, 15, 18]), (5, 20, []), (11, 20, [20])],
)
def test_each_nth_change_of_the_plan_is_told(counted: int, every: int, expected: list[int]) -> None:
    events = list(sampled("p", "kv", CHANGES, counted=counted, every=every, ts=TS))
    assert [each.event.event_id for each in events] == [f"kv/{number}" for number in expected]
    assert [each.event.body["key"] for each in events] == [f"k{number - counted - 1}" for number in expected]
    assert all(each.plan_id == "p" and each.event.ts == TS for each in events)


def test_an_event_has_the_fields_of_its_kind() -> None:
    assert kv_changed("k", "incr") == ("scratch.kv.changed", {"key": "k", "op": "incr"})
    assert queue_published("t", 5, 2) == ("scratch.queue.published", {"topic": "t", "bytes": 5, "approx_size": 2})
    assert queue_retry("t", 9, 1) == ("scratch.queue.retry", {"topic": "t", "delay_s": 9, "receive_count": 1})
    assert queue_deadletter("t", 3) == ("scratch.queue.deadletter", {"topic": "t", "receive_count": 3})


@pytest.mark.parametrize("every", [-1, 1_000_001])
def test_a_sampling_out_of_range_is_refused(every: int) -> None:
    with pytest.raises(Invalid) as raised:
        check_event_every(every)
    assert (raised.value.reason, raised.value.metadata) == ("EVENT_SAMPLING_INVALID", {"min": "0", "max": "1000000"})


@pytest.mark.parametrize("every", [0, 1, 1_000_000])
def test_any_other_sampling_is_fine(every: int) -> None:
    check_event_every(every)
