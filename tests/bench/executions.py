"""Executions: how many a process carries out in a second, and how many RPCs one costs."""

import time

from tests.bench.report import Figure
from tests.bench.server import Server, serving
from theory.core.ids import RequestId
from theory.core.plan import PlanSpec
from theory.sdk.client import Theory

_COUNT = 2_000
_WARM_UP = 200


def plan_of(count: int, salt: str) -> PlanSpec:
    """A plan of so many executions, equal to every other one with this salt."""
    return PlanSpec.parse(
        {
            "name": "bench",
            "transitions": [
                {
                    "id": "render",
                    "processor": "media/render@1",
                    "for_each": [{"n": n} for n in range(count)],
                    "inputs": {"n": "${item.n}", "salt": salt},
                }
            ],
        }
    )


async def _run(server: Server, theory: Theory, count: int, salt: str, request: str) -> tuple[float, float, float]:
    """Seconds, server processor seconds and RPCs of one plan."""
    calls, cpu_s, began = server.calls(), server.cpu_s(), time.perf_counter()
    plan = await theory.executor.submit(plan_of(count, salt), RequestId.parse(request))
    async for change in theory.executor.watch(plan.plan_id):
        plan = change.plan
    took_s = time.perf_counter() - began
    if plan.state != "succeeded":
        raise RuntimeError(f"the plan ended {plan.state}: {plan.failure}")
    return took_s, server.cpu_s() - cpu_s, server.calls() - calls


async def _events(theory: Theory) -> int:
    return sum([head.seq async for head in theory.ledger.chains() if not head.plan_id.startswith("system.")])


async def measure() -> list[Figure]:
    """Mock executions that run, and the same ones as memo hits."""
    async with serving() as server, Theory.connect(server.url) as theory:
        await _run(server, theory, _WARM_UP, "warm", "warm")
        ran_s, ran_cpu, ran_calls = await _run(server, theory, _COUNT, "cold", "cold")
        recorded = await _events(theory)
        hit_s, hit_cpu, hit_calls = await _run(server, theory, _COUNT, "cold", "again")
    ran, hits = _COUNT / ran_s, _COUNT / hit_s
    return [
        Figure(
            f"{_COUNT} mock executions, 32 in flight, receipts and ledger durable",
            f"{ran:,.0f}/s; {ran_cpu / _COUNT * 1e3:.2f} ms of server CPU each",
            f"{ran_calls / _COUNT:.2f} RPCs per execution",
            ">= 200/s and <= 4 RPCs per execution",
            ran >= 200 and ran_calls / _COUNT <= 4,
        ),
        Figure(
            f"the same {_COUNT} as memo hits",
            f"{hits:,.0f}/s; {hit_cpu / _COUNT * 1e3:.2f} ms of server CPU each",
            f"{hits / ran:.1f}x the executions that ran; {hit_calls / _COUNT:.2f} RPCs per hit",
        ),
        Figure("events in the ledger per execution that ran", f"{recorded / (_COUNT + _WARM_UP):.1f}"),
    ]
