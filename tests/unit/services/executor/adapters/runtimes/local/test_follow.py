"""Following a container while its engine, its clock and its end do as they like."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from services.executor.adapters.runtimes.local.containers import Containers
from services.executor.adapters.runtimes.local.engine import Engine, EngineRefused
from services.executor.adapters.runtimes.local.follow import Followed, Follower
from services.executor.adapters.runtimes.local.state import ContainerState
from services.executor.adapters.runtimes.marks import Marks
from tests.unit.services.executor.adapters.runtimes.attempts import NOW
from theory.core.clock import FakeClock
from theory.core.errors import NotReady

RUNNING = ContainerState("sha256:1", {}, "running", 0, False, NOW, None, "")  # as the engine says it
GRACE_S = 10.0


class Scripted(Containers):
    """One container that does as it is told: `state` is what the engine says, None that it has none."""

    def __init__(self) -> None:
        super().__init__(Engine("unix:///nowhere", calls_at_once=1))
        self.state: ContainerState | None = RUNNING
        self.away = False
        self.refuses = False
        self.heeds = {"SIGKILL"}
        self.signals: list[str] = []

    async def find(self, name: str) -> ContainerState | None:
        if self.away:
            raise NotReady("ENGINE_DOWN", "it is away")
        if self.refuses:
            raise EngineRefused(500, "server error")
        return self.state

    async def reachable(self) -> bool:
        return not self.away

    async def signal(self, name: str, signal: str) -> None:
        self.signals.append(signal)
        if self.away:
            raise NotReady("ENGINE_DOWN", "it is away")
        if signal in self.heeds:
            self.end(137)

    def end(self, exit_code: int) -> None:
        self.state = replace(RUNNING, status="exited", exit_code=exit_code, finished_at=NOW)


@pytest.fixture
def containers() -> Scripted:
    return Scripted()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


class Following:
    """One call of `follow`, and what it needs."""

    def __init__(
        self, containers: Scripted, clock: FakeClock, place: Path, timeout_s: int, *, unseen: bool = False
    ) -> None:
        self.marks = Marks(place)
        self.exited = asyncio.Event()
        follower = Follower(containers, clock, GRACE_S)
        self.task = asyncio.create_task(follower.follow("a-a0", self.marks, timeout_s, self.exited, unseen=unseen))
        self._clock = clock

    async def advance(self, s: float) -> None:
        """Let the clock go on in steps that nobody sleeps through."""
        while s > 0 and not self.task.done():
            await self._clock.until_sleepers(1)
            self._clock.advance(min(s, 0.5))
            s -= 0.5
            for _ in range(20):
                await asyncio.sleep(0)

    async def ended(self) -> Followed:
        async with asyncio.timeout(5):
            return await self.task


async def test_an_event_ends_it(containers: Scripted, clock: FakeClock, tmp_path: Path) -> None:
    following = Following(containers, clock, tmp_path, 60)
    await clock.until_sleepers(1)
    containers.end(3)
    following.exited.set()
    followed = await following.ended()
    assert followed.state is not None
    assert (followed.state.exit_code, followed.stopped, followed.lost) == (3, None, "")


async def test_an_end_that_no_event_told_of_is_seen_all_the_same(
    containers: Scripted, clock: FakeClock, tmp_path: Path
) -> None:
    following = Following(containers, clock, tmp_path, 60)
    await clock.until_sleepers(1)
    containers.end(3)
    await following.advance(6)
    assert following.task.done()


async def test_the_deadline_counts_from_the_start_that_the_engine_recorded(
    containers: Scripted, clock: FakeClock, tmp_path: Path
) -> None:
    clock.advance(50)
    following = Following(containers, clock, tmp_path, 60)
    await following.advance(9)
    assert containers.signals == []
    await following.advance(2)
    assert containers.signals == ["SIGTERM"]
    await following.advance(GRACE_S + 1)
    assert containers.signals == ["SIGTERM", "SIGKILL"]
    assert (await following.ended()).stopped == "timed_out"


async def test_a_container_from_the_future_runs_no_longer_than_its_timeout(
    containers: Scripted, clock: FakeClock, tmp_path: Path
) -> None:
    assert RUNNING.started_at is not None
    containers.state = replace(RUNNING, started_at=RUNNING.started_at.replace(year=2030))
    containers.heeds = {"SIGTERM"}
    following = Following(containers, clock, tmp_path, 5)
    await following.advance(6)
    assert (await following.ended()).stopped == "timed_out"
    assert containers.signals == ["SIGTERM"]


async def test_a_mark_to_stop_is_heeded(containers: Scripted, clock: FakeClock, tmp_path: Path) -> None:
    Marks(tmp_path).stop("cancelled")
    containers.heeds = {"SIGTERM"}
    assert (await Following(containers, clock, tmp_path, 60).ended()).stopped == "cancelled"


async def test_a_container_that_is_gone_is_lost(containers: Scripted, clock: FakeClock, tmp_path: Path) -> None:
    containers.state = None
    followed = await Following(containers, clock, tmp_path, 60).ended()
    assert (followed.state, followed.lost) == (None, "the container of the attempt has gone")


async def test_an_engine_that_returns_is_waited_for(containers: Scripted, clock: FakeClock, tmp_path: Path) -> None:
    containers.away = True
    following = Following(containers, clock, tmp_path, 600)
    await following.advance(30)
    assert not following.task.done()
    containers.away = False
    containers.end(3)
    await following.advance(2)
    followed = await following.ended()
    assert followed.state is not None
    assert (followed.state.exit_code, followed.lost) == (3, "")


async def test_a_container_that_went_down_with_its_engine_is_lost(
    containers: Scripted, clock: FakeClock, tmp_path: Path
) -> None:
    containers.away = True
    following = Following(containers, clock, tmp_path, 600)
    await following.advance(5)
    containers.away = False
    containers.end(137)
    await following.advance(2)
    assert (await following.ended()).lost == "the engine went down and took the container along"


@pytest.mark.parametrize(("unseen", "lost"), [(True, True), (False, False)])
async def test_what_was_killed_while_nobody_looked_is_lost(
    containers: Scripted, clock: FakeClock, tmp_path: Path, *, unseen: bool, lost: bool
) -> None:
    containers.end(137)
    following = Following(containers, clock, tmp_path, 600, unseen=unseen)
    assert bool((await following.ended()).lost) is lost


async def test_what_needed_too_much_memory_while_nobody_looked_is_not_lost(
    containers: Scripted, clock: FakeClock, tmp_path: Path
) -> None:
    containers.state = replace(RUNNING, status="exited", exit_code=137, oom_killed=True, finished_at=NOW)
    following = Following(containers, clock, tmp_path, 600, unseen=True)
    assert not (await following.ended()).lost


async def test_an_engine_that_stays_away_loses_the_attempt(
    containers: Scripted, clock: FakeClock, tmp_path: Path
) -> None:
    containers.away = True
    following = Following(containers, clock, tmp_path, 600)
    await following.advance(70)
    assert (await following.ended()).lost == "the engine went away while the processor ran"


async def test_an_engine_that_answers_and_never_tells_loses_the_attempt(
    containers: Scripted, clock: FakeClock, tmp_path: Path
) -> None:
    containers.refuses = True
    following = Following(containers, clock, tmp_path, 600)
    await following.advance(70)
    assert (await following.ended()).lost == "the engine went away while the processor ran"


async def test_an_engine_that_is_away_at_the_deadline_is_waited_for(
    containers: Scripted, clock: FakeClock, tmp_path: Path
) -> None:
    following = Following(containers, clock, tmp_path, 10)
    await following.advance(5)
    following.marks.stop("timed_out")
    answers = containers.find

    async def away_from_now_on(name: str) -> ContainerState | None:
        containers.away, containers.find = True, answers  # type: ignore[method-assign]
        return RUNNING

    containers.find = away_from_now_on  # type: ignore[method-assign]
    await following.advance(5)
    assert containers.signals == ["SIGTERM"]
    containers.away = False
    await following.advance(30)
    followed = await following.ended()
    assert (followed.stopped, followed.lost) == ("timed_out", "")
    assert containers.signals == ["SIGTERM", "SIGTERM", "SIGKILL"]
