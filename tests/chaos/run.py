"""One run: clients work, the store is killed and comes back, the topics are drained, and the histories are judged."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from tests.chaos import key_history, told, total_queue
from tests.chaos.asking import BROKEN
from tests.chaos.backends import BACKENDS, Pace
from tests.chaos.history import Operation, Violation
from tests.chaos.installation import Installation
from tests.chaos.key_history import KeysReport
from tests.chaos.key_work import KeyWork
from tests.chaos.queue_history import Promises
from tests.chaos.queue_work import BRITTLE, QueueWork
from tests.chaos.told import EventsReport
from tests.chaos.total_queue import QueueReport
from theory.core.clock import Clock, SystemClock

MAX_RECEIVES = 3
TOLD = "p-told"
"""The plan of which every change becomes an event."""

_LOOK_S = 0.1
_TRAVEL_S = 75.0
_ZOMBIE_S = 1.5
"""How much longer than a window the drain waits: for what a client gave up on and a store carried out late."""


@dataclass(frozen=True)
class Size:
    """How long a run is: until so many messages were published and so many processes were killed."""

    messages: int
    kills: int
    calm_s: float = 2.0
    """The longest time between a start and the next kill."""
    redrives: bool = True
    """Whether dead letters are brought back: one that is cut off in that may be hidden for a minute."""
    events: bool = True
    """Whether events are judged: what a replica was killed with may have to wait for half a minute."""


@dataclass(frozen=True)
class Result:
    """What became of a run."""

    name: str
    seed: int
    kills: Counter[str]
    seconds: float
    topics: tuple[QueueReport, ...]
    keys: KeysReport
    events: EventsReport | None
    """None where the store may lose some."""
    broken: tuple[Violation, ...]
    """Answers that say that the service broke."""

    @property
    def violations(self) -> tuple[Violation, ...]:
        """Every broken promise that is kept with its evidence."""
        of_topics = (each for topic in self.topics for each in topic.violations)
        of_events = () if self.events is None else self.events.violations
        return (*of_topics, *self.keys.violations, *of_events, *self.broken)

    @property
    def valid(self) -> bool:
        """Whether every promise was kept."""
        return not self.violations

    def line(self) -> str:
        """What the report says of it."""
        counts = sum((each.counts for each in self.topics), Counter[str]())
        killed = ", ".join(f"{count} {name}" for name, count in self.kills.most_common())
        verdict = "ok" if self.valid else f"BROKEN: {', '.join(sorted({each.kind for each in self.violations}))}"
        return (
            f"{self.name:<14}{sum(each.acknowledged for each in self.topics):>8} messages"
            f"{sum(each.deliveries for each in self.topics):>8} deliveries"
            f"{sum(each.duplicates for each in self.topics):>7} duplicates"
            f"{sum(each.dead for each in self.topics):>6} dead letters"
            f"   {counts['lost']} lost, {counts['unexpected']} unexpected"
            f"{self.keys.operations:>8} operations on {self.keys.keys:>4} keys"
            f"{self.events.events if self.events else '-':>8} events"
            f"{self.kills.total():>5} kills ({killed}){self.seconds:>7.1f} s   {verdict}"
        )


class Nemesis:
    """Kills, and starts again."""

    def __init__(self, site: Installation, *, victim: bool, clock: Clock, chance: Random) -> None:
        self._site = site
        self._victim = victim
        self._clock = clock
        self._chance = chance
        self.raging = True

    async def rage(self, calm_s: float) -> None:
        """Go on until told to stop; then everything runs."""
        while self.raging:
            await self._clock.sleep(self._chance.uniform(0.2, calm_s))
            dice = self._chance.random()
            if dice < 0.05:
                await self._site.freeze()
            elif dice < 0.15:
                await self._site.cut()
            elif dice < 0.2:
                await self._site.kill_ledger()
            elif dice < 0.5 and self._victim:
                await self._site.kill_store(together=dice < 0.25)
            else:
                await self._site.kill_service()


async def run(name: str, size: Size, *, seed: int = 0) -> Result:
    """Let clients and nemesis at a backend, and judge what the clients saw."""
    clock, chance = SystemClock(), Random(seed)
    began = clock.monotonic()
    with tempfile.TemporaryDirectory(prefix="theory-") as folder, BACKENDS[name]() as backend:
        site = Installation(Path(folder), backend, clock=clock, chance=chance)
        try:
            await site.start()
            plain, brittle, keys = await _clients(site, size, backend.pace, clock, chance)
            keeps_events = size.events and await _told(site)
            nemesis = Nemesis(site, victim=backend.victim is not None, clock=clock, chance=chance)
            await _work(plain, brittle, keys, nemesis, site.kills, size, backend.pace)
            backend.heal()
            await site.kill_service()  # nothing goes on behind the back of the drain
            await asyncio.gather(plain.drain(), brittle.drain())
            events = await _events(site, brittle, keys, clock) if keeps_events else None
        finally:
            await site.close()
    seconds = clock.monotonic() - began
    topics = tuple(total_queue.check(each.history, each.promises) for each in (plain, brittle))
    broken = _broken([*plain.history, *brittle.history, *keys.history])
    return Result(name, seed, site.kills, seconds, topics, key_history.check(keys.history), events, broken)


async def _told(site: Installation) -> bool:
    """Let every change of a plan be told where that is promised to survive; whether it is."""
    queue, kv = await site.capabilities()
    if "EVENTS_KEPT" not in queue.features & kv.features:
        return False
    await site.tell_all(TOLD)
    return True


async def _events(site: Installation, queue: QueueWork, keys: KeyWork, clock: Clock) -> EventsReport:
    """What the ledger was told in the end: events travel after their changes, some not before somebody looks."""
    ends = clock.monotonic() + _TRAVEL_S
    while True:
        report = told.check(await site.events(TOLD), queue.history, keys.history)
        if report.valid or clock.monotonic() > ends:
            return report
        await clock.sleep(1.0)


async def _clients(
    site: Installation, size: Size, pace: Pace, clock: Clock, chance: Random
) -> tuple[QueueWork, QueueWork, KeyWork]:
    """Those of a topic, of one with dead letters, and of keys, who expect what the service promises."""
    queue, kv = await site.capabilities()
    promises = Promises(
        keys="IDEMPOTENCY_KEYS" in queue.features,
        fenced="FENCED_HANDLES" in queue.features,
        moves="DEAD_LETTERS" in queue.features,
        counts="FENCED_HANDLES" in queue.features,
    )
    slack_s = queue.redelivery_slack_s + _ZOMBIE_S
    plain = QueueWork(
        site,
        promises,
        clock=clock,
        chance=chance,
        topic="plain",
        batch=pace.batch,
        backlog=30 * pace.batch,
        slack_s=slack_s,
    )
    brittle = QueueWork(
        site,
        replace(promises, max_receives=MAX_RECEIVES),
        clock=clock,
        chance=chance,
        plan_id=TOLD,
        topic="brittle",
        mix=BRITTLE,
        batch=pace.batch // 4,
        backlog=4 * pace.batch,
        slack_s=slack_s,
        redrives=size.redrives,
    )
    request_ids = "REQUEST_IDS" in kv.features
    return plain, brittle, KeyWork(site, request_ids=request_ids, clock=clock, chance=chance, plan_id=TOLD)


async def _work(
    plain: QueueWork,
    brittle: QueueWork,
    keys: KeyWork,
    nemesis: Nemesis,
    kills: Counter[str],
    size: Size,
    pace: Pace,
) -> None:
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
        while plain.published + brittle.published < size.messages or kills.total() < size.kills:
            await clock.sleep(_LOOK_S)
        nemesis.raging = False
        await raging
        keys.working = plain.publishing = brittle.publishing = False
        plain.consuming = brittle.consuming = False


def _broken(history: Iterable[Operation[Any, Any]]) -> tuple[Violation, ...]:
    reasons = Counter(each.reason for each in history if each.reason.startswith(BROKEN))
    return tuple(Violation("broken", f"{count} answers say {reason}") for reason, count in reasons.items())
