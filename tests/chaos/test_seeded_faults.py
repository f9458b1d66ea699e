"""Every seeded fault is found by the work of a run and its judge; the stores without a fault are not blamed."""

import pytest

from tests.chaos import faulty_keys, faulty_queues, key_history, total_queue
from tests.chaos.faulty_keys import ModelKeys
from tests.chaos.model_queue import ModelQueue
from tests.chaos.queue_history import Promises
from tests.chaos.rehearsal import rehearse_keys, rehearse_queue

SEEDS = 8
"""One short run may pass a fault by."""


@pytest.mark.parametrize("fault", faulty_queues.FAULTS, ids=lambda each: each.__name__)
def test_a_fault_of_a_queue_is_found(fault: type[faulty_queues.Faulty]) -> None:
    reports = (
        total_queue.check(rehearse_queue(fault, fault.promises, seed=seed), fault.promises) for seed in range(SEEDS)
    )
    assert any(fault.found & report.counts.keys() for report in reports)


@pytest.mark.parametrize("fault", faulty_keys.FAULTS, ids=lambda each: each.__name__)
def test_a_fault_of_keys_is_found(fault: type[faulty_keys.Faulty]) -> None:
    assert any(not key_history.check(rehearse_keys(fault, seed=seed)).valid for seed in range(SEEDS))


@pytest.mark.parametrize(
    "promises",
    [Promises(), Promises(max_receives=2), Promises(max_receives=3), Promises(keys=False, fenced=False, counts=False)],
    ids=["plain", "max_receives=2", "max_receives=3", "weak"],
)
def test_a_queue_without_a_fault_is_not_blamed(promises: Promises) -> None:
    for seed in range(2):
        report = total_queue.check(rehearse_queue(ModelQueue, promises, seed=seed), promises)
        assert report.violations == ()
        assert report.duplicates > 0
        assert bool(report.dead) is bool(promises.max_receives)


@pytest.mark.parametrize("request_ids", [True, False])
def test_keys_without_a_fault_are_not_blamed(request_ids: bool) -> None:
    for seed in range(2):
        report = key_history.check(rehearse_keys(ModelKeys, request_ids=request_ids, seed=seed))
        assert report.violations == ()
        assert report.unknown > 0


def test_the_same_seed_gives_the_same_history() -> None:
    once, again = (rehearse_queue(ModelQueue, Promises(), seed=7, kills=2) for _ in range(2))
    assert [str(each) for each in once] == [str(each) for each in again]
