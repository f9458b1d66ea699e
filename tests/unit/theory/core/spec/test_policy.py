"""Policies: the mission's document, defaults, and when a failure is tried again."""

from collections.abc import Mapping

import pytest

from tests.unit.theory.core.refusal import refused
from theory.core.errors import Invalid
from theory.core.jcs import JSON
from theory.core.receipt import AttemptOutcome
from theory.core.refs import Ref
from theory.core.spec import MOST_LOSSES, PolicyDoc

SMALL: Mapping[str, JSON] = {"id": "default@1", "budget": {"max_usd_micro": 1_000_000}}
WHOLE: Mapping[str, JSON] = {
    "id": "strict@2",
    "budget": {"max_usd_micro": 500, "default_required_usd_micro": 5},
    "retry": {"max_attempts": 3, "backoff_ms": [1000, 5000, 15000], "on": ["oom", "lost"]},
    "leases": {"default_ttl_s": 60, "enable_path_leases": True},
    "concurrency": {"per_plan": 100, "per_processor": 10},
    "rates": {"usd_micro_per_cpu_s": 12, "usd_micro_per_gb_s": 3},
    "scratch": {"keep_s": 600, "events": 10, "queue_stats_s": 30},
}


def test_every_field_of_the_document_is_seen() -> None:
    policy = PolicyDoc.parse(WHOLE)
    assert policy == PolicyDoc(
        id=Ref("strict@2"),
        max_usd_micro=500,
        default_required_usd_micro=5,
        max_attempts=3,
        backoff_ms=(1000, 5000, 15000),
        retry_on=frozenset({AttemptOutcome.OOM, AttemptOutcome.LOST}),
        lease_ttl_s=60,
        path_leases=True,
        max_per_plan=100,
        max_per_processor=10,
        usd_micro_per_cpu_s=12,
        usd_micro_per_gb_s=3,
        keep_s=600,
        event_every=10,
        queue_stats_s=30,
        document=WHOLE,
    )


def test_a_small_document_gets_the_defaults() -> None:
    policy = PolicyDoc.parse(SMALL)
    assert (policy.max_usd_micro, policy.default_required_usd_micro) == (1_000_000, 0)
    assert (policy.max_attempts, policy.backoff_ms) == (1, ())
    assert policy.retry_on == {AttemptOutcome.FAILED, AttemptOutcome.TIMED_OUT, AttemptOutcome.LOST}
    assert (policy.lease_ttl_s, policy.path_leases, policy.keep_s) == (3600, False, 0)
    assert (policy.max_per_plan, policy.max_per_processor) == (None, None)
    assert (policy.usd_micro_per_cpu_s, policy.usd_micro_per_gb_s) == (0, 0)
    assert (policy.event_every, policy.queue_stats_s) == (0, None)


@pytest.mark.parametrize(("events", "every"), [("all", 1), ("off", 0), (None, 0), (2, 2), (1_000_000, 1_000_000)])
def test_events_of_scratch_are_all_none_or_each_so_many_th(events: JSON, every: int) -> None:
    assert PolicyDoc.parse({**SMALL, "scratch": {"events": events}}).event_every == every


def test_an_empty_list_of_outcomes_retries_nothing() -> None:
    policy = PolicyDoc.parse({**SMALL, "retry": {"max_attempts": 3, "on": []}})
    assert not any(policy.retries(outcome, 0) for outcome in AttemptOutcome)


def test_a_failure_is_tried_again_until_the_attempts_are_used_up() -> None:
    policy = PolicyDoc.parse(WHOLE)
    assert [policy.retries(AttemptOutcome.OOM, attempt_idx) for attempt_idx in range(4)] == [True, True, False, False]
    assert not policy.retries(AttemptOutcome.FAILED, 0)
    assert not policy.retries(AttemptOutcome.SUCCEEDED, 0)


def test_lost_attempts_are_not_the_processors_own() -> None:
    once = PolicyDoc.parse({**SMALL, "retry": {"max_attempts": 1}})
    assert [once.retries(AttemptOutcome.LOST, losses - 1, losses) for losses in range(1, MOST_LOSSES + 2)] == [
        *[True] * MOST_LOSSES,
        False,
    ]
    twice = PolicyDoc.parse({**SMALL, "retry": {"max_attempts": 2}})
    assert [twice.retries(AttemptOutcome.FAILED, attempt_idx, losses=3) for attempt_idx in (3, 4)] == [True, False]


def test_a_policy_that_does_not_try_what_was_lost_again_means_it() -> None:
    never = PolicyDoc.parse({**SMALL, "retry": {"max_attempts": 3, "on": ["failed"]}})
    assert not never.retries(AttemptOutcome.LOST, 0, 1)


def test_the_last_backoff_stands_for_all_later_ones() -> None:
    policy = PolicyDoc.parse(WHOLE)
    assert [policy.backoff_ms_after(attempt_idx) for attempt_idx in range(5)] == [1000, 5000, 15000, 15000, 15000]
    assert PolicyDoc.parse(SMALL).backoff_ms_after(3) == 0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": None}, "id"),
        ({"id": "default"}, "id"),
        ({"budget": None}, "budget.max_usd_micro"),
        ({"budget": {"max_usd_micro": -1}}, "budget.max_usd_micro"),
        ({"budget": {"max_usd_micro": 1.5}}, "budget.max_usd_micro"),
        ({"budget": {"max_usd_micro": 2**63}}, "budget.max_usd_micro"),
        ({"budget": {"max_usd_micro": 5, "default_required_usd_micro": 6}}, "budget.default_required_usd_micro"),
        ({"retry": {"max_attempts": 0}}, "retry.max_attempts"),
        ({"retry": {"max_attempts": 101}}, "retry.max_attempts"),
        ({"retry": {"backoff_ms": 1000}}, "retry.backoff_ms"),
        ({"retry": {"backoff_ms": [1, -1]}}, "retry.backoff_ms[1]"),
        ({"retry": {"backoff_ms": [1.0]}}, "retry.backoff_ms[0]"),
        ({"retry": {"on": ["failed", "succeeded"]}}, "retry.on[1]"),
        ({"retry": {"on": ["exploded"]}}, "retry.on[0]"),
        ({"retry": {"on": "failed"}}, "retry.on"),
        ({"leases": {"default_ttl_s": 0}}, "leases.default_ttl_s"),
        ({"leases": {"enable_path_leases": 1}}, "leases.enable_path_leases"),
        ({"concurrency": {"per_plan": 0}}, "concurrency.per_plan"),
        ({"concurrency": {"per_processor": 1.5}}, "concurrency.per_processor"),
        ({"concurrency": {"per_processor": 1_000_001}}, "concurrency.per_processor"),
        ({"rates": {"usd_micro_per_cpu_s": -1}}, "rates.usd_micro_per_cpu_s"),
        ({"rates": {"usd_micro_per_gb_s": "1"}}, "rates.usd_micro_per_gb_s"),
        ({"scratch": {"keep_s": -1}}, "scratch.keep_s"),
        ({"scratch": {"events": "some"}}, "scratch.events"),
        ({"scratch": {"events": 1}}, "scratch.events"),
        ({"scratch": {"events": 1_000_001}}, "scratch.events"),
        ({"scratch": {"events": True}}, "scratch.events"),
        ({"scratch": {"events": 2.0}}, "scratch.events"),
        ({"scratch": {"queue_stats_s": 0}}, "scratch.queue_stats_s"),
        ({"scratch": {"queue_stats_s": 3_601}}, "scratch.queue_stats_s"),
        ({"scratch": {"queue_stats_s": "30"}}, "scratch.queue_stats_s"),
    ],
)
def test_what_is_wrong_is_said_with_its_field(changes: Mapping[str, JSON], field: str) -> None:
    with refused(Invalid, "SPEC_INVALID", field=field):
        PolicyDoc.parse({**SMALL, **changes})
