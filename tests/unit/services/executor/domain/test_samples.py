"""The tests of services/executor/domain/samples.py."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.clocks import AskedClock
from tests.documents import plan, policy, predicate, step, tool
from tests.embedded import Embedded, Ran, embedded
from tests.scripted import Act, ScriptedRuntime
from theory.core import jcs
from theory.core.errors import Invalid, NotFound, Unavailable
from theory.core.ids import PlanId
from theory.core.jcs import JSON
from theory.core.world_path import PathPrefix, WorldName, WorldPath

SAMPLED = "sampled@1"
EVERY_S = 30
FOLDER = "/artifacts/metrics/queue_stats/"
LAST = "/artifacts/metrics/queue_stats.json"
PUBLISH = [
    tool(),
    tool(
        "test/asks@1",
        success=[
            predicate("artifact.jmespath_ok@1", path=f"{FOLDER}000001.json", expression="topics[0].visible", equals=2)
        ],
    ),
    policy(SAMPLED, scratch={"queue_stats_s": EVERY_S}),
]


class Run:
    """A plan of one step that ends when it is let go, and the clock that it is sampled by."""

    def __init__(self, theory: Embedded, clock: AskedClock) -> None:
        self.theory = theory
        self.clock = clock
        self.hold = asyncio.Event()
        self.plan_id = PlanId("none")
        self.slept = 0

    async def begin(self, **fields: JSON) -> None:
        """Until the first sample is waited for."""
        self.hold = asyncio.Event()
        self.theory.runtime.scripts["step"] = Act(hold=self.hold)
        self.slept = self.clock.asked.count(EVERY_S)
        ref = fields.pop("processor", "test/step@1")
        submitted = await self.theory.submit(plan(step(processor=ref), policy=SAMPLED, **fields))
        self.plan_id = submitted.plan_id
        await self.waiting()

    async def waiting(self) -> None:
        """Until the next sample is waited for."""
        self.slept += 1
        await self.clock.until_asked(EVERY_S, self.slept)

    async def sample(self) -> None:
        """Let the time of one sample pass, and the sample be taken."""
        self.clock.advance(EVERY_S)
        await self.waiting()

    async def end(self) -> Ran:
        """Let the step end, and the plan with it."""
        self.hold.set()
        return await self.theory.ended(self.plan_id)

    async def read(self, path: str, world: str = "") -> JSON:
        """What a sample says."""
        name = WorldName.parse(world or self.plan_id.text)
        return jcs.parse(await self.theory.theory.artifacts.get_bytes(name, WorldPath.parse(path)))

    async def names(self, world: str = "") -> list[str]:
        """The samples that were taken."""
        name, prefix = WorldName.parse(world or self.plan_id.text), PathPrefix.parse(FOLDER)
        return [each.path.name async for each in self.theory.theory.artifacts.list(name, prefix)]


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    clock = AskedClock()
    async with embedded(tmp_path, clock=clock, publish=PUBLISH) as theory:
        yield Run(theory, clock)


@pytest.mark.slow
async def test_the_counts_are_written_each_so_often_and_once_at_the_end(run: Run) -> None:
    """I-107: samples are numbered artifacts, and the last has a path of its own."""
    await run.begin()
    await run.sample()
    queue = run.theory.theory.queue
    for body in (b"1", b"2", b"3"):
        await queue.publish(plan_id=run.plan_id.text, topic="frames", body=body)
    await queue.publish(plan_id=run.plan_id.text, topic="later", body=b"4", delay_s=3600)
    await queue.consume(plan_id=run.plan_id.text, topic="frames")
    await run.sample()
    ran = await run.end()
    assert ran.states == {"step": "succeeded"}
    assert await run.names() == ["000001.json", "000002.json"]
    assert await run.read(f"{FOLDER}000001.json") == {
        "plan_id": run.plan_id.text,
        "time": "2026-01-01T00:00:30.000000Z",
        "topics": [],
    }
    expected = [
        {"topic": "frames", "visible": 3, "hidden": 0, "delayed": 0, "dead": 0},
        {"topic": "later", "visible": 0, "hidden": 0, "delayed": 1, "dead": 0},
    ]
    second, last = await run.read(f"{FOLDER}000002.json"), await run.read(LAST)
    assert isinstance(second, dict)
    assert isinstance(last, dict)
    # The delivery was hidden for 30 seconds, and they have passed.
    assert (second["topics"], last["topics"]) == (expected, expected)
    assert run.theory.faults.calls.index("scratch.end_plan") > run.theory.faults.calls.index("scratch.queue_stats")
    await run.theory.check(run.plan_id)


@pytest.mark.slow
async def test_a_predicate_may_ask_a_sample(run: Run) -> None:
    await run.begin(processor="test/asks@1")
    for body in (b"1", b"2"):
        await run.theory.theory.queue.publish(plan_id=run.plan_id.text, topic="frames", body=body)
    await run.sample()
    assert (await run.end()).states == {"step": "succeeded"}
    await run.begin(processor="test/asks@1")
    await run.sample()
    assert (await run.end()).states == {"step": "failed"}


@pytest.mark.slow
async def test_in_a_shared_world_numbers_go_on_and_the_last_stays_with_the_first(run: Run) -> None:
    await run.begin(world="shared")
    await run.sample()
    await run.end()
    first = await run.read(LAST, "shared")
    await run.begin(world="shared")
    other = WorldPath.parse(f"{FOLDER}000002.json")
    await run.theory.theory.artifacts.put_bytes(WorldName.parse("shared"), other, b"somebody else's")
    await run.sample()
    taken = WorldPath.parse(f"{FOLDER}000004.json")
    await run.theory.theory.artifacts.put_bytes(WorldName.parse("shared"), taken, b"somebody else's")
    await run.sample()
    assert (await run.end()).states == {"step": "succeeded"}
    assert await run.names("shared") == [f"00000{number}.json" for number in range(1, 6)]
    assert await run.read(LAST, "shared") == first


@pytest.mark.slow
async def test_what_cannot_be_sampled_harms_nobody(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        await run.begin()
        run.theory.faults.refuse("scratch.queue_stats", Unavailable("SERVICE_UNREACHABLE", "away"))
        await run.sample()
        run.theory.faults.refuse("world.put", Invalid("BLOB_TOO_LARGE", "too large"))
        await run.sample()
        await run.sample()
        run.theory.faults.refuse("scratch.queue_stats", Unavailable("SERVICE_UNREACHABLE", "away"))
        assert (await run.end()).states == {"step": "succeeded"}
    assert await run.names() == ["000001.json"]
    with pytest.raises(NotFound):
        await run.read(LAST)
    missed = [vars(each)["theory_fields"]["reason"] for each in caplog.records if each.message == "queue_stats.missed"]
    assert missed == ["SERVICE_UNREACHABLE", "BLOB_TOO_LARGE", "SERVICE_UNREACHABLE"]


@pytest.mark.slow
async def test_a_policy_that_asks_for_none_gets_none(run: Run) -> None:
    ran = await run.theory.run_plan(plan(step()))
    run.plan_id = ran.plan.plan_id
    assert await run.names() == []
    assert "scratch.queue_stats" not in run.theory.faults.calls


@pytest.mark.slow
async def test_after_a_crash_the_numbers_go_on(tmp_path: Path) -> None:
    runtime, clock = ScriptedRuntime(), AskedClock()
    async with embedded(tmp_path, runtime=runtime, clock=clock, memory=False, publish=PUBLISH) as theory:
        run = Run(theory, clock)
        await run.begin()
        await run.sample()
        runtime.stays = True
    runtime.stays = False
    async with embedded(tmp_path, runtime=runtime, clock=clock, memory=False, publish=PUBLISH) as theory:
        run.theory = theory
        await run.waiting()
        await run.sample()
        assert (await run.end()).states == {"step": "succeeded"}
        assert await run.names() == ["000001.json", "000002.json"]
