"""Looking remembered results up: how many hits in a second, against the action cache of a REAPI server in Python."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from tests.bench import reapi
from tests.bench.report import Figure
from tests.bench.server import serving
from theory.api.executor.v1 import executor_pb2 as pb
from theory.api.executor.v1.executor_pb2_grpc import ExecutorServiceStub
from theory.core.ids import RequestId
from theory.core.jcs import JSON
from theory.core.plan import PlanSpec
from theory.sdk.client import Theory
from theory.wire.channel import call, connect

_RESULTS = 512
_BATCH = 32
_HITS = 8_192
_AT_ONCE = 8


async def measure() -> list[Figure]:
    """Hits of eight callers: batches of 32 here, which read the receipts and look for the bytes, single ones there."""
    async with serving() as server, Theory.connect(server.url) as theory, reapi.serving() as other:
        keys = await _remembered(theory)
        channel = connect(server.url)
        stub = ExecutorServiceStub(channel)
        batches = [keys[at : at + _BATCH] for at in range(0, _RESULTS, _BATCH)]

        async def look_up(number: int) -> None:
            request = pb.LookUpMemoRequest(memo_keys=batches[number % len(batches)])
            response = await call(stub.LookUpMemo, request)
            assert all(each.receipt_id for each in response.results)

        async def look_up_there(number: int) -> None:
            await other.look_up(keys[number % _RESULTS].removeprefix("b3:"))

        # Twice each, alternating: what the machine does meanwhile meets both.
        here = there = 0.0
        for _ in range(2):
            here += await _took_s(look_up, _HITS // _BATCH)
            there += await _took_s(look_up_there, _HITS)
        await channel.close()
    ours, theirs = 2 * _HITS / here, 2 * _HITS / there
    return [
        Figure(
            f"memo hits, {_AT_ONCE} callers, batches of {_BATCH}, with receipts, all outputs looked for",
            f"{ours:,.0f}/s",
            f"{theirs:,.0f}/s of a REAPI action cache in Python; {ours / theirs:.1f}x",
            ">= 3x",
            ours >= 3 * theirs,
        )
    ]


async def _remembered(theory: Theory) -> list[str]:
    """The keys of as many results."""
    transition: JSON = {
        "id": "render",
        "processor": "media/render@1",
        "for_each": [{"n": n} for n in range(_RESULTS)],
        "inputs": {"n": "${item.n}"},
    }
    spec = PlanSpec.parse({"name": "bench", "transitions": [transition]})
    plan = await theory.executor.submit(spec, RequestId.parse("memo"))
    async for change in theory.executor.watch(plan.plan_id):
        plan = change.plan
    if plan.state != "succeeded":
        raise RuntimeError(f"the plan ended {plan.state}: {plan.failure}")
    return [each.memo.memo_key async for each in theory.executor.executions(plan.plan_id) if each.memo is not None]


async def _took_s(once: Callable[[int], Awaitable[None]], count: int) -> float:
    """Seconds that so many calls took, of so many callers."""

    async def some(numbers: Sequence[int]) -> None:
        for number in numbers:
            await once(number)

    await some(range(_AT_ONCE))  # a few go before that do not count
    began = time.perf_counter()
    await asyncio.gather(*(some(range(first, count, _AT_ONCE)) for first in range(_AT_ONCE)))
    return time.perf_counter() - began
