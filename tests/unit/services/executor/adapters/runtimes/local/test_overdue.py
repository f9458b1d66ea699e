"""Whose time is up, as the engine's inspections tell, and an engine that is away for too long."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.executor.adapters.runtimes.local.overdue import GIVE_UP_S, LOOK_EVERY_S, end_overdue, overdue
from services.executor.adapters.runtimes.local.watchman import TIMEOUT_LABEL
from theory.core.clock import FakeClock, rfc3339

GRACE_S = 10.0


def _inspected(clock: FakeClock, ran_s: float, *, timeout_s: str | None = "60", status: str = "running") -> Any:
    labels = {} if timeout_s is None else {TIMEOUT_LABEL: timeout_s}
    state = {
        "Status": status,
        "ExitCode": 0,
        "OOMKilled": False,
        "StartedAt": rfc3339(clock.now() - timedelta(seconds=ran_s)),
        "FinishedAt": "0001-01-01T00:00:00Z",
        "Error": "",
    }
    return {"Id": "one", "Image": "sha256:1", "Config": {"Labels": labels}, "State": state}


@pytest.mark.parametrize(
    ("ran_s", "late", "pause_s"),
    [(0, False, LOOK_EVERY_S), (67, False, 3), (69.5, False, 0.5), (70, True, LOOK_EVERY_S), (700, True, LOOK_EVERY_S)],
)
def test_a_container_has_its_time_and_its_grace(ran_s: float, late: bool, pause_s: float) -> None:
    clock = FakeClock()
    found, pause = overdue([_inspected(clock, ran_s)], clock.now(), GRACE_S)
    assert found == (["one"] if late else [])
    assert pause == pytest.approx(pause_s)


def test_a_container_that_does_not_say_its_time_has_its_grace_alone() -> None:
    clock = FakeClock()
    assert overdue([_inspected(clock, 11, timeout_s=None)], clock.now(), GRACE_S)[0] == ["one"]


def test_what_has_ended_is_left_as_it_is() -> None:
    clock = FakeClock()
    assert overdue([_inspected(clock, 700, status="exited")], clock.now(), GRACE_S)[0] == []


async def test_whoever_is_replaced_ends_nothing(tmp_path: Path) -> None:
    await end_overdue(f"unix://{tmp_path}/none.sock", "home", GRACE_S, lambda: False, FakeClock())


async def test_an_engine_that_does_not_come_back_is_given_up(tmp_path: Path) -> None:
    class Passing(FakeClock):
        """Time passes while one sleeps."""

        async def sleep(self, s: float) -> None:
            self.advance(s)

    clock = Passing()
    began = clock.monotonic()
    await end_overdue(f"unix://{tmp_path}/none.sock", "home", GRACE_S, lambda: True, clock)
    assert clock.monotonic() - began == pytest.approx(GIVE_UP_S, abs=LOOK_EVERY_S)
