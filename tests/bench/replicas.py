"""Executors that share a Postgres: what two carry out in a second, against one there, and one on SQLite."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.executions import plan_of
from tests.bench.report import Figure
from tests.bench.server import Server, serving
from tests.drills.alone import alone
from tests.servers import Postgres
from theory.core.errors import TheoryError
from theory.core.ids import RequestId
from theory.sdk.client import Theory
from theory.wire.home import socket_url

_PLANS = 2
_COUNT = 1_000
_WARM_UP = 100
_PATIENCE_S = 60.0
_FLOOR = 200


@asynccontextmanager
async def _executors(others: Server, database_url: str, count: int) -> AsyncIterator[Sequence[Theory]]:
    """Clients of so many executors, each a process of its own; everything else is one process."""
    settings = {
        "THEORY_EXECUTOR_RUNTIMES": "mock",
        "THEORY_EXECUTOR_DEFAULT_RUNTIME": "mock",
        **({"THEORY_EXECUTOR_DATABASE_URL": database_url} if database_url else {}),
        **{f"THEORY_{each}_URL": others.url for each in ("LEDGER", "REGISTRY", "ARTIFACTS", "RESOURCES")},
    }
    async with AsyncExitStack() as stack:
        clients = []
        for _ in range(count):
            home = Path(stack.enter_context(TemporaryDirectory(prefix="theory-bench-")))
            shutil.copy(others.home / "service.key", home / "service.key")
            await stack.enter_async_context(alone("executor", home, **settings))
            url = {"executor": socket_url(home, "executor")}
            theory = await stack.enter_async_context(Theory.connect(others.url, url_by_service=url))
            async with asyncio.timeout(_PATIENCE_S):
                await _until_it_answers(theory)
            clients.append(theory)
        yield clients


async def _until_it_answers(theory: Theory) -> None:
    while True:
        try:
            await theory.executor.capabilities()
        except (TheoryError, TimeoutError):
            await asyncio.sleep(0.02)
        else:
            return


async def _carried_out(theory: Theory, count: int, salt: str) -> None:
    plan = await theory.executor.submit(plan_of(count, salt), RequestId.parse(salt))
    async for change in theory.executor.watch(plan.plan_id):
        plan = change.plan
    if plan.state != "succeeded":
        raise RuntimeError(f"the plan ended {plan.state}: {plan.failure}")


async def _rate(others: Server, database_url: str, count: int, name: str) -> float:
    """Executions in a second, of as many plans at once wherever they are carried out."""
    async with _executors(others, database_url, count) as clients:
        turns = [clients[at % count] for at in range(_PLANS)]
        for salt, width in (("warm", _WARM_UP), ("run", _COUNT)):
            began = time.perf_counter()
            plans = [_carried_out(each, width, f"{name}-{salt}-{at}") for at, each in enumerate(turns)]
            await asyncio.gather(*plans)
        return _PLANS * _COUNT / (time.perf_counter() - began)


async def measure() -> list[Figure]:
    """Mock executions, whose results and receipts are durable whatever database the executor has."""
    server = Postgres()
    if missing := server.missing():
        return [Figure("executors that share a Postgres", f"not measured: {missing}")]
    async with serving() as others:
        alone_on_sqlite = await _rate(others, "", 1, "sqlite")
        with server:
            alone_there = await _rate(others, server.url, 1, "one")
            both = await _rate(others, server.url, 2, "two")
    what = f"{_PLANS} plans of {_COUNT} mock executions"
    return [
        Figure(f"{what}, one executor on SQLite", f"{alone_on_sqlite:,.0f}/s"),
        Figure(
            f"{what}, one executor on Postgres",
            f"{alone_there:,.0f}/s",
            f"{alone_there / alone_on_sqlite:.2f}x that on SQLite",
            f">= {_FLOOR}/s",
            alone_there >= _FLOOR,
        ),
        Figure(
            f"{what}, two executors on the same Postgres",
            f"{both:,.0f}/s",
            f"{both / alone_there:.2f}x one there, {both / alone_on_sqlite:.2f}x that on SQLite",
            f">= {_FLOOR}/s",
            both >= _FLOOR,
        ),
    ]
