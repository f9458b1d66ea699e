"""Keys in the memory of the process: gone with it, and otherwise the promises of every other store."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush

from services.resources.kv.adapters import counter
from services.resources.kv.ports import REPLY_BYTES, REQUEST_KEPT, SWEEP, KVStore
from theory.core.adapters import KVIncr, KVPut, KVValue
from theory.core.clock import Clock
from theory.core.errors import Exhausted, TheoryError

_STALE_DEADLINES = 64


async def open(url: str, *, clock: Clock, database: object) -> KVStore:
    """`memory:`, empty."""
    return MemoryKV(clock)


@dataclass(slots=True)
class _Remembered:
    digest: bytes
    answers: list[int | TheoryError]
    create_time: datetime
    ended: bool = False


class MemoryKV:
    """Every method runs to its end without awaiting: that makes each batch one step."""

    kind = "memory"
    durable = False

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._values_by_plan: dict[str, dict[str, KVValue]] = {}
        self._deadlines: list[tuple[datetime, str, str]] = []
        self._compact_at = _STALE_DEADLINES
        self._requests: dict[tuple[str, str], _Remembered] = {}
        self._ended: list[tuple[datetime, tuple[str, str]]] = []

    async def get_many(self, plan_id: str, keys: Sequence[str]) -> list[KVValue | TheoryError | None]:
        find = self._values_by_plan.get(plan_id, {}).get
        now = self._clock.now()
        room = REPLY_BYTES
        answers: list[KVValue | TheoryError | None] = []
        for key in keys:
            found = find(key)
            if found is None or _expired(found, now):
                answers.append(None)
            elif len(found.value) > room:
                answers.append(Exhausted("REPLY_FULL", "the reply is full; ask for this key again"))
            else:
                room -= len(found.value)
                answers.append(found)
        return answers

    async def put_many(self, plan_id: str, items: Sequence[KVPut]) -> list[TheoryError | None]:
        now = self._begin_write(len(items))
        values = self._values_by_plan.setdefault(plan_id, {})
        for item in items:
            values[item.key] = KVValue(item.value, self._deadline(now, item.ttl_s, plan_id, item.key))
        return [None] * len(items)

    async def delete_many(self, plan_id: str, keys: Sequence[str]) -> list[TheoryError | None]:
        self._begin_write(len(keys))
        for key in keys:
            self._drop(plan_id, key)
        return [None] * len(keys)

    async def incr_many(
        self, plan_id: str, items: Sequence[KVIncr], request_id: str | None = None
    ) -> list[int | TheoryError]:
        now = self._begin_write(len(items))
        if request_id is None:
            return self._add(plan_id, items, now)
        digest = counter.digest(items)
        remembered = self._requests.get((plan_id, request_id))
        if remembered is None:
            remembered = _Remembered(digest, self._add(plan_id, items, now), now)
            self._requests[plan_id, request_id] = remembered
        elif remembered.digest != digest:
            raise counter.taken(request_id)
        return remembered.answers

    async def end_plan(self, plan_id: str) -> None:
        self._begin_write(0)
        self._values_by_plan.pop(plan_id, None)
        for name, remembered in self._requests.items():
            if name[0] == plan_id and not remembered.ended:
                remembered.ended = True
                heappush(self._ended, (remembered.create_time + REQUEST_KEPT, name))

    def _add(self, plan_id: str, items: Iterable[KVIncr], now: datetime) -> list[int | TheoryError]:
        values = self._values_by_plan.setdefault(plan_id, {})
        answers: list[int | TheoryError] = []
        for item in items:
            found = values.get(item.key)
            if found is not None and _expired(found, now):
                found = None
            total = counter.add(None if found is None else found.value, item.by)
            if isinstance(total, int):
                ends = self._deadline(now, item.ttl_s, plan_id, item.key) if found is None else found.expire_time
                values[item.key] = KVValue(b"%d" % total, ends)
            answers.append(total)
        return answers

    def _drop(self, plan_id: str, key: str) -> None:
        values = self._values_by_plan.get(plan_id)
        if values is not None:
            values.pop(key, None)
            if not values:
                del self._values_by_plan[plan_id]

    def _deadline(self, now: datetime, ttl_s: int | None, plan_id: str, key: str) -> datetime | None:
        if ttl_s is None:
            return None
        expire_time = now + timedelta(seconds=ttl_s)
        heappush(self._deadlines, (expire_time, plan_id, key))
        return expire_time

    def _begin_write(self, items: int) -> datetime:
        """The time of this write. Removes a few expired keys first, so that what nobody asks for goes, too."""
        now = self._clock.now()
        for _ in range(max(SWEEP, items)):
            if not self._deadlines or self._deadlines[0][0] > now:
                break
            due = heappop(self._deadlines)
            if self._stands(*due):
                self._drop(due[1], due[2])
        if len(self._deadlines) > self._compact_at:
            self._deadlines = list({each for each in self._deadlines if self._stands(*each)})
            heapify(self._deadlines)
            self._compact_at = _STALE_DEADLINES + 2 * len(self._deadlines)
        while self._ended and self._ended[0][0] <= now:
            self._requests.pop(heappop(self._ended)[1], None)
        return now

    def _stands(self, expire_time: datetime, plan_id: str, key: str) -> bool:
        """Whether this is still the key's end: it may have been written again since."""
        found = self._values_by_plan.get(plan_id, {}).get(key)
        return found is not None and found.expire_time == expire_time


def _expired(value: KVValue, now: datetime) -> bool:
    return value.expire_time is not None and value.expire_time <= now
