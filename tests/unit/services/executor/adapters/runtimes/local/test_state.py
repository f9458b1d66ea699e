"""Inspections of containers, as engines write them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from services.executor.adapters.runtimes.local.state import ContainerState


def _inspected(**state: object) -> dict[str, Any]:
    usual = {
        "Status": "exited",
        "ExitCode": 3,
        "OOMKilled": False,
        "Error": "",
        "StartedAt": "2026-01-02T03:04:05.123456789Z",
        "FinishedAt": "2026-01-02T03:04:06Z",
    }
    return {"Image": "sha256:1", "Config": {"Labels": {"a": "b"}}, "State": usual | state}


def test_an_ended_container() -> None:
    state = ContainerState.of(_inspected())
    assert (state.image_id, state.labels, state.exit_code) == ("sha256:1", {"a": "b"}, 3)
    assert (state.over, state.running) == (True, False)
    assert state.started_at == datetime(2026, 1, 2, 3, 4, 5, 123456, UTC)
    assert state.finished_at == datetime(2026, 1, 2, 3, 4, 6, 0, UTC)


@pytest.mark.parametrize(
    ("status", "running", "over"),
    [("created", False, False), ("running", True, False), ("paused", True, False), ("dead", False, True)],
)
def test_its_status(status: str, running: bool, over: bool) -> None:
    state = ContainerState.of(_inspected(Status=status))
    assert (state.running, state.over) == (running, over)


def test_a_container_that_never_ran_has_no_times() -> None:
    never = "0001-01-01T00:00:00Z"
    state = ContainerState.of(_inspected(Status="created", StartedAt=never, FinishedAt=never))
    assert (state.started_at, state.finished_at) == (None, None)


def test_an_image_without_labels() -> None:
    inspected = _inspected()
    inspected["Config"] = {"Labels": None}
    assert ContainerState.of(inspected).labels == {}


def test_nothing_ends_before_it_began() -> None:
    first, later = "2026-01-02T03:04:05.837943111Z", "2026-01-02T03:04:05.839220222Z"
    state = ContainerState.of(_inspected(StartedAt=later, FinishedAt=first))
    assert state.started_at is not None
    assert state.finished_at == state.started_at
