"""Ending the containers whose time is up, where their executor does not."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from services.executor.adapters.runtimes.local.engine import Engine, EngineRefused
from services.executor.adapters.runtimes.local.state import ContainerState
from services.executor.adapters.runtimes.local.watchman import HOME_LABEL, TIMEOUT_LABEL
from theory.core.clock import Clock, SystemClock
from theory.core.errors import NotReady

LOOK_EVERY_S = 5.0
_AGAIN_S = 1.0
GIVE_UP_S = 600.0
"""How long the engine may be away before nobody waits for it any more: its containers are hardly there."""


def overdue(containers: Sequence[Mapping[str, Any]], now: datetime, grace_s: float) -> tuple[list[str], float]:
    """Of inspected containers those that run beyond their time, and in how many seconds to look again."""
    found, next_s = [], LOOK_EVERY_S
    for each in containers:
        state = ContainerState.of(each)
        if state.started_at is None or not state.running:
            continue
        allowed_s = float(state.labels.get(TIMEOUT_LABEL, 0)) + grace_s
        left_s = allowed_s - (now - state.started_at).total_seconds()
        if left_s <= 0:
            found.append(str(each["Id"]))
        else:
            next_s = min(next_s, left_s)
    return found, next_s


async def end_overdue(
    engine_url: str, home_id: str, grace_s: float, current: Callable[[], bool], clock: Clock | None = None
) -> None:
    """Kill what is overdue, until nothing of the home runs any more, or this is not to go on."""
    engine, clock = Engine(engine_url, calls_at_once=1), clock or SystemClock()

    def turn(client: Any) -> float | None:  # noqa: ANN401 - the engine's client
        running = client.containers(filters={"label": f"{HOME_LABEL}={home_id}"})
        late, pause_s = overdue([client.inspect_container(each["Id"]) for each in running], clock.now(), grace_s)
        for each in late:
            client.kill(each, "SIGKILL")
        return pause_s if running else None

    heard = clock.monotonic()
    while current():
        try:
            pause_s = await engine.call(turn)
            heard = clock.monotonic()
        except EngineRefused:
            pause_s = _AGAIN_S  # what was to be looked at, or killed, has ended meanwhile
        except NotReady:
            pause_s = LOOK_EVERY_S if clock.monotonic() - heard < GIVE_UP_S else None
        if pause_s is None:
            break
        await clock.sleep(pause_s)
    await engine.close()
