"""Keys and queues: what an item of a batch costs, how many cycles clients get done, and against redis-py alone."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import count
from statistics import median
from typing import NamedTuple

from tests.bench.naive import Naive
from tests.bench.report import Figure
from tests.bench.server import Server, cpu_per_item, serving
from tests.bench.stores import STORES, Store
from tests.bench.yardstick import go_echo_us
from theory.core.adapters import KVIncr, KVPut, QueuePublish
from theory.sdk.client import Theory
from theory.sdk.rpc import unwrapped

_BATCH = 64
_AT_ONCE = 8
_ROUNDS = 320
_WARM_UP = 5
_MOST_CONSUMED = 30
_HIDDEN_S = 900
_VALUE = b"x" * 100
_PLAN, _TOPIC, _CYCLES = "bench", "t", "cycles"

_CLIENTS = (1, 64)
_SECONDS = 1.5
_REPEATS = 3

_FLOOR_US = 15
_FLOOR_ECHOES = 1 / 3
"""The floor is meant for a machine where a Go echo costs 28 to 45 us; elsewhere it is this share of what one costs."""

Work = Callable[[int], Awaitable[object]]
"""What is done again and again: a batch, by its number, or one client's next call, by the client's number."""


async def measure() -> list[Figure]:
    """Every store by itself: first what items cost, then how much clients get done."""
    echo_us = await go_echo_us(_AT_ONCE * _BATCH)
    figures = [Figure(f"a call of a gRPC echo in Go, {_AT_ONCE * _BATCH} at once", _cost(echo_us))]
    for opened in STORES:
        with opened() as store:
            async with serving(**store.variables) as server, Theory.connect(server.url) as theory:
                figures += await _costs(theory, server, store, echo_us)
                figures += await _rates(theory, store)
    return figures


class _Batch(NamedTuple):
    """Something that is done for many items at once."""

    what: str
    work: Work
    items: int
    rounds: int = _ROUNDS


async def _costs(theory: Theory, server: Server, store: Store, echo_us: float | None) -> list[Figure]:
    def put_one(number: int) -> Awaitable[object]:
        return theory.kv.put_many(_PLAN, [KVPut(f"k{number % 10}", _VALUE)])

    single_us = await _cost_per_item(server, _Batch("", put_one, 1))
    figures = []
    for batch in _batches(theory):
        before = store.cpu_s()
        each_us = await _cost_per_item(server, batch)
        beside_us = (store.cpu_s() - before) / ((batch.rounds + _WARM_UP * _AT_ONCE) * batch.items) * 1e6
        # A consume hands out 30 at most: a batch of another size is no batch of 64.
        judged = (store.name, batch.items) == ("memory", _BATCH)
        reached = each_us <= _FLOOR_US or (echo_us is not None and each_us <= echo_us * _FLOOR_ECHOES)
        compared = f"a put of one item costs {single_us:.0f} us: {single_us / each_us:.0f}x"
        figures.append(
            Figure(
                f"{batch.what}, batches of {batch.items}, {store.name}",
                _cost(each_us) + " per item" + (f", {beside_us:.1f} us of {store.name}'s" if beside_us else ""),
                compared + (f"; {each_us / echo_us:.2f} of that echo" if echo_us else ""),
                f"<= {_FLOOR_US} us, or a third of that echo" if judged else "",
                reached if judged else None,
            )
        )
    return figures


async def _cost_per_item(server: Server, batch: "_Batch") -> float:
    """With some batches under way all the time: a server that falls asleep between two is paid for waking up."""

    async def at_once(number: int) -> None:
        await asyncio.gather(*(batch.work(number * _AT_ONCE + each) for each in range(_AT_ONCE)))

    return await cpu_per_item(server, at_once, batch.rounds // _AT_ONCE, batch.items * _AT_ONCE)


def _cost(us: float | None) -> str:
    return "not measured: there is no Go here" if us is None else f"{us:.1f} us of server CPU"


def _batches(theory: Theory) -> list[_Batch]:
    """What is measured, in this order: what is consumed was published before, what is acknowledged was consumed."""
    kv, queue = theory.kv, theory.queue
    handles: list[str] = []

    async def put(number: int) -> None:
        items = [KVPut(f"k{number % 10}-{each}", _VALUE) for each in range(_BATCH)]
        assert await kv.put_many(_PLAN, items) == [None] * _BATCH

    async def get(number: int) -> None:
        unwrapped(await kv.get_many(_PLAN, [f"k{number % 10}-{each}" for each in range(_BATCH)]))

    async def incr(number: int) -> None:
        unwrapped(await kv.incr_many(_PLAN, [KVIncr(f"n{number % 10}-{each}") for each in range(_BATCH)]))

    async def publish(_: int) -> None:
        unwrapped(await queue.publish_many(_PLAN, _TOPIC, [QueuePublish(_VALUE)] * _BATCH))

    async def consume(_: int) -> None:
        found = await queue.consume(
            plan_id=_PLAN, topic=_TOPIC, max_messages=_MOST_CONSUMED, visibility_timeout_s=_HIDDEN_S
        )
        assert len(found) == _MOST_CONSUMED
        handles.extend(each.receipt_handle for each in found)

    async def ack(_: int) -> None:
        taken = [handles.pop() for _ in range(_BATCH)]
        assert await queue.ack_many(_PLAN, _TOPIC, taken) == [None] * _BATCH

    return [
        _Batch("KV put", put, _BATCH),
        _Batch("KV get", get, _BATCH),
        _Batch("KV incr", incr, _BATCH),
        _Batch("queue publish", publish, _BATCH),
        _Batch("queue consume", consume, _MOST_CONSUMED, 2 * _ROUNDS),
        _Batch("queue ack", ack, _BATCH, _ROUNDS - 8 * _AT_ONCE),
    ]


class _Calls(NamedTuple):
    """What a client does over and over, one call after the other."""

    keys: Work
    """Puts, gets, and adds to a counter: three calls."""
    cycle: Work
    """Publishes a message, takes one, and acknowledges it."""


def _ours(theory: Theory) -> _Calls:
    async def keys(client: int) -> None:
        await theory.kv.put(plan_id=_PLAN, key=f"k{client}", value=_VALUE)
        assert await theory.kv.get(plan_id=_PLAN, key=f"k{client}") == _VALUE
        await theory.kv.incr(plan_id=_PLAN, key=f"n{client}")

    async def cycle(_: int) -> None:
        queue = theory.queue
        await queue.publish(plan_id=_PLAN, topic=_CYCLES, body=_VALUE)
        (taken,) = await queue.consume(plan_id=_PLAN, topic=_CYCLES)
        await queue.ack(plan_id=_PLAN, topic=_CYCLES, receipt_handle=taken.receipt_handle)

    return _Calls(keys, cycle)


def _naive(naive: Naive) -> _Calls:
    async def keys(client: int) -> None:
        await naive.put(f"k{client}", _VALUE)
        assert await naive.get(f"k{client}") == _VALUE
        await naive.incr(f"n{client}")

    async def cycle(_: int) -> None:
        await naive.publish(_VALUE)
        taken = await naive.consume()
        assert taken is not None
        await naive.ack(taken[0])

    return _Calls(keys, cycle)


async def _rates(theory: Theory, store: Store) -> list[Figure]:
    figures = []
    for clients in _CLIENTS:
        async with Naive(store.path, clients) as naive:
            ours, theirs = _ours(theory), _naive(naive) if store.path else None
            for what, mine, other in (
                ("KV put, get and incr in turn", ours.keys, theirs and theirs.keys),
                ("queue cycles (publish, consume, ack)", ours.cycle, theirs and theirs.cycle),
            ):
                rates = await _compared([mine, other] if other else [mine], clients)
                figures.append(_figure(f"{what}, {store.name}, {clients} at once", rates, clients))
    return figures


async def _compared(works: list[Work], clients: int) -> list[float]:
    """How often each is done in a second, the median of a few looks that take turns."""
    looks: list[list[float]] = [[] for _ in works]
    for number in range(1 + _REPEATS):
        for work, rates in zip(works, looks, strict=True):
            rate = await _rate(work, clients, _SECONDS if number else _SECONDS / 3)
            if number:  # the first look warms up
                rates.append(rate)
    return [median(rates) for rates in looks]


async def _rate(work: Work, clients: int, seconds: float) -> float:
    done = count()
    began = time.perf_counter()

    async def client(number: int) -> None:
        while time.perf_counter() < began + seconds:
            await work(number)
            next(done)

    await asyncio.gather(*(client(number) for number in range(clients)))
    return next(done) / (time.perf_counter() - began)


def _figure(what: str, rates: list[float], clients: int) -> Figure:
    if len(rates) == 1:
        return Figure(what, f"{rates[0]:,.0f}/s")
    ratio = rates[0] / rates[1]
    floor = ">= 1.0x" if clients > 1 else ""
    about = f"redis-py, one call at a time per client: {rates[1]:,.0f}/s: {ratio:.2f}x"
    return Figure(what, f"{rates[0]:,.0f}/s", about, floor, ratio >= 1.0 if floor else None)
