"""The ledger: what one event of a batch costs the server, and how many it keeps for good in a second."""

import time
from datetime import UTC, datetime

import psutil

from tests.bench.report import Figure
from tests.bench.server import Server, cpu_per_item, serving
from theory.core.chain import NewEvent, verify_chain
from theory.core.clock import rfc3339
from theory.core.errors import TheoryError
from theory.core.ledger import PlanEvent
from theory.sdk.client import Theory
from theory.wire.identity import Role, ServiceKeys

_BATCH = 64
_ROUNDS = 150
_EVENTS = 20_000
_EVENT_BATCH = 500


async def measure() -> list[Figure]:
    """In memory, item by item; on SQLite, durable."""
    async with serving(THEORY_LEDGER_DATABASE_URL="memory:") as server:
        figures = [await _item(server)]
    async with serving() as server:
        return figures + await _durable(server)


async def _append(theory: Theory, number: int, size: int) -> None:
    ts = rfc3339(datetime.now(UTC))
    items = [
        PlanEvent("bench", NewEvent(f"e{number}-{each}", "scratch.kv.changed", ts, {"key": "k", "op": "put"}))
        for each in range(size)
    ]
    for answer in await theory.ledger.append_many(items):
        if isinstance(answer, TheoryError):
            raise answer


async def _item(server: Server) -> Figure:
    token = ServiceKeys.load(server.home).token_of(Role.RESOURCES)
    async with Theory.connect(server.url, token=token) as theory:
        each = await cpu_per_item(server, lambda number: _append(theory, number, _BATCH), _ROUNDS, _BATCH)
    return Figure(
        f"ledger append, memory, batches of {_BATCH}",
        f"{each:.1f} us of server CPU per event",
        "",
        "<= 25 us",
        each <= 25,
    )


async def _durable(server: Server) -> list[Figure]:
    token = ServiceKeys.load(server.home).token_of(Role.RESOURCES)
    async with Theory.connect(server.url, token=token) as theory:
        began = time.perf_counter()
        each = await cpu_per_item(
            server, lambda number: _append(theory, number, _EVENT_BATCH), _EVENTS // _EVENT_BATCH, _EVENT_BATCH
        )
        rate = (_EVENTS + 5 * _EVENT_BATCH) / (time.perf_counter() - began)
        began_one = time.perf_counter()
        for number in range(200):
            await _append(theory, 10_000_000 + number, 1)
        single = 200 / (time.perf_counter() - began_one)
        events = [event async for page in theory.ledger.events("bench") for event in page.events]
        if faults := await theory.ledger.verify_plan("bench"):
            raise RuntimeError(f"the chain is broken: {faults}")
    own = psutil.Process()
    before = _used(own)
    for _ in range(5):
        verify_chain(events, plan_id="bench", head=None)
    verified = 5 * len(events) / (_used(own) - before)
    return [
        Figure(
            f"ledger append, durable on SQLite, batches of {_EVENT_BATCH} from one client",
            f"{rate:,.0f} events/s; {each:.1f} us of server CPU per event",
            f"one event per call: {single:,.0f}/s: {rate / single:.0f}x",
            ">= 20,000/s",
            rate >= 20_000,
        ),
        Figure("verification per core", f"{verified:,.0f} events/s", "", ">= 90,000/s", verified >= 90_000),
    ]


def _used(process: psutil.Process) -> float:
    used = process.cpu_times()
    return used.user + used.system
