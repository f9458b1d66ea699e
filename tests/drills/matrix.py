"""The kill matrix: a server dies at one named point, and at another one when it is back; then it is judged."""

import asyncio
import itertools
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.drills.installation import Installation
from theory.core.plan import PlanSpec

POINTS: Mapping[str, int] = {
    "opened": 1,
    "claimed": 3,
    "recorded": 3,
    "placed": 3,
    "exited": 3,
    "collected": 3,
    "prepared": 3,
    "settled": 3,
    "committed": 3,
    "saved": 3,
    "finishing": 1,
}
"""Every point of a plan without streams, and which time it dies there: with the third execution, or the one plan."""


@dataclass
class Figures:
    """What was done, and what came of it."""

    pairs: int = 0
    kills: int = 0
    executions: int = 0
    recoveries_s: list[float] = field(default_factory=list)
    """From each start after a kill to the end of the plan, or to the next kill."""


def spec(seed: int = 1, width: int = 4) -> PlanSpec:
    """A fan-out, and what needs all of it."""
    return PlanSpec.parse(
        {
            "name": "drill",
            "seed": seed,
            "runtime": "mock",
            "transitions": [
                {
                    "id": "render",
                    "processor": "media/render@1",
                    "for_each": [{"n": n} for n in range(width)],
                    "inputs": {"n": "${item.n}"},
                },
                {
                    "id": "report",
                    "processor": "media/report@1",
                    "needs": ["render"],
                    "reads": ["/artifacts/outputs/render/**"],
                },
            ],
        }
    )


def mocked(home: Path) -> Installation:
    """An installation whose processors write what they declare."""
    return Installation(home, THEORY_EXECUTOR_RUNTIMES="mock", THEORY_EXECUTOR_DEFAULT_RUNTIME="mock")


def pairs_from(firsts: Iterable[str]) -> list[tuple[str, str]]:
    """Every pair of points that begins with one of these."""
    return list(itertools.product(firsts, POINTS))


async def run(home: Path, pairs: Sequence[tuple[str, str]]) -> Figures:
    """Kill at both points of each pair, and judge the plan; `AssertionError` where anything is not as it must be."""
    installation, figures = mocked(home), Figures()
    judged: str | None = None
    for seed, (first, second) in enumerate(pairs):
        name = f"{first}-{second}"
        async with installation.server() as server:
            if judged is not None:
                figures.executions += await _judge(installation, seed - 1, judged)
            installation.kill_at(first, POINTS[first])
            await installation.submit(spec(seed), name)
            assert await installation.killed(server), f"{name}: the first point was not reached"
            figures.kills += 1
        # Behind the first kill less is left to do: the first time that it comes there.
        installation.kill_at(second)
        began = time.monotonic()
        async with installation.server() as server:
            figures.kills += await _killed_or_finished(installation, server, spec(seed), name)
            figures.recoveries_s.append(time.monotonic() - began)
        installation.spare()
        figures.pairs += 1
        judged = name
    if judged is not None:
        async with installation.server():
            figures.executions += await _judge(installation, len(pairs) - 1, judged)
    return figures


async def _judge(installation: Installation, seed: int, name: str) -> int:
    plan_id = await installation.submit(spec(seed), name)
    assert plan_id is not None
    plan, executions = await installation.finish(plan_id)
    assert plan.state == "succeeded", f"{name}: {plan.failure}"
    await installation.check(plan, executions)
    return len(executions)


async def _killed_or_finished(
    installation: Installation, server: asyncio.subprocess.Process, submitted: PlanSpec, name: str
) -> bool:
    """Whether it died a second time; where it never comes there again, the plan ends."""
    dying = asyncio.create_task(installation.killed(server))
    ending = asyncio.create_task(_ended(installation, submitted, name))
    await asyncio.wait({dying, ending}, return_when=asyncio.FIRST_COMPLETED)
    if not dying.done():
        # It may die behind the end of the plan, too.
        await asyncio.wait({dying}, timeout=0.2)
    died = dying.done() and dying.result()
    for task in (dying, ending):
        task.cancel()
    await asyncio.gather(dying, ending, return_exceptions=True)
    return died


async def _ended(installation: Installation, submitted: PlanSpec, name: str) -> None:
    if (plan_id := await installation.submit(submitted, name)) is not None:
        await installation.finish(plan_id)
