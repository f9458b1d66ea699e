"""Tokens of attempts: what a call costs the server with one, against a token of a service, and what the first costs."""

import asyncio
from statistics import median

from services.executor.adapters.tokens import KeySigner
from tests.bench.report import Figure
from tests.bench.server import Server, cpu_per_item, serving
from theory.core.adapters import KVPut
from theory.core.clock import SystemClock
from theory.core.grant import AttemptGrant
from theory.core.ids import ExecutionId, PlanId, SystemIds
from theory.core.selector import Selector
from theory.core.world_path import WorldName
from theory.sdk.kv import KVClient
from theory.wire.channel import connect
from theory.wire.identity import Role, ServiceKeys

_PLAN = "bench"
_VALUE = b"x" * 100
_AT_ONCE = 8
_REPEATS = 7
_NEW_TOKENS = 400
_GRANT = AttemptGrant(
    PlanId(_PLAN), WorldName(_PLAN), ExecutionId(f"{_PLAN}.a"), 0, 1, (Selector.parse("/artifacts/outputs/bench/**"),)
)


async def measure() -> list[Figure]:
    """Keys in memory, where the identity of the caller is the largest part of a call that it can be."""
    async with serving(THEORY_RESOURCES_KV_URL="memory:", THEORY_RESOURCES_QUEUE_URL="memory:") as server:
        signer = KeySigner(
            server.home / "executor" / "attempts.key",
            server.home / "attempts.jwks.json",
            clock=SystemClock(),
            ids=SystemIds(),
        )
        figures = []
        for items, rounds in ((64, 60), (1, 300)):
            ratios, service_us, attempt_us = [], [], []
            for _ in range(_REPEATS):
                # A token lives for a minute: each repeat has one of its own, and a repeat takes seconds.
                token = (await signer.sign(_GRANT)).text.reveal()
                service_us.append(await _cost(server, _service_token(server), items, rounds))
                attempt_us.append(await _cost(server, token, items, rounds))
                ratios.append(attempt_us[-1] / service_us[-1])
            figures.append(
                Figure(
                    f"KV put, batches of {items}, token of an attempt",
                    f"{median(attempt_us) * items:.1f} us of server CPU per call",
                    f"token of a service {median(service_us) * items:.1f} us: {median(ratios):.2f}x "
                    f"(of {_REPEATS} pairs {min(ratios):.2f} to {max(ratios):.2f})",
                )
            )
        figures.append(await _first(server, signer))
        return figures


def _service_token(server: Server) -> str:
    return ServiceKeys.load(server.home).token_of(Role.EXECUTOR)


async def _cost(server: Server, token: str, items: int, rounds: int) -> float:
    async with connect(server.url, token=token) as channel:
        kv = KVClient(channel)

        async def put(number: int) -> None:
            batch = [KVPut(f"k{number % 10}-{each}", _VALUE) for each in range(items)]
            assert await kv.put_many(_PLAN, batch) == [None] * items

        async def at_once(number: int) -> None:
            await asyncio.gather(*(put(number * _AT_ONCE + each) for each in range(_AT_ONCE)))

        return await cpu_per_item(server, at_once, rounds, items * _AT_ONCE)


async def _first(server: Server, signer: KeySigner) -> Figure:
    """What a call costs whose token is new, beyond one whose token is known."""
    tokens = [(await signer.sign(_GRANT)).text.reveal() for _ in range(_NEW_TOKENS + 5)]
    async with connect(server.url) as channel:
        clients = [KVClient(channel.as_caller(token)) for token in tokens]  # type: ignore[attr-defined]

        async def fresh(number: int) -> None:
            await clients[number].put_many(_PLAN, [KVPut("k", _VALUE)])

        async def known(_: int) -> None:
            await clients[0].put_many(_PLAN, [KVPut("k", _VALUE)])

        first_us = await cpu_per_item(server, fresh, _NEW_TOKENS, 1)
        known_us = await cpu_per_item(server, known, _NEW_TOKENS, 1)
    return Figure(
        "the first call with a token",
        f"{first_us - known_us:.0f} us of server CPU more",
        f"a call with a known token, one at a time, {known_us:.0f} us",
    )
