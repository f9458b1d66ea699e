"""Keys, queues and the ledger: what one item of a batch costs the server, against one call per item."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import psutil

from tests.bench.report import Figure
from tests.bench.server import Server, serving
from theory.core.adapters import KVPut, QueuePublish
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


async def _cpu_per_item(server: Server, batch: Callable[[int], Awaitable[object]], rounds: int, items: int) -> float:
    """Microseconds of the server's processor time per item."""
    for number in range(5):
        await batch(-1 - number)
    before = server.cpu_s()
    for number in range(rounds):
        await batch(number)
    return (server.cpu_s() - before) / (rounds * items) * 1e6


async def _measure(theory: Theory, server: Server, adapter: str) -> list[Figure]:
    value = b"x" * 100

    async def put(number: int) -> None:
        await theory.kv.put_many("bench", [KVPut(f"k{number % 10}-{each}", value) for each in range(_BATCH)])

    async def put_one(number: int) -> None:
        await theory.kv.put_many("bench", [KVPut(f"k{number % 10}", value)])

    async def get(number: int) -> None:
        await theory.kv.get_many("bench", [f"k{number % 10}-{each}" for each in range(_BATCH)])

    async def publish(_: int) -> None:
        await theory.queue.publish_many("bench", "t", [QueuePublish(value)] * _BATCH)

    single = await _cpu_per_item(server, put_one, _ROUNDS * 4, 1)
    figures = []
    for what, batch in (("KV put", put), ("KV get", get), ("queue publish", publish)):
        each = await _cpu_per_item(server, batch, _ROUNDS, _BATCH)
        floor = "<= 15 us" if adapter == "memory" else ""
        figures.append(
            Figure(
                f"{what}, {adapter}, batches of {_BATCH}",
                f"{each:.1f} us of server CPU per item",
                f"a single put costs {single:.0f} us: {single / each:.0f}x",
                floor,
                each <= 15 if floor else None,
            )
        )
    return figures


async def measure() -> list[Figure]:
    """Memory and SQLite; then the ledger."""
    figures: list[Figure] = []
    memory = {"THEORY_RESOURCES_KV_URL": "memory:", "THEORY_RESOURCES_QUEUE_URL": "memory:"}
    for adapter, environment in (("memory", memory), ("sqlite", {})):
        async with serving(**environment) as server, Theory.connect(server.url) as theory:
            figures += await _measure(theory, server, adapter)
    async with serving(THEORY_LEDGER_DATABASE_URL="memory:") as server:
        figures.append(await _ledger_item(server))
    async with serving() as server:
        figures += await _ledger(server)
    return figures


async def _append(theory: Theory, number: int, size: int) -> None:
    ts = rfc3339(datetime.now(UTC))
    items = [
        PlanEvent("bench", NewEvent(f"e{number}-{each}", "scratch.kv.changed", ts, {"key": "k", "op": "put"}))
        for each in range(size)
    ]
    for answer in await theory.ledger.append_many(items):
        if isinstance(answer, TheoryError):
            raise answer


async def _ledger_item(server: Server) -> Figure:
    token = ServiceKeys.load(server.home).token_of(Role.RESOURCES)
    async with Theory.connect(server.url, token=token) as theory:
        each = await _cpu_per_item(server, lambda number: _append(theory, number, _BATCH), _ROUNDS, _BATCH)
    return Figure(
        f"ledger append, memory, batches of {_BATCH}",
        f"{each:.1f} us of server CPU per event",
        "",
        "<= 25 us",
        each <= 25,
    )


async def _ledger(server: Server) -> list[Figure]:
    token = ServiceKeys.load(server.home).token_of(Role.RESOURCES)
    async with Theory.connect(server.url, token=token) as theory:
        began = time.perf_counter()
        each = await _cpu_per_item(
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
