"""Idempotency keys in the memory of a process."""

import pytest

from services.resources.queue.adapters.sqs.keys import RecentKeys
from theory.core.adapters import Published
from theory.core.clock import FakeClock
from theory.core.errors import Unavailable

_WHERE = ("plan", "topic", "key")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def test_a_key_is_known_from_its_claim_on_for_ten_minutes(clock: FakeClock) -> None:
    keys = RecentKeys(clock)
    assert keys.find(_WHERE) is None
    outcome = keys.claim(_WHERE)
    assert keys.find(_WHERE) is outcome
    clock.advance(599)
    keys.settle(_WHERE, outcome, Published("a"))
    assert await outcome == Published("a")
    assert keys.find(_WHERE) is outcome
    clock.advance(1)
    assert keys.find(_WHERE) is None


async def test_a_publish_that_failed_leaves_the_key_free_and_tells_who_waited(clock: FakeClock) -> None:
    keys = RecentKeys(clock)
    outcome = keys.claim(_WHERE)
    refused = Unavailable("STORE_UNREACHABLE", "away")
    keys.settle(_WHERE, outcome, refused)
    assert await outcome is refused
    assert keys.find(_WHERE) is None


async def test_a_late_failure_does_not_free_the_key_of_another(clock: FakeClock) -> None:
    keys = RecentKeys(clock)
    late = keys.claim(_WHERE)
    clock.advance(600)
    newer = keys.claim(_WHERE)
    keys.settle(_WHERE, late, Unavailable("STORE_UNREACHABLE", "away"))
    assert keys.find(_WHERE) is newer


async def test_the_oldest_keys_are_forgotten_first(clock: FakeClock) -> None:
    keys = RecentKeys(clock, most=2)
    wheres = [("plan", "topic", name) for name in "abc"]
    for where in wheres:
        keys.claim(where)
    assert [keys.find(where) is not None for where in wheres] == [False, True, True]
