"""Events that scripts keep beside their effects, in one list per plan, until the ledger has them."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias, cast

from services.drivers.background import Background, Pauses
from services.drivers.events import FOR_EVER, Append
from services.drivers.moments import from_us
from services.drivers.redis.client import Redis
from services.drivers.redis.scratch import events_of
from services.drivers.redis.script import Script
from theory.core.clock import Clock, rfc3339, until_set
from theory.core.errors import TheoryError
from theory.core.ledger import Appended, PlanEvent
from theory.core.scratch import Change, sampled

ReadChange: TypeAlias = Callable[[str], Change]
"""What a script wrote of a change."""

_BATCH = 500
_LISTS = 50
_LONGEST_PAUSE_S = 30.0
_LOOK_EVERY_S = 60.0
_REFUSED_KEPT_MS = 7 * 24 * 3600 * 1000
_SCANNED = 1_000

_FORGET = Script.of(Path(__file__).with_name("forget.lua"))

_log = logging.getLogger(__name__)


class Outbox:
    """Carries events to the ledger: of a plan in order, at least once, across crashes of anybody.

    The ledger keeps an `event_id` once, so replicas may carry the same list: an id is the area, the time and the number
    of the change, `kv/0649d11f2c8000/7`. What another process left is found within a minute. An event that the ledger
    refuses for ever is kept aside for a week, logged, and holds up nobody.
    """

    def __init__(self, redis: Redis, *, place: str, area: str, read: ReadChange, append: Append, clock: Clock) -> None:
        self._redis = redis
        self._place = place
        self._area = area
        self._read = read
        self._append = append
        self._clock = clock
        self._due: dict[str, None] = {}
        """The plans that may have events waiting."""
        self._poked = asyncio.Event()
        self._background = Background("outbox", self._run)

    def start(self) -> None:
        """Carry on what an earlier process left, then whatever comes."""
        self._background.start()

    async def ready(self) -> None:
        """Always: whatever happens to the ledger, the effects go on."""

    async def close(self) -> None:
        """Stop; what is left waits for the next start."""
        await self._background.close()

    def poke(self, plan_id: str) -> None:
        """Say that a script kept events of this plan."""
        self._due[plan_id] = None
        self._poked.set()

    async def _run(self) -> None:
        pauses = Pauses(self._clock, longest_s=_LONGEST_PAUSE_S)
        look_at = self._clock.monotonic()
        while True:
            self._poked.clear()
            try:
                if self._clock.monotonic() >= look_at:
                    await self._look()
                    look_at = self._clock.monotonic() + _LOOK_EVERY_S
                while self._due:
                    await self._carry()
            except Exception as error:  # noqa: BLE001 - whatever it was, the events must leave one day
                _log.warning("outbox.waits", extra={"theory_fields": {"error": repr(error), "pause_s": pauses.next_s}})
                await pauses.make()
                continue
            pauses.reset()
            await until_set(self._poked, self._clock, max(0.0, look_at - self._clock.monotonic()))

    async def _look(self) -> None:
        """Find the lists that somebody left."""
        pattern = events_of("*", self._place)
        before, after = pattern.split("*")
        cursor = b"0"
        while True:
            scan = ("SCAN", cursor, "MATCH", pattern, "COUNT", _SCANNED, "TYPE", "list")
            scanned = await self._redis.call(*scan, repeat=True)
            cursor, keys = cast("tuple[bytes, list[bytes]]", scanned)
            for key in keys:
                self._due[key.decode().removeprefix(before).removesuffix(after)] = None
            if cursor == b"0":
                return

    async def _carry(self) -> None:
        """Carry the first events of a few plans; raises where the ledger could not take them now."""
        plans = list(self._due)[:_LISTS]
        for plan_id in plans:
            del self._due[plan_id]
        try:
            most = _BATCH // len(plans)
            lists = await asyncio.gather(
                *(self._redis.call("LRANGE", events_of(each, self._place), 0, most - 1, repeat=True) for each in plans)
            )
            entries = {
                plan_id: found for plan_id, found in zip(plans, cast("list[list[bytes]]", lists), strict=True) if found
            }
            events = {plan_id: self._events_of(plan_id, found) for plan_id, found in entries.items()}
            answers = iter(await self._append([each for found in events.values() for each in found]) if events else ())
            later: TheoryError | None = None
            for plan_id, found in entries.items():
                later = await self._settle(plan_id, found, [next(answers) for _ in events[plan_id]]) or later
                if len(found) == most and events[plan_id]:
                    self._due[plan_id] = None
            if later is not None:
                raise later
        except BaseException:
            self._due.update(dict.fromkeys(plans))
            raise

    def _events_of(self, plan_id: str, entries: Sequence[bytes]) -> list[PlanEvent]:
        """None of a list that no script of ours wrote: it stays, and holds up nobody else."""
        try:
            return [self._event_of(plan_id, each) for each in entries]
        except (ValueError, KeyError):
            _log.error("outbox.unreadable", extra={"theory_fields": {"plan_id": plan_id}})
            return []

    def _event_of(self, plan_id: str, entry: bytes) -> PlanEvent:
        number, us, text = entry.decode().split(" ", 2)
        # A server that lost its last second counts it again: the ledger must not take other changes for repeats.
        area, ts = f"{self._area}/{int(us):014x}", rfc3339(from_us(int(us)))
        [event] = sampled(plan_id, area, [self._read(text)], counted=int(number) - 1, every=1, ts=ts)
        return event

    async def _settle(
        self, plan_id: str, entries: Sequence[bytes], answers: Sequence[Appended | TheoryError]
    ) -> TheoryError | None:
        """Take from the list what the ledger has, or never takes, up to the first answer that may change: that one."""
        upto = b""
        refused: list[bytes] = []
        later: TheoryError | None = None
        for entry, answer in zip(entries, answers, strict=False):
            if isinstance(answer, FOR_EVER):
                refused.append(answer.reason.encode() + b" " + entry)
                fields = {"plan_id": plan_id, "event": entry.partition(b" ")[0].decode(), "reason": answer.reason}
                _log.error("outbox.refused", extra={"theory_fields": fields})
            elif isinstance(answer, TheoryError):
                later = answer
                break
            upto = entry.partition(b" ")[0]
        if upto:
            waiting = events_of(plan_id, self._place)
            keys = (waiting, f"{waiting}:refused")
            await self._redis.run(_FORGET, keys, (upto, _REFUSED_KEPT_MS, *refused))
        return later
