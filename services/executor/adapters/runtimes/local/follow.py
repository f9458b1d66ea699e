"""Following a container to its end: its deadline, its stop, and an engine that may go away meanwhile."""

import asyncio
from dataclasses import dataclass

from services.executor.adapters.runtimes.local.absence import PATIENCE_S, Absence
from services.executor.adapters.runtimes.local.containers import Containers
from services.executor.adapters.runtimes.local.engine import EngineRefused
from services.executor.adapters.runtimes.local.state import ContainerState
from services.executor.adapters.runtimes.marks import Marks, Stop
from theory.core.clock import Clock, until_set
from theory.core.errors import NotReady

_LOOK_AGAIN_S = 5.0
"""How often a container is looked at though nothing told of its end."""
_GONE_WITHIN_S = 30.0
"""How long the kernel may take to end what was killed."""
_KILLED_WITH_ENGINE = frozenset({137, 143, 255})


@dataclass(frozen=True, slots=True)
class Followed:
    """How it ended."""

    state: ContainerState | None
    """None where the container or its engine is gone."""
    stopped: Stop | None
    lost: str = ""
    """Why nobody can say how the processor ended; empty where somebody can."""


class Follower:
    """Waits for ends and brings them about."""

    def __init__(self, containers: Containers, clock: Clock, grace_s: float) -> None:
        self._containers = containers
        self._clock = clock
        self._grace_s = grace_s
        self._absence = Absence(containers, clock)

    async def follow(
        self, name: str, marks: Marks, timeout_s: int, exited: asyncio.Event, *, unseen: bool = False
    ) -> Followed:
        """Return once the container has ended: by itself, at its deadline, or because its marks say so.

        The deadline counts from the start that the engine recorded, so it is the same for whoever follows. `unseen`
        says that nobody looked for a while: the engine may have gone meanwhile.
        """
        deadline: float | None = None
        engine_went = unseen
        silent_since: float | None = None
        while True:
            exited.clear()
            try:
                state = await self._containers.find(name)
            except (NotReady, EngineRefused):
                engine_went = True
                silent_since = self._clock.monotonic() if silent_since is None else silent_since
                # It may answer, and yet not say anything of this container.
                patient = self._clock.monotonic() - silent_since < PATIENCE_S
                if not patient or not await self._absence.over():
                    return Followed(None, marks.stopping, "the engine went away while the processor ran")
                continue
            silent_since = None
            if state is None:
                return Followed(None, marks.stopping, "the container of the attempt has gone")
            if state.over:
                if unseen and _ran_s(state) >= timeout_s:
                    return _over(state, marks.stop("timed_out"), engine_went=False)
                return _over(state, marks.stopping, engine_went=engine_went)
            if deadline is None:
                deadline = self._clock.monotonic() + self._left_s(state, timeout_s)
            left_s = deadline - self._clock.monotonic()
            if marks.stopping is not None or left_s <= 0:
                marks.stop("timed_out")
                await self.stop(name, exited)
            else:
                await until_set(exited, self._clock, min(left_s, _LOOK_AGAIN_S))

    async def stop(self, name: str, exited: asyncio.Event) -> None:
        """Ask the container to end, wait, then kill it; return once it does not run."""
        for signal, patience_s in (("SIGTERM", self._grace_s), ("SIGKILL", _GONE_WITHIN_S)):
            exited.clear()
            try:
                await self._containers.signal(name, signal)
                if await self._ends(name, exited, patience_s):
                    return
            except (EngineRefused, NotReady):
                return  # whoever follows it looks again

    async def _ends(self, name: str, exited: asyncio.Event, patience_s: float) -> bool:
        until = self._clock.monotonic() + patience_s
        while True:
            state = await self._containers.find(name)
            if state is None or not state.running:
                return True
            left_s = until - self._clock.monotonic()
            if left_s <= 0:
                return False
            await until_set(exited, self._clock, min(left_s, _LOOK_AGAIN_S))
            exited.clear()

    def _left_s(self, state: ContainerState, timeout_s: int) -> float:
        """How long it may still run. Two clocks may disagree; that must neither kill it at once nor let it live on."""
        if state.started_at is None:
            return timeout_s
        ran_s = (self._clock.now() - state.started_at).total_seconds()
        return min(max(timeout_s - ran_s, 0), timeout_s)


def _ran_s(state: ContainerState) -> float:
    if state.started_at is None or state.finished_at is None:
        return 0
    return (state.finished_at - state.started_at).total_seconds()


def _over(state: ContainerState, stopped: Stop | None, *, engine_went: bool) -> Followed:
    # An engine that goes down takes its containers along; that is no fault of the processor.
    killed = state.exit_code in _KILLED_WITH_ENGINE and not state.oom_killed
    if engine_went and stopped is None and killed:
        return Followed(state, None, "the engine went down and took the container along")
    return Followed(state, stopped)
