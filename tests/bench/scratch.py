"""Keys, queues and the ledger: what one item of a batch costs the server, against one call per item."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import psutil

from tests.bench.report import Figure
from tests.bench.server import Server, serving
from theory.core.adapters import KVPut, QueuePublish
from theory.core.chain import NewEvent
from theory.core.clock import rfc3339
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
    async with serving() as server:
        figures += await _ledger(server)
    return figures


async def _ledger(server: Server) -> list[Figure]:
    token = ServiceKeys.load(server.home).token_of(Role.RESOURCES)
    ts = rfc3339(datetime.now(UTC))
    async with Theory.connect(server.url, token=token) as theory:

        async def append(number: int, size: int = _EVENT_BATCH) -> None:
            items = [
                PlanEvent("bench", NewEvent(f"e{number}-{each}", "scratch.kv.changed", ts, {"key": "k", "op": "put"}))
                for each in range(size)
            ]
            await theory.ledger.append_many(items)

        began = time.perf_counter()
        each = await _cpu_per_item(server, append, _EVENTS // _EVENT_BATCH, _EVENT_BATCH)
        rate = (_EVENTS + 5 * _EVENT_BATCH) / (time.perf_counter() - began)
        began_one = time.perf_counter()
        for number in range(200):
            await append(10_000_000 + number, 1)
        single = 200 / (time.perf_counter() - began_one)
        own = psutil.Process()
        before, began = _used(own), time.perf_counter()
        faults = await theory.ledger.verify_plan("bench")
        verified = (_EVENTS + 5 * _EVENT_BATCH + 200) / (_used(own) - before)
    if faults:
        raise RuntimeError(f"the chain is broken: {faults}")
    return [
        Figure(
            f"ledger append, durable on SQLite, batches of {_EVENT_BATCH} from one client",
            f"{rate:,.0f} events/s; {each:.1f} us of server CPU per event",
            f"one event per call: {single:,.0f}/s: {rate / single:.0f}x",
            "<= 25 us per item; >= 20,000/s",
            each <= 25 and rate >= 20_000,
        ),
        Figure(
            "verification by the client, per core",
            f"{verified:,.0f} events/s, reading over gRPC included",
            "",
            ">= 90,000/s",
            verified >= 90_000,
        ),
    ]


def _used(process: psutil.Process) -> float:
    used = process.cpu_times()
    return used.user + used.system
