"""The work of a run in simulated time, against a store in memory that is killed: what proves that the judges see."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from random import Random
from typing import Any, Protocol, cast

from tests.chaos.asking import KeyAccess, QueueAccess
from tests.chaos.faulty_keys import ModelKeys
from tests.chaos.key_history import KeyOperation
from tests.chaos.key_work import KeyWork
from tests.chaos.model_queue import ModelQueue
from tests.chaos.queue_history import Promises, QueueOperation
from tests.chaos.queue_work import BRITTLE, ROUGH, QueueWork
from tests.chaos.simulated import Line, LoopClock, simulate
from theory.core.clock import Clock


class _Store(Protocol):
    def crash(self) -> None: ...


class _Far:
    """A store at the other end of a line."""

    def __init__(self, store: object, line: Line) -> None:
        self._store = store
        self._line = line

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        served = getattr(self._store, name)
        return lambda *args, **kwargs: self._line.call(partial(served, *args, **kwargs))


class _Stage:
    def __init__(self, store: _Store, clock: LoopClock, chance: Random) -> None:
        self._store, self._clock, self._chance = store, clock, chance
        self.line = Line(clock, chance)
        far = _Far(store, self.line)
        self.queue, self.keys = cast("QueueAccess", far), cast("KeyAccess", far)

    async def back(self) -> None:
        await self._clock.sleep(0.01)

    async def kill(self, kills: int) -> None:
        for _ in range(kills):
            await self._clock.sleep(self._chance.uniform(0.3, 2.5))
            self.line.cut()
            self._store.crash()


def rehearse_queue(
    store: Callable[[Clock], ModelQueue], promises: Promises, *, seed: int = 0, kills: int = 5
) -> Sequence[QueueOperation]:
    """The history of a topic in a store of this kind, drained."""

    async def run() -> Sequence[QueueOperation]:
        clock, chance = LoopClock(), Random(seed)
        stage = _Stage(store(clock), clock, chance)
        mix = BRITTLE if promises.max_receives else ROUGH
        work = QueueWork(stage, promises, clock=clock, chance=chance, mix=mix, batch=4, backlog=30)
        producers = [asyncio.create_task(work.produce(f"p{idx}")) for idx in range(2)]
        consumers = [asyncio.create_task(work.consume(f"c{idx}")) for idx in range(4)]
        consumers += [asyncio.create_task(work.bury("b"))] if promises.max_receives else []
        await stage.kill(kills)
        work.publishing = False
        await asyncio.gather(*producers)
        work.consuming = False
        await asyncio.gather(*consumers)
        stage.line.loss = 0.0
        await work.drain()
        return work.history

    return simulate(run())


def rehearse_keys(
    store: Callable[[Clock], ModelKeys], *, request_ids: bool = True, seed: int = 0, kills: int = 5
) -> Sequence[KeyOperation]:
    """The history of keys in a store of this kind."""

    async def run() -> Sequence[KeyOperation]:
        clock, chance = LoopClock(), Random(seed)
        stage = _Stage(store(clock), clock, chance)
        work = KeyWork(stage, request_ids=request_ids, clock=clock, chance=chance, keys=3, uses=60)
        workers = [asyncio.create_task(work.work(f"w{idx}")) for idx in range(4)]
        workers += [asyncio.create_task(work.lease(f"l{idx}")) for idx in range(5)]
        await stage.kill(kills)
        work.working = False
        await asyncio.gather(*workers)
        return work.history

    return simulate(run())
