"""One run: clients work, the store is killed and comes back, the topics are drained, and the histories are judged."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from tests.chaos import key_history, total_queue
from tests.chaos.asking import BROKEN
from tests.chaos.backends import BACKENDS, Backend, Pace
from tests.chaos.history import Operation, Violation
from tests.chaos.key_history import KeysReport
from tests.chaos.key_work import KeyWork
from tests.chaos.queue_history import Promises
from tests.chaos.queue_work import BRITTLE, QueueWork
from tests.chaos.service import Service
from tests.chaos.total_queue import QueueReport
from theory.core.clock import Clock, SystemClock

MAX_RECEIVES = 3

_LOOK_S = 0.1
_ZOMBIE_S = 1.5
"""How much longer than a window the drain waits: for what a client gave up on and a store carried out late."""


@dataclass(frozen=True)
class Size:
    """How long a run is: until so many messages were published and so many processes were killed."""

    messages: int
    kills: int
    calm_s: float = 2.0
    """The longest time between a start and the next kill."""


@dataclass(frozen=True)
class Result:
    """What became of a run."""

    name: str
    seed: int
    kills: Counter[str]
    seconds: float
    topics: tuple[QueueReport, ...]
    keys: KeysReport
    broken: tuple[Violation, ...]
    """Answers that say that the service broke."""

    @property
    def violations(self) -> tuple[Violation, ...]:
        """Every broken promise that is kept with its evidence."""
        of_topics = (each for topic in self.topics for each in topic.violations)
        return (*of_topics, *self.keys.violations, *self.broken)

    @property
    def valid(self) -> bool:
        """Whether every promise was kept."""
        return not self.violations

    def line(self) -> str:
        """What the report says of it."""
        counts = sum((each.counts for each in self.topics), self.keys.counts)
        others = ", ".join(f"{count} {kind}" for kind, count in counts.items() if kind not in {"lost", "unexpected"})
        return (
            f"{self.name:<14}{sum(each.acknowledged for each in self.topics):>8} messages"
            f"{sum(each.deliveries for each in self.topics):>8} deliveries"
            f"{sum(each.duplicates for each in self.topics):>7} duplicates"
            f"{sum(each.dead for each in self.topics):>6} dead letters"
            f"{self.kills.total():>5} kills{self.seconds:>7.1f} s   {counts['lost']} lost, "
            f"{counts['unexpected']} unexpected   {self.keys.operations} operations on {self.keys.keys} keys"
            f"   {'ok' if self.valid else f'BROKEN: {others or self.broken}'}"
        )


class Nemesis:
    """Kills, and starts again."""

    def __init__(self, service: Service, backend: Backend, *, clock: Clock, chance: Random) -> None:
        self._service = service
        self._victim = backend.victim
        self._clock = clock
        self._chance = chance
        self.kills: Counter[str] = Counter()
        self.raging = True

    async def rage(self, calm_s: float) -> None:
        """Go on until told to stop; then everything runs."""
        while self.raging:
            await self._clock.sleep(self._chance.uniform(0.2, calm_s))
            dice = self._chance.random()
            if dice < 0.05:
                await self._service.freeze(self._chance.uniform(0.1, 1.5))
            elif self._victim is not None and dice < 0.45:
                await self._kill_server(self._victim.name, together=dice < 0.1)
            else:
                await self.kill_service()

    async def kill_service(self) -> None:
        """And bring it back."""
        await self._service.kill()
        self.kills["service"] += 1
        await self._service.start()

    async def _kill_server(self, name: str, *, together: bool) -> None:
        assert self._victim is not None
        await asyncio.to_thread(self._victim.kill)
        self.kills[name] += 1
        if together:
            await self._service.kill()
            self.kills["service"] += 1
        await self._clock.sleep(self._chance.random() * 0.5)
        await asyncio.to_thread(self._victim.restart)
        if together:
            await self._service.start()


async def run(name: str, size: Size, *, seed: int = 0) -> Result:
    """Let clients and nemesis at a backend, and judge what the clients saw."""
    clock, chance = SystemClock(), Random(seed)
    began = clock.monotonic()
    with tempfile.TemporaryDirectory(prefix="theory-") as folder, BACKENDS[name]() as backend:
        service = Service(Path(folder), backend.variables, clock=clock, chance=chance)
        try:
            await service.start()
            nemesis = Nemesis(service, backend, clock=clock, chance=chance)
            plain, brittle, keys = await _clients(service, backend.pace, clock, chance)
            await _work(plain, brittle, keys, nemesis, size, backend.pace)
            backend.heal()
            await nemesis.kill_service()  # nothing goes on behind the back of the drain
            await asyncio.gather(plain.drain(), brittle.drain())
        finally:
            await service.close()
    seconds = clock.monotonic() - began
    topics = tuple(total_queue.check(each.history, each.promises) for each in (plain, brittle))
    broken = _broken([*plain.history, *brittle.history, *keys.history])
    return Result(name, seed, nemesis.kills, seconds, topics, key_history.check(keys.history), broken)


async def _clients(service: Service, pace: Pace, clock: Clock, chance: Random) -> tuple[QueueWork, QueueWork, KeyWork]:
    """Those of a topic, of one with dead letters, and of keys, who expect what the service promises."""
    queue, kv = await service.capabilities()
    promises = Promises(
        keys="IDEMPOTENCY_KEYS" in queue.features,
        fenced="FENCED_HANDLES" in queue.features,
        moves="DEAD_LETTERS" in queue.features,
        counts="FENCED_HANDLES" in queue.features,
    )
    slack_s = queue.redelivery_slack_s + _ZOMBIE_S
    plain = QueueWork(
        service,
        promises,
        clock=clock,
        chance=chance,
        topic="plain",
        batch=pace.batch,
        backlog=30 * pace.batch,
        slack_s=slack_s,
    )
    brittle = QueueWork(
        service,
        replace(promises, max_receives=MAX_RECEIVES),
        clock=clock,
        chance=chance,
        topic="brittle",
        mix=BRITTLE,
        batch=pace.batch // 4,
        backlog=4 * pace.batch,
        slack_s=slack_s,
    )
    return plain, brittle, KeyWork(service, request_ids="REQUEST_IDS" in kv.features, clock=clock, chance=chance)


async def _work(plain: QueueWork, brittle: QueueWork, keys: KeyWork, nemesis: Nemesis, size: Size, pace: Pace) -> None:
    clock = SystemClock()
    async with asyncio.TaskGroup() as group:
        raging = group.create_task(nemesis.rage(size.calm_s * pace.calmer))
        for number in range(pace.producers):
            group.create_task(plain.produce(f"p{number}"))
        for number in range(pace.consumers):
            group.create_task(plain.consume(f"c{number}"))
        group.create_task(brittle.produce("bp"))
        for number in range(pace.consumers // 2):
            group.create_task(brittle.consume(f"bc{number}"))
        group.create_task(brittle.bury("bury"))
        for number in range(pace.key_workers):
            group.create_task(keys.work(f"k{number}"))
        for number in range(pace.key_workers):
            group.create_task(keys.lease(f"l{number}"))
        while plain.published + brittle.published < size.messages or nemesis.kills.total() < size.kills:
            await clock.sleep(_LOOK_S)
        nemesis.raging = False
        await raging
        keys.working = plain.publishing = brittle.publishing = False
        plain.consuming = brittle.consuming = False


def _broken(history: Iterable[Operation[Any, Any]]) -> tuple[Violation, ...]:
    reasons = Counter(each.reason for each in history if each.reason.startswith(BROKEN))
    return tuple(Violation("broken", f"{count} answers say {reason}") for reason, count in reasons.items())
